/** What a client sends: an image and what is said of it, in one of three formats. */
import type { IncomingHttpHeaders } from 'node:http'
import type { FastifyRequest } from 'fastify'
import { type Caller, type IntakeWorld, type Limits, redeclare, SluiceError, type StagedUpload, stageUpload } from '@sluice/core'
import { type FormProfile, readUpload } from '../bodies/read-upload.ts'
import { deadlineOf } from '../body-deadline.ts'
import { badRequest, dataInvalid, fieldInvalid, imageMissing, methodMissing, mimeUnsupported, unknownError } from './errors.ts'

/** PHP's strict decoding skips whitespace, and misses no padding. */
const BASE64 = { whitespace: 'allow', padding: 'optional' } as const

const FORM: FormProfile = {
  filePart: null,
  raw: false,
  base64: { path: ['file_content'], policy: BASE64 },
  xml: { path: ['file_content'], item: 'data_item', policy: BASE64 },
  query: { name: 'file_content', policy: BASE64 },
}

/** Exact, as in the other system; AVIF is ours. */
const MIME_TYPES = new Set(['image/webp', 'image/jpg', 'image/jpeg', 'image/gif', 'image/png', 'image/avif'])

/** Undefined is what the request does not speak of. */
interface Fields {
  readonly fileName: string | undefined
  readonly label: string | undefined
  readonly position: number | undefined
  readonly excluded: boolean | undefined
  /** A list, or a single name that stands for itself. */
  readonly types: readonly string[] | string | undefined
}

export interface ImageBody extends Fields {
  readonly upload: StagedUpload | null
}

/** Reads a body that creates or changes an image. Whatever it throws, nothing stays staged. */
export async function readImageBody(world: IntakeWorld, caller: Caller, request: FastifyRequest): Promise<ImageBody> {
  if (isEmpty(request.headers)) throw dataInvalid()
  const signal = deadlineOf(request)
  const { staged, fields } = await readUpload(request.raw, {
    form: FORM,
    limits: world.limits,
    signal,
    stage: (bytes) => stageOrRefuse(world, caller, bytes, signal),
  })
  try {
    if (Object.hasOwn(fields, 'data_item')) throw methodMissing()
    const known = readFields(fields, world.limits)
    const mimeType = text(fields['file_mime_type'])
    if (!staged && mimeType === '' && Object.values(known).every((value) => value === undefined)) throw dataInvalid()
    return { ...known, upload: staged && accepted(world, staged, mimeType, known.fileName ?? null) }
  } catch (error) {
    await staged?.discard()
    throw error
  }
}

/** Bytes that were refused are remembered: what stands behind them in the body may be at fault before them. */
type Taken = { readonly upload: StagedUpload | null; readonly refusal: unknown; discard(): Promise<void> }

async function stageOrRefuse(
  world: IntakeWorld,
  { tenantId }: Caller,
  bytes: AsyncIterable<Uint8Array>,
  signal: AbortSignal,
): Promise<Taken> {
  const rest = bytes[Symbol.asyncIterator]()
  // Without `return`, so that it can be read on.
  const source = { [Symbol.asyncIterator]: () => ({ next: () => rest.next() }) }
  try {
    const declaration = { contentType: null, fileName: null, typeMustMatch: false }
    const upload = await stageUpload(world, tenantId, source, declaration, signal)
    return { upload, refusal: null, discard: () => upload.discard() }
  } catch (error) {
    if (!SluiceError.is(error, 'media_type_unsupported') && !SluiceError.is(error, 'file_empty')) throw error
    while (!(await rest.next()).done);
    return { upload: null, refusal: error, discard: async () => undefined }
  }
}

/** The order of the other system: nothing there, a type that it does not take, no image after all. */
function accepted(world: IntakeWorld, { upload, refusal }: Taken, mimeType: string, fileName: string | null): StagedUpload {
  if (SluiceError.is(refusal, 'file_empty') || mimeType === '') throw imageMissing()
  if (!MIME_TYPES.has(mimeType)) throw mimeUnsupported()
  if (!upload) throw unknownError()
  return redeclare(world, upload, { contentType: mimeType, fileName, typeMustMatch: false })
}

/** For requests with a body, before the framework looks at it, which has other words for what is malformed. */
export async function checkContentType({ headers: { 'content-type': header } }: FastifyRequest): Promise<void> {
  if (!header) throw badRequest('Content-Type header is empty')
  const [, type, rest = ''] = /^\s*([\w.+-]+\/[\w.+-]+)\s*(;.*)?$/.exec(header) ?? []
  if (type === undefined) throw badRequest('Invalid Content-Type header')
  const charset = /;\s*charset\s*=\s*"?([^";\s]*)/i.exec(rest)?.[1]
  if (charset !== undefined && charset.toLowerCase() !== 'utf-8') throw badRequest('UTF-8 is the only supported charset')
  if (!BODY_TYPES.has(type.toLowerCase()))
    throw badRequest(`Server can not understand Content-Type HTTP header media type "${type}"`)
}

const BODY_TYPES = new Set(['application/json', 'application/xml', 'text/xml', 'application/xhtml+xml', 'text/plain'])

function isEmpty(headers: IncomingHttpHeaders): boolean {
  return headers['transfer-encoding'] === undefined && Number(headers['content-length'] ?? 0) === 0
}

/** Fields that are not known are ignored, and null is the same as nothing. */
function readFields(fields: Readonly<Record<string, unknown>>, limits: Limits): Fields {
  const given = <Value>(name: string, read: (value: unknown) => Value) => {
    const value = fields[name]
    return value === undefined || value === null ? undefined : read(value)
  }
  return {
    fileName: given('file_name', (value) => readText('file_name', value, limits.fileNameLengthMax)),
    label: given('label', (value) => readText('label', value, limits.labelLengthMax)),
    position: given('position', (value) => readPosition(value, limits)),
    excluded: given('exclude', (value) => integer('exclude', value) !== 0),
    types: given('types', readTypes),
  }
}

function readText(name: string, value: unknown, lengthMax: number): string {
  if (typeof value === 'object') throw fieldInvalid(`${name} must be a text.`)
  const given = text(value)
  if (given.includes('\0') || !given.isWellFormed()) throw fieldInvalid(`${name} has a character that cannot be kept.`)
  if (given.length > lengthMax) throw fieldInvalid(`${name} must not be longer than ${lengthMax} characters.`)
  return given
}

function readPosition(value: unknown, { positionMax }: Limits): number {
  const position = integer('position', value)
  if (Math.abs(position) > positionMax) throw fieldInvalid(`position must not be beyond ${positionMax}.`)
  return position
}

/** An empty element of XML is an empty list, and so are spaces in it; a list of anything but texts says nothing. */
function readTypes(value: unknown): readonly string[] | string {
  if (Array.isArray(value)) return value.filter((item) => typeof item === 'string')
  return text(value).trim() === '' ? [] : text(value)
}

/** PHP's `(string)` of what is not an array. */
function text(value: unknown): string {
  if (typeof value === 'string') return value
  if (typeof value === 'number') return String(value)
  return value === true ? '1' : ''
}

/** PHP's `(int)`: the number at the beginning, 0 when there is none. */
function integer(name: string, value: unknown): number {
  if (typeof value === 'object') throw fieldInvalid(`${name} must be an integer.`)
  const number = Math.trunc(Number.parseFloat(text(value)))
  return Number.isFinite(number) ? number + 0 : 0
}
