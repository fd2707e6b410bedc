import { parse } from 'content-disposition'
import type { Dispatcher } from 'undici'
import { type Fetched, humanBytes, type Limits, SluiceError, type Validators } from '@sluice/core'
import { unavailable, unreachable } from './unreachable.ts'

export type Answer = Dispatcher.ResponseData

const REDIRECTS = new Set([301, 302, 303, 307, 308])

/** Where the answer leads; null when it leads nowhere else. */
export function redirectOf({ statusCode, headers }: Answer): string | null {
  return REDIRECTS.has(statusCode) ? headerOf(headers['location']) : null
}

/** The file in an answer; throws, and lets go of the connection, when there is none that may be read. */
export function fetchedOf(answer: Answer, url: URL, { fileBytesMax }: Pick<Limits, 'fileBytesMax'>): Fetched {
  const { headers, body } = answer
  const fault = faultOf(answer, fileBytesMax)
  if (fault) {
    body.destroy()
    throw fault
  }
  return {
    contentType: headerOf(headers['content-type']),
    validators: validatorsOf(headers),
    fileName: dispositionName(headerOf(headers['content-disposition'])) ?? lastSegment(url),
    bytes: limited(body, fileBytesMax),
  }
}

function faultOf({ statusCode, headers }: Answer, bytesMax: number): SluiceError | null {
  if (statusCode !== 200) {
    const what = `Its server answered ${statusCode} where 200 is needed.`
    return isPassing(statusCode) ? unavailable(what, { details: askedToWait(headers) }) : unreachable(what)
  }
  const coding = headerOf(headers['content-encoding'])?.trim().toLowerCase() ?? 'identity'
  if (coding !== 'identity') return unreachable('Its server sends it compressed, though it was asked not to.')
  return Number(headerOf(headers['content-length'])) > bytesMax ? tooLarge(bytesMax) : null
}

/** Statuses that speak of the moment: RFC 9110 §15.5.9 and §15.6, RFC 8470, RFC 6585. */
function isPassing(status: number): boolean {
  return status >= 500 || status === 408 || status === 425 || status === 429
}

/** Retry-After is a number of seconds or a date (RFC 9110 §10.2.3). Nobody is bound to keep to it: whoever asks again has a bound. */
function askedToWait(headers: Answer['headers']): { readonly retryAfterMs?: number } {
  const text = headerOf(headers['retry-after'])?.trim() ?? ''
  const waitMs = /^\d{1,9}$/.test(text) ? Number(text) * 1000 : Date.parse(text) - Date.now()
  return waitMs > 0 ? { retryAfterMs: waitMs } : {}
}

/** What cannot be sent back as it came is no use. */
function validatorsOf(headers: Answer['headers']): Validators {
  const etag = headerOf(headers['etag'])
  const lastModified = headerOf(headers['last-modified'])
  return {
    etag: etag !== null && /^(W\/)?"[\x21\x23-\x7e]{0,500}"$/.test(etag) ? etag : null,
    lastModified: lastModified !== null && /^[\x20-\x7e]{1,64}$/.test(lastModified) ? lastModified : null,
  }
}

async function* limited(body: Answer['body'], bytesMax: number): AsyncGenerator<Uint8Array> {
  let bytes = 0
  for await (const chunk of body) {
    if (!(chunk instanceof Uint8Array)) throw new TypeError('a body is bytes')
    bytes += chunk.byteLength
    if (bytes > bytesMax) throw tooLarge(bytesMax)
    yield chunk
  }
}

function tooLarge(bytesMax: number): SluiceError {
  return new SluiceError('file_too_large', `The file is larger than ${humanBytes(bytesMax)}.`, { details: { bytesMax } })
}

function dispositionName(header: string | null): string | null {
  return (header !== null && parse(header).parameters['filename']) || null
}

function lastSegment({ pathname }: URL): string | null {
  const segment = pathname.split('/').at(-1) ?? ''
  try {
    return decodeURIComponent(segment) || null
  } catch {
    // Not UTF-8: it is a name all the same.
    return segment
  }
}

/** Of a header that is repeated, the first. */
export function headerOf(value: string | string[] | undefined): string | null {
  return [value ?? []].flat()[0] ?? null
}
