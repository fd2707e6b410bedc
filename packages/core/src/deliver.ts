/** The worker's half of webhooks out: what was recorded is sent, again and again until it is taken or given up. */
import { isOutage, SluiceError } from './errors.ts'
import type { Posted, World } from './ports.ts'
import type { Breaker, ClaimedDelivery, DeliveryEnd, WebhookAttempt } from './webhook.ts'
import { signatureHeaders } from './webhook-signature.ts'

/** The waits before the attempts: those that Standard Webhooks and Svix publish, 27.6 hours in all. */
export const ATTEMPT_WAITS_MS = [0, 5_000, 300_000, 1_800_000, 7_200_000, 18_000_000, 36_000_000, 36_000_000] as const

export type DeliveryWorld = Pick<World, 'database' | 'fetcher' | 'limits' | 'observer' | 'now' | 'random'> & {
  readonly secretKey: string
}

/** How long those that are under way may still take when it is to stop. What is cut off is sent again, under the same id. */
const GRACE_MS = 5_000

export interface Deliverer extends AsyncDisposable {
  /** Begins what is due and does not wait for its end; true when there was more than it had room for. */
  readonly turn: () => Promise<boolean>
  /** Calls `wake` whenever one has ended. */
  readonly onEnd: (wake: () => void) => Disposable
}

/**
 * Keeps many deliveries under way. A turn never waits for an endpoint, so one that hangs holds its own few places and no others.
 */
export function openDeliverer(world: DeliveryWorld, graceMs = GRACE_MS): Deliverer {
  const { database, limits, observer } = world
  const stopping = new AbortController()
  const underWay = new Set<Promise<void>>()
  const wakes = new Set<() => void>()

  function begin(claimed: ClaimedDelivery): void {
    const ended = deliver(world, claimed, stopping.signal)
      // It is sent again when its lease ends.
      .catch((cause: unknown) => observer.observe({ kind: 'background.failed', task: 'delivery', cause }))
      .finally(() => {
        underWay.delete(ended)
        for (const wake of wakes) wake()
      })
    underWay.add(ended)
  }

  return {
    async turn() {
      const room = limits.webhookSendsMax - underWay.size
      if (room <= 0) return false
      const claimed = await database.webhooks.claim(room, limits.webhookSendsPerEndpointMax, limits.webhookLeaseMs)
      for (const one of claimed) begin(one)
      return claimed.length > 0
    },
    onEnd(wake) {
      const own = () => wake()
      wakes.add(own)
      return { [Symbol.dispose]: () => void wakes.delete(own) }
    },
    async [Symbol.asyncDispose]() {
      const timer = setTimeout(() => stopping.abort(), graceMs)
      await Promise.all(underWay)
      clearTimeout(timer)
    },
  }
}

/** One attempt, and what follows from it. */
async function deliver(world: DeliveryWorld, { webhook, delivery }: ClaimedDelivery, signal: AbortSignal): Promise<void> {
  const { database, fetcher, limits, observer, now } = world
  const at = now()
  const headers = { ...signatureHeaders(world.secretKey, webhook, delivery, at), 'content-type': 'application/json' }
  const bounds = { timeoutMs: limits.webhookSendMsMax, responseBytesMax: limits.webhookResponseBytesMax }
  const answer = await fetcher
    .post(webhook.url, { headers, body: delivery.body, ...bounds }, signal)
    .catch((error: unknown) => (signal.aborted ? null : asSilence(error)))
  if (answer === null) return database.webhooks.release(delivery)
  const attempt = attemptOf(answer, at, now().getTime() - at.getTime())
  const end = endOf(world, delivery.attempts, answer, attempt)
  const isDisabled = await database.webhooks.finish(delivery, end, breakerOf(world))
  const { id: webhookId } = webhook
  observer.observe({ kind: 'webhook.sent', webhookId, deliveryId: delivery.id, state: end.state, status: attempt.status })
  if (isDisabled) observer.observe({ kind: 'webhook.disabled', webhookId, because: end.isGone ? 'gone' : 'failing' })
}

/** Why nothing was answered; what is not the endpoint's fault is thrown on. */
type Silence = Pick<SluiceError, 'code' | 'message'>

function asSilence(error: unknown): Silence {
  if (SluiceError.is(error) && !isOutage(error)) return error
  throw error
}

function attemptOf(answer: Posted | Silence, at: Date, durationMs: number): WebhookAttempt {
  const when = { at: at.toISOString(), durationMs }
  if ('code' in answer) return { ...when, status: null, response: null, error: answer.message }
  return { ...when, status: answer.status, response: answer.body, error: null }
}

function endOf(world: DeliveryWorld, attempts: number, answer: Posted | Silence, attempt: WebhookAttempt): DeliveryEnd {
  const { status } = attempt
  const isTaken = status !== null && status >= 200 && status < 300
  const isGone = status === 410
  const askedMs = retryAfterMs(world, answer)
  const waitMs = nextWaitMs(world, attempts)
  const isOver = isGone || waitMs === null
  return {
    state: isTaken ? 'delivered' : isOver ? 'failed' : 'pending',
    waitMs: Math.max(waitMs ?? 0, askedMs),
    attempt,
    isGone,
    // Who is overloaded, or down for maintenance, is so for all events.
    pauseMs: status === 429 || status === 503 ? askedMs : 0,
  }
}

/** Null: that was the last. Spread over a fifth, either way, so that what failed together does not come back together. */
function nextWaitMs({ limits, random }: DeliveryWorld, attempts: number): number | null {
  const waitMs = ATTEMPT_WAITS_MS[attempts]
  return waitMs === undefined ? null : Math.round(Math.min(waitMs, limits.webhookRetryMsMax) * (0.8 + 0.4 * random()))
}

/** RFC 9110 §10.2.3: seconds, or a date. */
function retryAfterMs({ limits, now }: DeliveryWorld, answer: Posted | Silence): number {
  const text = 'code' in answer ? null : answer.retryAfter
  if (text === null) return 0
  const waitMs = /^\d+$/.test(text) ? Number(text) * 1000 : Date.parse(text) - now().getTime()
  return Math.min(Math.max(0, waitMs || 0), limits.webhookRetryAfterMsMax)
}

function breakerOf({ limits, random }: DeliveryWorld): Breaker {
  const spread = 0.8 + 0.4 * random()
  return {
    failuresMax: limits.webhookFailuresMax,
    pauseMsMin: Math.round(limits.webhookPauseMsMin * spread),
    pauseMsMax: Math.round(limits.webhookPauseMsMax * spread),
    failingMsMax: limits.webhookFailingMsMax,
  }
}
