/** The main job on the wire: an image comes in by one of five forms, and its ingest, or the finished image, goes out. */
import type { FastifyReply, FastifyRequest } from 'fastify'
import {
  acceptIngest,
  type Caller,
  discardOrigin,
  failpoint,
  type Ingest,
  type IngestId,
  type IngestRequest,
  type IntakeWorld,
  isRefusal,
  isTerminal,
  type Placement,
  type Product,
  readPlacement,
  SluiceError,
  sourceOf,
} from '@sluice/core'
import { callerOf } from '../authenticate.ts'
import { PROBLEM_TYPE, problemOf } from '../problem.ts'
import { type Given, readSource } from './image-source.ts'
import type { NativeOptions } from './index.ts'
import { fingerprintOf, openRepeatable, type Repeatable, sendRecorded, sourceText } from '../idempotency.ts'
import { preferredWaitMs } from '../prefer.ts'
import { waitForEnd } from '../wait-for-end.ts'
import { filePath, fileView, imagePath, imageView, ingestPath, ingestView } from './views.ts'

/** Where an image goes: to a product that there is, or to the one with this SKU, which it may wait for. Null: it is a file only. */
export type Destination = { readonly product: Product } | { readonly sku: string; readonly waitMs: number } | null

/** Takes one upload from its first byte to its answer. */
export async function takeUpload(
  { world, closing }: NativeOptions,
  request: FastifyRequest,
  reply: FastifyReply,
  destination: Destination,
): Promise<FastifyReply> {
  const caller = callerOf(request)
  const id = world.newId() as IngestId
  const repeatable = await openRepeatable(world, caller, request.headers['idempotency-key'], id)
  const ingest = await receive(world, caller, request, destination, id, repeatable).catch(async (error: unknown) => {
    // Nothing was promised under this key, so a corrected request may use it.
    if (repeatable.key && !repeatable.earlier)
      await world.database.idempotency.release(caller.tenantId, repeatable.key, id).catch(() => undefined)
    throw error
  })
  if (repeatable.earlier?.answer) return sendRecorded(reply, repeatable.earlier.answer)
  const waitMs = preferredWaitMs(request.headers.prefer, world.limits.waitMsMax)
  const seen =
    waitMs === 0
      ? ingest
      : await waitForEnd(world.database, request, ingest, AbortSignal.any([closing, AbortSignal.timeout(waitMs)])).catch(
          untold(reply, ingest),
        )
  return answer(world, caller, reply, seen, waitMs > 0, repeatable.key)
}

/** Reads the body and records the ingest, or finds the one that an equal request has made before. */
async function receive(
  world: IntakeWorld,
  caller: Caller,
  request: FastifyRequest,
  destination: Destination,
  id: IngestId,
  { key, earlier }: Repeatable,
): Promise<Ingest> {
  const { park: _, ...placed } = request.query as Record<string, unknown>
  const inAddress = destination ? placed : (request.query as Record<string, unknown>)
  const { from, fields } = await readSource(world, caller, request, inAddress)
  try {
    const placement = readPlacement(fields, world)
    if (!destination) refuseFields(fields)
    const fingerprint = fingerprintOf({
      address: `${request.method} ${addressOf(destination)}`,
      source: sourceText(sourceOf(from)),
      fields: placement,
    })
    if (earlier) return await findEarlier(world, caller, earlier, fingerprint, from)

    return await acceptIngest(world, caller, {
      id,
      from,
      ...wishOf(destination, placement),
      idempotency: key === null ? null : { key, fingerprint },
      answer: null,
    })
  } catch (error) {
    // acceptIngest has discarded what it may; doing it twice is harmless, and anything but a refusal leaves the bytes to their ingest.
    if (isRefusal(error)) await discardOrigin(from)
    throw error
  }
}

/** Whether its product came between two equal requests makes no difference between them. */
function addressOf(destination: Destination): string {
  if (!destination) return 'files'
  return 'product' in destination ? destination.product.id : `sku:${destination.sku}`
}

function wishOf(destination: Destination, placement: Placement): Pick<IngestRequest, 'target' | 'park'> {
  if (!destination) return { target: null }
  if ('sku' in destination) return { target: null, park: { ...destination, placement } }
  return { target: { kind: 'attach', productId: destination.product.id, placement } }
}

async function findEarlier(
  world: IntakeWorld,
  caller: Caller,
  earlier: NonNullable<Repeatable['earlier']>,
  fingerprint: string,
  from: Given['from'],
): Promise<Ingest> {
  await discardOrigin(from)
  if (earlier.fingerprint !== fingerprint) throw new SluiceError('idempotency_key_reused')
  const ingest = await world.database.ingests.find(caller.tenantId, earlier.ingestId)
  if (!ingest) throw new SluiceError('ingest_unknown')
  return ingest
}

/** A file without a product has no place, so fields that speak of one are a mistake. */
function refuseFields(fields: Given['fields']): void {
  const field = Object.keys(fields).find((name) => name !== 'name')
  if (field !== undefined)
    throw new SluiceError('request_invalid', `${field} is not a field of this request: a file has no place on a product.`)
}

/** 202 with the ingest's address, or the finished result for a client that preferred to wait for it. */
async function answer(
  world: IntakeWorld,
  caller: Caller,
  reply: FastifyReply,
  ingest: Ingest,
  hasWaited: boolean,
  key: string | null,
): Promise<FastifyReply> {
  const isOver = hasWaited && isTerminal(ingest.state)
  const finished = isOver ? await finishedAnswer(world, caller, ingest).catch(untold(reply, null)) : null
  const { status, headers, body } = finished ?? acceptedAnswer(ingest)
  const recorded = { status, headers, body: JSON.stringify(body) }
  // A wait that ran out is not recorded: the client's retry should wait again, and get the image.
  if (key !== null && (finished || !hasWaited)) {
    await world.database.idempotency.record(caller.tenantId, key, ingest.id, recorded).catch(() => undefined)
  }
  failpoint('in-before-reply')
  return sendRecorded(reply, recorded)
}

/** The promise stands when what became of it cannot be read: an error would make the client send the image again. */
function untold<Known>(reply: FastifyReply, known: Known): (error: unknown) => Known {
  return (error) => {
    reply.log.warn({ err: error }, 'accepted, but what became of it cannot be read')
    return known
  }
}

interface Answer {
  readonly status: number
  readonly headers: Readonly<Record<string, string>>
  readonly body: object
}

const JSON_TYPE = 'application/json; charset=utf-8'

function acceptedAnswer(ingest: Ingest): Answer {
  return { status: 202, headers: { 'content-type': JSON_TYPE, location: ingestPath(ingest.id) }, body: ingestView(ingest) }
}

async function finishedAnswer(world: IntakeWorld, { tenantId }: Caller, ingest: Ingest): Promise<Answer> {
  const { result, problem, target } = ingest
  const headers = { 'content-type': JSON_TYPE, 'preference-applied': 'wait' }
  if (!result) {
    const error = new SluiceError(problem?.code ?? 'internal_error', problem?.detail, {
      details: { ...problem?.details, ingest: ingestPath(ingest.id) },
    })
    return { status: error.status, headers: { ...headers, 'content-type': PROBLEM_TYPE }, body: problemOf(error) }
  }
  if (target && result.imageId) {
    const found = await world.database.images.find(tenantId, { kind: 'id', id: target.productId }, result.imageId)
    // Removed again since: the ingest still tells what happened.
    if (!found) return acceptedAnswer(ingest)
    return {
      status: 201,
      headers: { ...headers, location: imagePath(target.productId, result.imageId) },
      body: imageView(found.image, found.rank),
    }
  }
  const file = await world.database.files.find(tenantId, result.fileId)
  if (!file) return acceptedAnswer(ingest)
  return { status: 201, headers: { ...headers, location: filePath(file.id) }, body: fileView(file) }
}
