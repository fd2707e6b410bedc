/** The main job on the wire: an image comes in by one of four forms, and its ingest, or the finished image, goes out. */
import type { FastifyReply, FastifyRequest } from 'fastify'
import {
  acceptIngest,
  type Caller,
  type FileId,
  type Ingest,
  type IngestId,
  type IntakeWorld,
  isTerminal,
  isUuid,
  type Product,
  redeclare,
  SluiceError,
  type StagedUpload,
  stageUpload,
  waitForIngest,
} from '@sluice/core'
import { STRICT_BASE64 } from '../bodies/base64.ts'
import { type FormProfile, readUpload } from '../bodies/read-upload.ts'
import { callerOf } from '../authenticate.ts'
import { PROBLEM_TYPE, problemOf } from '../problem.ts'
import { fingerprintOf, openRepeatable, type Repeatable, sendRecorded } from './idempotency.ts'
import { readPlacement } from './placement.ts'
import { preferredWaitMs } from './prefer.ts'
import { filePath, fileView, imagePath, imageView, ingestPath, ingestView } from './views.ts'

/** Takes one upload from its first byte to its answer. `product` is null for a file without a target. */
export async function takeUpload(
  world: IntakeWorld,
  request: FastifyRequest,
  reply: FastifyReply,
  product: Product | null,
): Promise<FastifyReply> {
  const caller = callerOf(request)
  const id = world.newId() as IngestId
  const repeatable = await openRepeatable(world, caller, request.headers['idempotency-key'], id)
  const ingest = await receive(world, caller, request, product, id, repeatable).catch(async (error: unknown) => {
    // Nothing was promised under this key, so a corrected request may use it.
    if (repeatable.key && !repeatable.earlier)
      await world.database.idempotency.release(caller.tenantId, repeatable.key, id).catch(() => undefined)
    throw error
  })
  if (repeatable.earlier?.answer) return sendRecorded(reply, repeatable.earlier.answer)
  return answer(world, caller, request, reply, ingest, repeatable.key)
}

/** Reads the body and records the ingest, or finds the one that an equal request has made before. */
async function receive(
  world: IntakeWorld,
  caller: Caller,
  request: FastifyRequest,
  product: Product | null,
  id: IngestId,
  { key, earlier }: Repeatable,
): Promise<Ingest> {
  const { from, fields } = await readSource(world, caller, request)
  try {
    const placement = readPlacement(fields, world)
    if (!product) refuseFields(fields)
    const source = typeof from === 'string' ? from : `${from.source.digest} ${from.source.declaredType} ${from.source.fileName}`
    const fingerprint = fingerprintOf({ address: `${request.method} ${product?.id ?? 'files'}`, source, fields: placement })
    if (earlier) return await findEarlier(world, caller, earlier, fingerprint, from)

    const target = product && { productId: product.id, placement }
    return await acceptIngest(world, caller, { id, from, target, idempotency: key === null ? null : { key, fingerprint } })
  } catch (error) {
    // acceptIngest has discarded what it may; doing it twice is harmless, and an outage leaves the bytes to their ingest.
    if (SluiceError.is(error) && error.status < 500) await discard(from)
    throw error
  }
}

async function findEarlier(
  world: IntakeWorld,
  caller: Caller,
  earlier: NonNullable<Repeatable['earlier']>,
  fingerprint: string,
  from: StagedUpload | FileId,
): Promise<Ingest> {
  await discard(from)
  if (earlier.fingerprint !== fingerprint) throw new SluiceError('idempotency_key_reused')
  const ingest = await world.database.ingests.find(caller.tenantId, earlier.ingestId)
  if (!ingest) throw new SluiceError('ingest_unknown')
  return ingest
}

interface Given {
  readonly from: StagedUpload | FileId
  readonly fields: Readonly<Record<string, unknown>>
}

/** What an upload looks like here. */
const FORM: FormProfile = {
  filePart: 'file',
  base64: { path: ['file', 'base64'], policy: STRICT_BASE64 },
  raw: true,
}

/** The four forms become one: staged bytes or a file id, and the fields beside them. */
async function readSource(world: IntakeWorld, caller: Caller, request: FastifyRequest): Promise<Given> {
  const { tenantId } = caller
  const signal = AbortSignal.timeout(world.limits.requestMsMax)
  const body = await readUpload(request.raw, {
    limits: world.limits,
    signal,
    form: FORM,
    stage: (bytes, { declaredType, fileName }) =>
      stageUpload(world, tenantId, bytes, { contentType: declaredType, fileName, typeMustMatch: declaredType !== null }, signal),
  })
  try {
    const { file, file_id: fileId, ...fields } = { ...(request.query as object), ...body.fields } as Record<string, unknown>
    if (body.staged && fileId !== undefined)
      throw new SluiceError('source_ambiguous', 'Give the file itself or a file_id, not both.')
    if (body.staged) return declareStaged(world, body.staged, file, fields)
    if (fileId === undefined)
      throw new SluiceError(
        'source_missing',
        'Send a file as multipart/form-data, as JSON with file.base64, as a raw image body, or give a file_id.',
      )
    if (typeof fileId !== 'string' || !isUuid(fileId))
      throw new SluiceError('file_reference_unknown', 'file_id must be the id of a file.')
    if (file !== undefined) throw new SluiceError('source_ambiguous', 'Give the file itself or a file_id, not both.')
    return { from: fileId.toLowerCase() as FileId, fields }
  } catch (error) {
    await body.staged?.discard()
    throw error
  }
}

/** In JSON the type and the name stand beside the content, before or after it, and the file's name is also the image's. */
function declareStaged(world: IntakeWorld, staged: StagedUpload, file: unknown, fields: Given['fields']): Given {
  const { contentType, fileName } =
    file === undefined ? { contentType: staged.source.declaredType, fileName: staged.source.fileName } : readFileMember(file)
  const from = redeclare(world, staged, { contentType, fileName, typeMustMatch: true })
  return { from, fields: file === undefined || fileName === null ? fields : { name: fileName, ...fields } }
}

function readFileMember(file: unknown): { contentType: string | null; fileName: string | null } {
  const { media_type: contentType = null, name: fileName = null, base64: _content, ...rest } = file as Record<string, unknown>
  const [unknown] = Object.keys(rest)
  if (unknown !== undefined) throw new SluiceError('request_invalid', `file.${unknown} is not a field of this request.`)
  if (contentType !== null && typeof contentType !== 'string')
    throw new SluiceError('request_invalid', 'file.media_type must be a text.')
  if (fileName !== null && typeof fileName !== 'string') throw new SluiceError('request_invalid', 'file.name must be a text.')
  return { contentType, fileName }
}

/** A file without a product has no place, so fields that speak of one are a mistake. */
function refuseFields(fields: Given['fields']): void {
  const [field] = Object.keys(fields).filter((name) => name !== 'name')
  if (field !== undefined)
    throw new SluiceError('request_invalid', `${field} is not a field of this request: a file has no place on a product.`)
}

async function discard(from: StagedUpload | FileId): Promise<void> {
  if (typeof from !== 'string') await from.discard()
}

/** 202 with the ingest's address, or the finished result for a client that prefers to wait for it. */
async function answer(
  world: IntakeWorld,
  caller: Caller,
  request: FastifyRequest,
  reply: FastifyReply,
  accepted: Ingest,
  key: string | null,
): Promise<FastifyReply> {
  const waitMs = preferredWaitMs(request.headers.prefer, world.limits.waitMsMax)
  const ingest = waitMs === 0 ? accepted : await waited(world, request, accepted, waitMs)
  const finished = waitMs > 0 && isTerminal(ingest.state)
  const { status, headers, body } = finished ? await finishedAnswer(world, caller, ingest) : acceptedAnswer(ingest)
  const recorded = { status, headers, body: JSON.stringify(body) }
  // A wait that ran out is not recorded: the client's retry should wait again, and get the image.
  if (key !== null && (finished || waitMs === 0)) {
    await world.database.idempotency.record(caller.tenantId, key, ingest.id, recorded).catch(() => undefined)
  }
  return sendRecorded(reply, recorded)
}

async function waited(world: IntakeWorld, request: FastifyRequest, ingest: Ingest, waitMs: number): Promise<Ingest> {
  const gone = new AbortController()
  const onClose = () => gone.abort()
  request.raw.socket.once('close', onClose)
  try {
    const signal = AbortSignal.any([gone.signal, AbortSignal.timeout(waitMs)])
    return (await waitForIngest(world.database, ingest.tenantId, ingest.id, signal)) ?? ingest
  } finally {
    request.raw.socket.off('close', onClose)
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
