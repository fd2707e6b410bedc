/** The intake's half of the story: bytes are staged while they arrive, then the promise is recorded, then it is answered. */
import { createHash } from 'node:crypto'
import { isRefusal, SluiceError } from './errors.ts'
import { failpoint } from './failpoint.ts'
import { ACCEPTED_TYPES, essenceOf, isMediaType, type MediaType } from './file.ts'
import type { Digest, FileId, IngestId, TenantId } from './ids.ts'
import type { Ingest, Lane, Source } from './ingest.ts'
import { humanBytes } from './limits.ts'
import { safeFileName } from './naming.ts'
import type { Caller, NewIngest, World } from './ports.ts'

/** Enough for `Decoder.sniff`. */
const HEAD_BYTES = 4100

/** The part of the world that an intake touches: it never calls the queue, the outbox does. */
export type IntakeWorld = Omit<World, 'queue' | 'random' | 'fetchSlots'> & {
  /** What links and OAuth 1.0a secrets are derived from. Never logged. */
  readonly secretKey: string
}

/** What taking bytes in needs of it; a worker has that too. */
type StagingWorld = Pick<IntakeWorld, 'objects' | 'decoder' | 'limits' | 'newId'>

/** What a request says of the bytes that it brings. */
export interface Declaration {
  /** A Content-Type, as it was sent. */
  readonly contentType: string | null
  readonly fileName: string | null
  /** True: a type must be declared and the content must be of it. False: the content alone decides. */
  readonly typeMustMatch: boolean
  /** See `Source`; false when not given. */
  readonly reusesFile?: boolean
}

/** Bytes that rest under a staging key and belong to nobody yet. */
export interface StagedUpload {
  readonly source: Extract<Source, { kind: 'staged' }>
  /** What the first bytes show; one of the accepted types. */
  readonly mediaType: MediaType
  /** Removes the bytes again, as far as the store can be reached; what stays is swept later. */
  discard(): Promise<void>
}

/**
 * Streams bytes into staging in one pass that counts, limits, hashes and recognises them. Nothing stays behind when it
 * throws: `file_too_large`, `file_empty`, `media_type_*`, or whatever the stream itself threw.
 */
export async function stageUpload(
  world: StagingWorld,
  tenantId: TenantId,
  bytes: AsyncIterable<Uint8Array>,
  declaration: Declaration,
  signal: AbortSignal,
): Promise<StagedUpload> {
  const expected = expectedType(declaration)
  const key = `${tenantId}/${world.newId()}`
  const meter = openMeter(world, expected)
  await world.objects.stage(key, meter.through(bytes), signal)
  failpoint('in-staged')
  return {
    source: { kind: 'staged', key, ...meter.result(), ...declared(world, declaration) },
    mediaType: meter.mediaType(),
    discard: () => world.objects.unstage(key).catch(() => undefined),
  }
}

/** The same bytes under a declaration that arrived after them, as in JSON whose `media_type` follows the content. */
export function redeclare(world: StagingWorld, staged: StagedUpload, declaration: Declaration): StagedUpload {
  checkContentType(staged.mediaType, expectedType(declaration))
  return { ...staged, source: { ...staged.source, ...declared(world, declaration) } }
}

function declared({ limits }: StagingWorld, { contentType, fileName, typeMustMatch, reusesFile = false }: Declaration) {
  return { declaredType: essenceOf(contentType), typeMustMatch, fileName: safeFileName(fileName, limits), reusesFile }
}

/** Where an image comes from, as the intake has it: bytes that were staged or uploaded before, a file that is stored, or an address. */
export type Origin = StagedUpload | FileId | Extract<Source, { kind: 'url' | 'uploaded' }>

/** The address of a file, which the worker fetches. Throws `url_invalid`, `url_forbidden`. */
export function urlOrigin({ fetcher, limits }: Pick<World, 'fetcher' | 'limits'>, url: string, fileName: string | null): Origin {
  return { kind: 'url', url: fetcher.check(url), fileName: safeFileName(fileName, limits) }
}

export function sourceOf(from: Origin): Source {
  if (typeof from === 'string') return { kind: 'file', fileId: from }
  return 'kind' in from ? from : from.source
}

/** Takes back what nobody was promised. */
export async function discardOrigin(from: Origin): Promise<void> {
  if (typeof from !== 'string' && !('kind' in from)) await from.discard()
}

/** What an ingest is made of, apart from who asks. */
export interface IngestRequest {
  readonly id: IngestId
  readonly from: Origin
  readonly target: Ingest['target']
  readonly lane?: Lane
  readonly park?: NonNullable<NewIngest['park']>
  readonly idempotency: NewIngest['idempotency']
  readonly answer: NewIngest['answer']
}

/**
 * Records the promise. Whatever the database throws but a refusal may have come after its commit: the ingest is looked up, and
 * staged bytes are discarded only when it is certain that no ingest holds them.
 */
export async function acceptIngest(
  world: Pick<IntakeWorld, 'database' | 'observer'>,
  caller: Pick<Caller, 'tenantId' | 'tokenId'>,
  request: IngestRequest,
): Promise<Ingest> {
  const { from, ...rest } = request
  const source = sourceOf(from)
  try {
    failpoint('in-before-commit')
    const ingest = await world.database.ingests.accept({ ...rest, source, tenantId: caller.tenantId, tokenId: caller.tokenId })
    failpoint('in-after-commit')
    world.observer.observe({ kind: 'ingest.accepted', ingestId: ingest.id, bytes: 'bytes' in source ? source.bytes : 0 })
    return ingest
  } catch (error) {
    if (isRefusal(error)) {
      await discardOrigin(from)
      throw error
    }
    const recorded = await world.database.ingests.find(caller.tenantId, request.id).catch(() => null)
    if (recorded) return recorded
    throw error
  }
}

/** The type that the content must have; null when the content alone decides. Throws unless one that is needed is there and accepted. */
export function expectedType({ contentType, typeMustMatch }: Declaration): MediaType | null {
  if (!typeMustMatch) return null
  const type = essenceOf(contentType)
  if (type === null) {
    throw new SluiceError('media_type_missing', `Declare the media type of the file. Accepted are ${ACCEPTED_TYPES}.`)
  }
  if (!isMediaType(type)) {
    throw new SluiceError('media_type_unsupported', `The declared type ${type} is not accepted. Accepted are ${ACCEPTED_TYPES}.`)
  }
  return type
}

/** Throws unless the content is of an accepted type, and of the declared one where that matters. */
export function checkContentType(actualType: string | null, declaredType: string | null): MediaType {
  const found = actualType ?? 'no image type that we know'
  if (declaredType !== null && actualType !== declaredType) {
    throw new SluiceError('media_type_mismatched', `The file was declared as ${declaredType}, but its content is ${found}.`)
  }
  if (actualType === null || !isMediaType(actualType)) {
    throw new SluiceError('media_type_unsupported', `The content of the file is ${found}. Accepted are ${ACCEPTED_TYPES}.`)
  }
  return actualType
}

/** Passes bytes on unchanged while it learns all that can be learned from one pass. */
function openMeter(world: StagingWorld, declaredType: string | null) {
  const hash = createHash('sha256')
  const { fileBytesMax } = world.limits
  let bytes = 0
  let head = new Uint8Array(0)
  let mediaType: MediaType | null = null

  const recognise = async () => {
    mediaType = checkContentType(await world.decoder.sniff(head), declaredType)
  }

  async function* through(chunks: AsyncIterable<Uint8Array>): AsyncIterable<Uint8Array> {
    for await (const chunk of chunks) {
      failpoint('in-body')
      bytes += chunk.byteLength
      if (bytes > fileBytesMax) {
        throw new SluiceError('file_too_large', `The file is larger than ${humanBytes(fileBytesMax)}.`, {
          details: { bytesMax: fileBytesMax },
        })
      }
      hash.update(chunk)
      if (mediaType === null) {
        head = Buffer.concat([head, chunk.subarray(0, HEAD_BYTES - head.byteLength)])
        if (head.byteLength === HEAD_BYTES) await recognise()
      }
      yield chunk
    }
    if (bytes === 0) throw new SluiceError('file_empty')
    if (mediaType === null) await recognise()
  }

  return {
    through,
    result: () => ({ bytes, digest: hash.digest('hex') as Digest }),
    mediaType: () => {
      if (mediaType === null) throw new Error('the store did not read the stream to its end')
      return mediaType
    },
  }
}
