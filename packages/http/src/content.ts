import { Readable } from 'node:stream'
import { create as contentDisposition } from 'content-disposition'
import type { FastifyReply } from 'fastify'
import { type Digest, MEDIA_TYPES, type MediaType, SluiceError } from '@sluice/core'

/** Inclusive, and inside the blob. */
export interface ByteRange {
  readonly start: number
  readonly end: number
}

export interface BlobContent {
  /** The name to save it under; null for `image` with the suffix of its type. */
  readonly name: string | null
  readonly mediaType: MediaType
  readonly bytes: number
  readonly digest: Digest
  /** Null when the store does not have it. The signal is aborted when the client has gone. */
  readonly open: (range: ByteRange | null, signal: AbortSignal) => Promise<AsyncIterable<Uint8Array> | null>
  readonly disposition: 'inline' | 'attachment'
  /** Whose pages may show it; by default `same-site`, so that the console may from its port. */
  readonly shownBy?: 'same-site' | 'cross-origin'
}

/** A year: what is under an id never changes. Private, since a token was needed to see it. */
const CACHE_CONTROL = 'private, max-age=31536000, immutable'

/** Sends a blob, or the part of it that is asked for, or word that the client has it already (RFC 9110 §13 and §14). */
export async function sendBlob(reply: FastifyReply, blob: BlobContent): Promise<FastifyReply> {
  const { headers, method } = reply.request
  const etag = `"${blob.digest}"`
  describe(reply, blob, etag)
  if (namesTag(headers['if-none-match'], etag)) return sendNothing(reply.code(304))

  // RFC 9110 §14.2: Range means something for GET only; §13.1.5: an If-Range that does not match asks for the whole.
  const mayBePart = method === 'GET' && (headers['if-range'] === undefined || headers['if-range'] === etag)
  const range = mayBePart ? rangeOf(headers.range, blob.bytes) : null
  if (range === 'unsatisfiable') {
    forget(reply)
    void reply.header('content-range', `bytes */${blob.bytes}`)
    throw new SluiceError('range_unsatisfiable', undefined, { details: { bytes: blob.bytes } })
  }

  void reply.header('content-length', range ? range.end - range.start + 1 : blob.bytes)
  if (range) void reply.code(206).header('content-range', `bytes ${range.start}-${range.end}/${blob.bytes}`)
  return method === 'HEAD' ? sendNothing(reply) : send(reply, blob, range)
}

/** True when If-None-Match lists the tag, strong or weak, or is `*` (RFC 9110 §13.1.2). */
export function namesTag(header: string | undefined, etag: string): boolean {
  const tags = header?.split(',').map((tag) => tag.trim().replace(/^W\//, '')) ?? []
  return tags.includes(etag) || tags.includes('*')
}

/**
 * One range of bytes. Null, for the whole, when there is none, more than one, or none that can be read: all of these may be
 * ignored. Our own, because range-parser 1.3.0 calls a suffix that is longer than the file unsatisfiable, where RFC 9110
 * §14.1.2 asks for the whole file.
 */
export function rangeOf(header: string | undefined, bytes: number): ByteRange | 'unsatisfiable' | null {
  const [, first = '', last = ''] = /^bytes=[ \t]*(\d*)-(\d*)[ \t]*$/i.exec(header ?? '') ?? []
  if (first === '' && last === '') return null
  const start = first === '' ? Math.max(bytes - Number(last), 0) : Number(first)
  const end = first === '' || last === '' ? bytes - 1 : Math.min(Number(last), bytes - 1)
  if (first !== '' && last !== '' && Number(last) < start) return null
  return start < bytes ? { start, end } : 'unsatisfiable'
}

/**
 * Bytes from strangers are served as what we found them to be and as nothing else, in an origin of their own making: nosniff
 * and the sandbox keep markup that hides in an image from running.
 */
function describe(reply: FastifyReply, blob: BlobContent, etag: string): void {
  void reply.headers({
    'content-type': blob.mediaType,
    'content-disposition': dispositionOf(blob),
    'accept-ranges': 'bytes',
    etag,
    'cache-control': CACHE_CONTROL,
    'x-content-type-options': 'nosniff',
    'content-security-policy': "sandbox; default-src 'none'",
    'cross-origin-resource-policy': blob.shownBy ?? 'same-site',
  })
}

/** An error must not be kept for a year, nor pass for the image. */
function forget(reply: FastifyReply): void {
  for (const name of ['cache-control', 'etag', 'content-disposition', 'content-type', 'content-length', 'content-range']) {
    void reply.removeHeader(name)
  }
}

function dispositionOf({ name, mediaType, disposition }: BlobContent): string {
  // Half of a surrogate pair cannot be percent-encoded: `encodeURIComponent` throws on it.
  const fileName = (name || `image.${MEDIA_TYPES[mediaType].extension}`).toWellFormed()
  // A name is a token or a quoted string (RFC 6266 §4.1). Always the latter: clients that only know what their own server sends
  // look for the quotes, and the library writes them where it must.
  return contentDisposition(fileName, { type: disposition }).replace(/^(\w+; filename=)([^";]+)/, '$1"$2"')
}

async function send(reply: FastifyReply, blob: BlobContent, range: ByteRange | null): Promise<FastifyReply> {
  const gone = new AbortController()
  reply.raw.once('close', () => gone.abort())
  const content = await blob.open(range, gone.signal).catch((error: unknown) => {
    forget(reply)
    throw error
  })
  if (content) return reply.send(Readable.from(content, { objectMode: false }))
  forget(reply)
  throw new SluiceError('internal_error', undefined, { cause: new Error(`the blob ${blob.digest} is not in the store`) })
}

/** An empty stream, because Fastify's HEAD routes write a Content-Length of 0 over ours for anything else that is empty. */
function sendNothing(reply: FastifyReply): FastifyReply {
  return reply.send(Readable.from([]))
}
