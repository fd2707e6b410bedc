/**
 * What becomes of an upload that was asked for before it was made. Who says that it is complete, the client, a notification of the
 * bucket or nobody, is never believed: the bytes are looked for. So what is said twice, too late or by a stranger changes nothing.
 */
import { acceptIngest, expectedType, type IntakeWorld, stageUpload } from './accept-upload.ts'
import { SluiceError } from './errors.ts'
import type { IngestId, TenantId } from './ids.ts'
import type { Ingest } from './ingest.ts'
import { humanBytes } from './limits.ts'
import { safeFileName } from './naming.ts'
import { bucketKeyOf, type NewUpload, receivedBytes, type Upload, uploadOfKey, type UploadPart } from './upload.ts'

type UploadWorld = Pick<IntakeWorld, 'database' | 'objects' | 'observer'>

export type UploadRequest = Omit<NewUpload, 'bucketKey' | 'ttlMs' | 'declaredType'> & {
  /** As it was sent; null: the content alone decides. */
  readonly contentType: string | null
  /** True: into the bucket, if clients can reach it. */
  readonly direct: boolean
}

/** Throws `file_empty`, `file_too_large`, `media_type_unsupported`, `uploads_exceeded`. */
export async function reserveUpload(
  { database, objects, limits }: Pick<IntakeWorld, 'database' | 'objects' | 'limits'>,
  { direct, contentType, ...request }: UploadRequest,
): Promise<Upload> {
  const { id, tenantId, bytes } = request
  if (bytes === 0) throw new SluiceError('file_empty')
  if (bytes > limits.fileBytesMax) {
    throw new SluiceError('file_too_large', `The file is larger than ${humanBytes(limits.fileBytesMax)}.`, {
      details: { bytesMax: limits.fileBytesMax },
    })
  }
  const bucketKey = direct && objects.takesDirectUploads ? bucketKeyOf(tenantId, id) : null
  const fileName = safeFileName(request.fileName, limits)
  const declaredType = expectedType({ contentType, fileName, typeMustMatch: contentType !== null })
  return database.uploads.reserve({ ...request, declaredType, fileName, bucketKey, ttlMs: limits.uploadMsMax }, limits)
}

/**
 * Takes the whole of an upload in one stream. When it is complete already, by whichever bytes came first, nothing changes. Throws
 * `upload_over`, `upload_incomplete`, `digest_mismatched`, and what `stageUpload` throws.
 */
export async function takeUploadContent(
  world: UploadWorld & Pick<IntakeWorld, 'decoder' | 'limits' | 'newId'>,
  upload: Upload,
  bytes: AsyncIterable<Uint8Array>,
  signal: AbortSignal,
): Promise<Ingest> {
  const { tenantId, id, declaredType, fileName } = upload
  if (upload.state !== 'open') return completeUpload(world, tenantId, id)
  const declaration = { contentType: declaredType, fileName, typeMustMatch: declaredType !== null }
  const staged = await stageUpload(world, tenantId, bytes, declaration, signal)
  const { key, digest, bytes: received } = staged.source
  try {
    if (received !== upload.bytes) throw incomplete(upload, received)
    if (upload.sha256 !== null && digest !== upload.sha256) throw new SluiceError('digest_mismatched')
    const appended = await world.database.uploads.append(tenantId, id, 0, { key, bytes: received })
    if (!appended) await discardUnless(world, upload, key)
  } catch (error) {
    await discardUnless(world, upload, key)
    throw error
  }
  return completeUpload(world, tenantId, id)
}

/** An answer may have been lost after the part was noted: then it belongs to the upload. */
async function discardUnless({ database, objects }: UploadWorld, { tenantId, id }: Upload, key: string): Promise<void> {
  const found = await database.uploads.find(tenantId, id).catch(() => null)
  if (found && !found.parts.some((part) => part.key === key)) await objects.unstage(key).catch(() => undefined)
}

/**
 * Stages bytes while they arrive, in parts that are noted one by one: what was noted is never asked for again, whatever dies. A
 * stream that breaks off leaves what has come. Returns how many bytes there are now; throws `upload_conflicted` when somebody else
 * has written at this place, `upload_over` when it is not open any more.
 */
export async function appendToUpload(
  world: UploadWorld & Pick<IntakeWorld, 'limits' | 'newId'>,
  upload: Upload,
  bytes: AsyncIterable<Uint8Array>,
  signal: AbortSignal,
): Promise<number> {
  const { database, objects, limits, newId } = world
  const { tenantId, id } = upload
  const source = openPieces(bytes)
  let offset = receivedBytes(upload)
  let { length: parts } = upload.parts
  try {
    while (await source.hasMore()) {
      if (parts >= limits.uploadPartsMax) throw new SluiceError('upload_parts_exceeded')
      const key = `${tenantId}/${newId()}`
      const piece = source.piece(Math.min(limits.uploadPartBytesMax, upload.bytes - offset))
      await objects.stage(key, piece.bytes, signal)
      const part: UploadPart = { key, bytes: piece.count() }
      const appended = await database.uploads.append(tenantId, id, offset, part).catch(async (error: unknown) => {
        await discardUnless(world, upload, key)
        throw error
      })
      if (!appended) {
        await discardUnless(world, upload, key)
        throw await lostPlace(world, upload)
      }
      offset += part.bytes
      parts += 1
      if (offset === upload.bytes) break
    }
  } finally {
    source.close()
  }
  return offset
}

async function lostPlace({ database }: UploadWorld, { tenantId, id }: Upload): Promise<SluiceError> {
  const found = await database.uploads.find(tenantId, id)
  return new SluiceError(found?.state === 'open' ? 'upload_conflicted' : 'upload_over')
}

/** Cuts a stream into pieces that can be staged one after the other. The error that ends it ends it as if it were over. */
function openPieces(bytes: AsyncIterable<Uint8Array>) {
  const iterator = bytes[Symbol.asyncIterator]()
  let rest: Uint8Array = new Uint8Array(0)
  const next = async (): Promise<boolean> => {
    while (rest.byteLength === 0) {
      const read = await iterator.next().catch(() => ({ done: true }) as const)
      if (read.done) return false
      rest = read.value
    }
    return true
  }
  return {
    hasMore: next,
    piece(bytesMax: number) {
      let count = 0
      async function* take(): AsyncIterable<Uint8Array> {
        while (count < bytesMax && (await next())) {
          const chunk = rest.subarray(0, bytesMax - count)
          rest = rest.subarray(chunk.byteLength)
          count += chunk.byteLength
          yield chunk
        }
      }
      return { bytes: take(), count: () => count }
    },
    // What is silent ends by itself; what it throws then concerns nobody.
    close: () => void iterator.return?.()?.then(undefined, () => {}),
  }
}

/**
 * Makes an ingest of an upload whose bytes are all there, under the same id; however often, by whomever. Throws `upload_unknown`,
 * `upload_incomplete` while bytes are missing, `upload_over` when it was given up.
 */
export async function completeUpload(world: UploadWorld, tenantId: TenantId, id: IngestId): Promise<Ingest> {
  const { uploads } = world.database
  const upload = await uploads.find(tenantId, id)
  if (!upload) throw new SluiceError('upload_unknown')
  if (upload.state === 'open') {
    const received = await sizeOf(world, upload)
    if (received !== upload.bytes) throw incomplete(upload, received)
  }
  const closed = upload.state === 'open' ? await uploads.close(tenantId, id, 'completed') : upload
  const decided = closed ?? (await uploads.find(tenantId, id))
  if (decided?.state !== 'completed') throw new SluiceError('upload_over')
  return keepPromise(world, decided)
}

/**
 * For events of the bucket: the key of the object as they tell it. What is no upload's, or another tenant's than the one to whom the
 * event came, is `upload_unknown`: who may speak for the bucket of one speaks for nobody else.
 */
export async function completeUploadAt(world: UploadWorld, tenantId: TenantId, key: string): Promise<Ingest> {
  const named = uploadOfKey(key)
  if (named?.tenantId.toLowerCase() !== tenantId) throw new SluiceError('upload_unknown')
  return completeUpload(world, tenantId, named.id)
}

async function sizeOf({ objects }: UploadWorld, upload: Upload): Promise<number> {
  return upload.bucketKey === null ? receivedBytes(upload) : ((await objects.statStaged(upload.bucketKey)) ?? 0)
}

function incomplete({ bytes }: Upload, received: number): SluiceError {
  return new SluiceError('upload_incomplete', `Of ${bytes} bytes ${received} are there.`, { details: { bytes, received } })
}

async function keepPromise(world: UploadWorld, upload: Upload): Promise<Ingest> {
  const { id, tenantId, tokenId, target, bytes, declaredType, fileName, sha256 } = upload
  const known = upload.settledAt && (await world.database.ingests.find(tenantId, id))
  if (known) return known
  const typeMustMatch = declaredType !== null
  const source = { kind: 'uploaded', keys: keysOf(upload), bytes, declaredType, typeMustMatch, fileName, sha256 } as const
  const promise = { id, from: source, target, idempotency: null, answer: null }
  const ingest = await acceptIngest(world, { tenantId, tokenId }, promise)
  await world.database.uploads.settle(tenantId, id)
  return ingest
}

function keysOf({ bucketKey, parts }: Upload): readonly string[] {
  return bucketKey === null ? parts.map(({ key }) => key) : [bucketKey]
}

/** Gives an upload up, and its bytes. Throws `upload_unknown`, and `upload_over` when it is complete. Twice is fine. */
export async function cancelUpload(world: UploadWorld, tenantId: TenantId, id: IngestId): Promise<void> {
  const { uploads } = world.database
  const closed = (await uploads.close(tenantId, id, 'cancelled')) ?? (await uploads.find(tenantId, id))
  if (!closed) throw new SluiceError('upload_unknown')
  if (closed.state === 'completed') throw new SluiceError('upload_over')
  await letGo(world, closed)
}

async function letGo({ database, objects }: UploadWorld, upload: Upload): Promise<void> {
  if (upload.settledAt) return
  for (const key of keysOf(upload)) await objects.unstage(key)
  await database.uploads.settle(upload.tenantId, upload.id)
}

/**
 * One turn of upkeep: completes what nobody has told of, gives up what did not come in time, and ends what a crash left half done.
 * Returns how many it looked at.
 */
export async function settleUploads(world: UploadWorld & Pick<IntakeWorld, 'limits' | 'now'>): Promise<number> {
  const { database, limits } = world
  const taken = await database.uploads.takeUnsettled(limits.uploadLookMs, limits.uploadBatchMax)
  for (const upload of taken) await settleUpload(world, upload)
  return taken.length
}

async function settleUpload(world: UploadWorld & Pick<IntakeWorld, 'limits' | 'now'>, upload: Upload): Promise<void> {
  const { tenantId, id } = upload
  if (upload.state === 'completed') await keepPromise(world, upload)
  else if (upload.state !== 'open') await letGo(world, upload)
  else if ((await sizeOf(world, upload)) === upload.bytes) await completeUpload(world, tenantId, id)
  else if (upload.expiresAt < world.now()) await expire(world, upload)
}

async function expire(world: UploadWorld, { tenantId, id }: Upload): Promise<void> {
  const closed = await world.database.uploads.close(tenantId, id, 'expired')
  if (closed) await letGo(world, closed)
}
