import type { IncomingHttpHeaders } from 'node:http'
import type { Readable } from 'node:stream'
import { essenceOf, humanBytes, type Limits, SluiceError } from '@sluice/core'
import type { Base64Policy } from './base64.ts'
import { refuseContentEncoding } from './content-encoding.ts'
import { readJson } from './json.ts'
import { readMultipart } from './multipart.ts'
import { readQuery } from './query.ts'
import { discardRest, requestBytes } from './request-bytes.ts'
import { openStaging, type Discardable, type StageBytes } from './staging.ts'
import { readXml } from './xml.ts'
import type { XmlShape } from './xml-document.ts'

/** What an upload looks like on one route of one dialect. Null and false: this kind of body is not accepted. */
export interface FormProfile {
  /** The name of the multipart part that carries the file. */
  readonly filePart: string | null
  /** The JSON member that carries the file, outermost name first. */
  readonly base64: { readonly path: readonly string[]; readonly policy: Base64Policy } | null
  /** Whether the body may be the image itself, as `image/*`. */
  readonly raw: boolean
  /** The XML element that carries the file. */
  readonly xml?: XmlShape & { readonly policy: Base64Policy }
  /** The field that carries the file in a body of urlencoded fields that is declared as `text/plain`: small files only. */
  readonly query?: { readonly name: string; readonly policy: Base64Policy }
}

export type UploadLimits = Pick<Limits, 'fileBytesMax' | 'envelopeBytesMax' | 'formFieldsMax'>

/** An `IncomingMessage`, or what a test makes of one. */
export type UploadRequest = Readable & { readonly headers: IncomingHttpHeaders }

export interface UploadBody<Staged> {
  /** Null when the body brought no file. */
  readonly staged: Staged | null
  /** Text fields of a form, or the document without the file's member. */
  readonly fields: Record<string, unknown>
}

export interface ReadUploadOptions<Staged extends Discardable> {
  readonly stage: StageBytes<Staged>
  readonly limits: UploadLimits
  readonly signal: AbortSignal
  readonly form: FormProfile
}

/**
 * Reads a body once, handing its file to `stage` while it arrives; neither the file nor its base64 is ever held whole.
 * When this throws, nothing stays staged, and the rest of the body is read and dropped so that the client can see why.
 */
export async function readUpload<Staged extends Discardable>(
  request: UploadRequest,
  options: ReadUploadOptions<Staged>,
): Promise<UploadBody<Staged>> {
  const { limits, form } = options
  const stop = new AbortController()
  const staging = openStaging(options.stage)
  const bytes = requestBytes(request, AbortSignal.any([options.signal, stop.signal]))
  try {
    const kind = kindOf(request.headers, form)
    const body = bounded(bytes, request.headers, kind, limits)
    const contentType = request.headers['content-type'] ?? ''
    const { stage } = staging
    if (kind === 'multipart')
      return await readMultipart(body, { contentType, filePart: form.filePart ?? '', stage, limits, stop })
    if (kind === 'json') return await readJson(body, { contentAt: form.base64, stage, limits })
    if (kind === 'xml' && form.xml) return await readXml(body, { shape: form.xml, stage, limits })
    if (kind === 'query' && form.query) return await readQuery(body, { content: form.query, stage, limits })
    return { staged: await stage(body, { declaredType: essenceOf(contentType), fileName: null }), fields: {} }
  } catch (error) {
    stop.abort(error)
    await staging.discard()
    throw error
  } finally {
    stop.abort()
    await bytes.return()
    discardRest(request, 2 * limits.fileBytesMax)
  }
}

type Kind = 'multipart' | 'json' | 'xml' | 'query' | 'raw'

const XML_TYPES = ['application/xml', 'text/xml', 'application/xhtml+xml']

function kindOf(headers: IncomingHttpHeaders, form: FormProfile): Kind {
  refuseContentEncoding(headers)
  const kinds = new Map<string, Kind>()
  if (form.filePart !== null) kinds.set('multipart/form-data', 'multipart')
  if (form.base64 !== null) kinds.set('application/json', 'json')
  if (form.xml) for (const type of XML_TYPES) kinds.set(type, 'xml')
  if (form.query) kinds.set('text/plain', 'query')
  if (form.raw) kinds.set('image/*', 'raw')

  const essence = essenceOf(headers['content-type'])
  const kind = kinds.get(essence?.startsWith('image/') ? 'image/*' : (essence ?? ''))
  if (kind) return kind
  const accepted = [...kinds.keys()]
  throw new SluiceError('content_type_unsupported', `The Content-Type must be one of ${accepted.join(', ')}.`, {
    details: { accepted },
  })
}

/** The most that a body around a file of the greatest size can have. */
function bodyBytesMax({ fileBytesMax, envelopeBytesMax }: UploadLimits): Record<Kind, number> {
  const base64BytesMax = 4 * Math.ceil(fileBytesMax / 3)
  return {
    raw: fileBytesMax,
    multipart: fileBytesMax + envelopeBytesMax,
    // Twice the base64: PHP's json_encode writes each slash as `\/`, and nothing forbids a file whose base64 is all slashes.
    json: 2 * base64BytesMax + envelopeBytesMax,
    // PHP breaks base64 into lines of 76 that end with a carriage return, which libxml writes as `&#13;`.
    xml: 2 * base64BytesMax + envelopeBytesMax,
    query: envelopeBytesMax,
  }
}

/** Refuses by Content-Length before a byte is read, and by counting where the header is absent. */
function bounded(bytes: AsyncIterable<Buffer>, headers: IncomingHttpHeaders, kind: Kind, limits: UploadLimits) {
  const bytesMax = bodyBytesMax(limits)[kind]
  const declaredBytes = Number(headers['content-length'] ?? 0)
  if (declaredBytes > bytesMax) throw tooLarge(declaredBytes, kind, limits)

  return (async function* () {
    let total = 0
    for await (const chunk of bytes) {
      total += chunk.length
      if (total > bytesMax) throw tooLarge(total, kind, limits)
      yield chunk
    }
  })()
}

function tooLarge(bytes: number, kind: Kind, { fileBytesMax, envelopeBytesMax }: UploadLimits): SluiceError {
  const refused = `A body of ${humanBytes(bytes)} cannot be accepted`
  if (kind === 'query') {
    const message = `${refused}: as text/plain it may have ${humanBytes(envelopeBytesMax)}. Send the file as XML or JSON.`
    return new SluiceError('request_too_large', message, { details: { bytesMax: envelopeBytesMax } })
  }
  return new SluiceError('file_too_large', `${refused}: a file may have ${humanBytes(fileBytesMax)}.`, {
    details: { bytesMax: fileBytesMax },
  })
}
