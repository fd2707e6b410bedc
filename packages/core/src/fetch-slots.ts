import type { TenantId } from './ids.ts'
import type { Limits } from './limits.ts'
import type { World } from './ports.ts'

/** How many fetches run in this process at a time: of one host, and in all. */
export interface FetchSlots {
  /** A slot until it is disposed of; or, when there is none, how long to stay away before asking again. */
  take(host: string, tenantId: TenantId): Promise<Slot | { readonly waitMs: number }>
  /** The host asked to be left alone for so long. Only this tenant does so: it may be a server of its own that says this. */
  rest(host: string, tenantId: TenantId, waitMs: number): void
}

export type Slot = Disposable & { readonly waitMs?: never }

interface Options {
  readonly limits: Pick<Limits, 'fetchPerHostMax' | 'sourceRetryMsMax' | 'outageWaitMs'>
  /** Fetches of all hosts together. */
  readonly max: number
  /** Whether what is fetched may be staged: while the pipeline behind it stands still, nothing is. */
  readonly hasRoom: () => Promise<boolean>
  readonly now: World['now']
}

/** Those who wait for the same thing. Each is given a moment of its own, so that they do not all come back at once. */
interface Line {
  running: number
  /** How long a fetch takes, about. */
  tookMs: number
  /** When the last of those who were sent away is to come back. */
  lastAtMs: number
  /** Nobody is let in before. */
  restsUntilMs: number
}

const WAIT_MS_MIN = 100
/** Until a first fetch has told better. */
const TOOK_MS = 500
/** Beyond that, those at which nothing happens are forgotten. */
const LINES_MAX = 1_000

export function openFetchSlots({ limits, max, hasRoom, now }: Options): FetchSlots {
  const lines = new Map<string, Line>()
  const all = newLine()
  const nowMs = () => now().getTime()

  /** The moment after those of all who were sent away before, by the pace at which slots become free. */
  const sentAway = (line: Line, slots: number) => {
    const dueMs = Math.max(line.lastAtMs, line.restsUntilMs, nowMs()) + line.tookMs / slots
    const waitMs = Math.round(Math.min(Math.max(dueMs - nowMs(), WAIT_MS_MIN), limits.sourceRetryMsMax))
    line.lastAtMs = nowMs() + waitMs
    return { waitMs }
  }

  const lineOf = (name: string) => {
    const known = lines.get(name)
    if (known) return known
    const isIdle = (line: Line) => line.running === 0 && Math.max(line.lastAtMs, line.restsUntilMs) < nowMs()
    if (lines.size >= LINES_MAX) for (const [other, line] of lines) if (isIdle(line)) lines.delete(other)
    const line = newLine()
    lines.set(name, line)
    return line
  }

  return {
    async take(host, tenantId) {
      if (!(await hasRoom())) return { waitMs: Math.max(limits.outageWaitMs, sentAway(all, max).waitMs) }
      const resting = lines.get(`${tenantId} ${host}`)
      if (resting && resting.restsUntilMs > nowMs()) return sentAway(resting, limits.fetchPerHostMax)
      const line = lineOf(host)
      if (line.running >= limits.fetchPerHostMax) return sentAway(line, limits.fetchPerHostMax)
      if (all.running >= max) return sentAway(all, max)
      return slotIn([line, all], nowMs)
    },
    rest(host, tenantId, waitMs) {
      const line = lineOf(`${tenantId} ${host}`)
      line.restsUntilMs = Math.max(line.restsUntilMs, nowMs() + Math.min(waitMs, limits.sourceRetryMsMax))
    },
  }
}

function slotIn(held: Line[], nowMs: () => number): Slot {
  const since = nowMs()
  for (const line of held) line.running += 1
  return {
    [Symbol.dispose]() {
      for (const line of held.splice(0)) {
        line.running -= 1
        line.tookMs = 0.8 * line.tookMs + 0.2 * (nowMs() - since)
      }
    },
  }
}

function newLine(): Line {
  return { running: 0, tookMs: TOOK_MS, lastAtMs: 0, restsUntilMs: 0 }
}
