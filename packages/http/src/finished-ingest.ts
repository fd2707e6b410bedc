/** For APIs whose clients expect a finished answer: the image goes the way of every other, and the request waits for it. */
import type { FastifyReply, FastifyRequest } from 'fastify'
import {
  acceptIngest,
  type Caller,
  type FileId,
  type ImageId,
  type Ingest,
  type IngestId,
  type IntakeWorld,
  isTerminal,
  SluiceError,
  sourceOf,
  type StagedUpload,
  type Target,
} from '@sluice/core'
import { callerOf } from './authenticate.ts'
import type { DialectContext } from './dialect.ts'
import { fingerprintOf, openRepeatable, sourceText } from './idempotency.ts'
import { ingestPath, ingestView } from './native/views.ts'
import { prefersAsync } from './prefer.ts'
import { waitForEnd } from './wait-for-end.ts'

export interface ImageRequest {
  readonly from: StagedUpload | FileId
  readonly target: Target | null
  /**
   * Where one request brings several images, which of them this is: each has its own share of an Idempotency-Key, and is waited
   * for, since the next may depend on it.
   */
  readonly part?: string
}

/** `accepted` only for a client that asked not to wait (RFC 7240 `respond-async`): answer it with `sendAccepted`. */
export type Brought =
  | { readonly kind: 'committed'; readonly fileId: FileId; readonly imageId: ImageId | null }
  | { readonly kind: 'accepted'; readonly ingest: Ingest }

/**
 * Records the ingest and waits until it is over. Throws what it was rejected for, and `service_unavailable` when it takes too
 * long: then it goes on, and the client's repeat finds it, by its Idempotency-Key or, without one, by being the same request
 * from the same caller with the same bytes. Two equal requests that were both answered are two images.
 */
export async function bringImage(
  context: DialectContext,
  request: FastifyRequest,
  reply: FastifyReply,
  image: ImageRequest,
): Promise<Brought> {
  const { world, closing } = context
  const caller = callerOf(request)
  const ingest = await record(world, caller, request, image)
  using answer = holdAnswer(world, reply, ingest.id)
  if (image.part === undefined && prefersAsync(request.headers.prefer)) {
    answer.isKnown()
    return { kind: 'accepted', ingest }
  }

  const enough = AbortSignal.any([closing, AbortSignal.timeout(world.limits.answerMsMax)])
  const seen = await waitForEnd(world.database, request, ingest, enough)
  if (!isTerminal(seen.state)) {
    throw new SluiceError(
      'service_unavailable',
      'The image was accepted and is still being worked on. Send the request again for the result.',
    )
  }
  answer.isKnown()
  const { result, problem } = seen
  if (!result)
    throw new SluiceError(
      problem?.code ?? 'internal_error',
      problem?.detail,
      problem?.details ? { details: problem.details } : {},
    )
  return { kind: 'committed', ...result }
}

/** 202 with the address of the ingest in our own API. */
export function sendAccepted(reply: FastifyReply, ingest: Ingest): FastifyReply {
  return reply
    .code(202)
    .headers({ location: ingestPath(ingest.id), 'preference-applied': 'respond-async' })
    .type('application/json; charset=utf-8')
    .serializer((payload) => String(payload))
    .send(JSON.stringify(ingestView(ingest)))
}

/** The ingest of this request: the one that an equal request has made and got no answer for, or a new one. */
async function record(
  world: IntakeWorld,
  caller: Caller,
  request: FastifyRequest,
  { from, target, part }: ImageRequest,
): Promise<Ingest> {
  const { database, limits } = world
  const id = world.newId() as IngestId
  const fingerprint = fingerprintOf({
    address: `${caller.tokenId} ${request.method} ${request.url}`,
    source: sourceText(sourceOf(from)),
    fields: target ?? {},
  })
  const discard = async () => void (typeof from === 'string' || (await from.discard()))
  try {
    const { key, earlier } = await openRepeatable(world, caller, keyOf(request, part), id)
    if (key === null) {
      const unanswered = await claimUnanswered(world, caller, fingerprint)
      if (unanswered) {
        await discard()
        return unanswered
      }
      return await acceptIngest(world, caller, {
        id,
        from,
        target,
        idempotency: null,
        answer: { fingerprint, leaseMs: limits.answerLeaseMs },
      })
    }
    if (!earlier) return await acceptUnder(world, caller, { key, fingerprint }, { id, from, target })
    await discard()
    if (earlier.fingerprint !== fingerprint) throw new SluiceError('idempotency_key_reused')
    const ingest = await database.ingests.find(caller.tenantId, earlier.ingestId)
    if (!ingest) throw new SluiceError('ingest_unknown')
    return ingest
  } catch (error) {
    // Only a refusal tells for certain that nothing was recorded; anything else leaves the bytes to the sweeper.
    if (SluiceError.is(error) && error.status < 500) await discard()
    throw error
  }
}

/**
 * What an equal request has brought whose answer was lost. One that came to nothing is tried anew, since what it lacked may be there
 * by now, and so is one whose image was taken off again.
 */
async function claimUnanswered(
  { database, limits }: IntakeWorld,
  { tenantId }: Caller,
  fingerprint: string,
): Promise<Ingest | null> {
  const { answerLeaseMs, answerClaimMsMax } = limits
  const ingest = await database.ingests.claimUnanswered(tenantId, fingerprint, answerLeaseMs, answerClaimMsMax)
  if (!ingest) return null
  const { state, target, result } = ingest
  const isNothing = state === 'failed' || state === 'rejected'
  const imageId = target && result?.imageId
  if (!isNothing && (!imageId || (await database.images.find(tenantId, { kind: 'id', id: target.productId }, imageId))))
    return ingest
  await database.ingests.markAnswered(ingest.id)
  return null
}

function keyOf({ headers }: FastifyRequest, part: string | undefined): unknown {
  const key = headers['idempotency-key']
  return part === undefined || typeof key !== 'string' ? key : `${key.trim().replace(/^"(.*)"$/, '$1')}:${part}`
}

/** Gives the key back when nothing was promised under it, so that a corrected request may use it. */
async function acceptUnder(
  world: IntakeWorld,
  caller: Caller,
  idempotency: { readonly key: string; readonly fingerprint: string },
  request: ImageRequest & { readonly id: IngestId },
): Promise<Ingest> {
  try {
    return await acceptIngest(world, caller, { ...request, idempotency, answer: null })
  } catch (error) {
    await world.database.idempotency.release(caller.tenantId, idempotency.key, request.id).catch(() => undefined)
    throw error
  }
}

/**
 * Says from time to time that somebody waits for the answer, and at the end whether it was delivered. All of it may fail: the
 * lease then ends by itself.
 */
function holdAnswer({ database, limits }: IntakeWorld, reply: FastifyReply, id: IngestId): Disposable & { isKnown(): void } {
  let isKnown = false
  const say = (saying: Promise<void>) => void saying.catch(() => undefined)
  const renewing = setInterval(() => say(database.ingests.holdAnswer(id, limits.answerLeaseMs)), limits.answerLeaseMs / 3)
  reply.raw.once('close', () => {
    clearInterval(renewing)
    const isDelivered = isKnown && reply.raw.writableFinished && reply.statusCode < 500
    say(isDelivered ? database.ingests.markAnswered(id) : database.ingests.holdAnswer(id, 0))
  })
  return { isKnown: () => void (isKnown = true), [Symbol.dispose]: () => clearInterval(renewing) }
}
