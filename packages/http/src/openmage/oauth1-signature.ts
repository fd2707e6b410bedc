/** RFC 5849 §3.4: what is signed, and whether a signature is right. */
import { createHash, createHmac, timingSafeEqual, verify } from 'node:crypto'

type Parameter = readonly [name: string, value: string]

export interface SignedRequest {
  readonly method: string
  /** Absolute, as the client knows it, with its query. */
  readonly url: string
  /** Those of the Authorization header and of a form, decoded. */
  readonly parameters: readonly Parameter[]
}

/** §3.4.1 */
export function baseString({ method, url, parameters }: SignedRequest): string {
  const [address = '', query = ''] = url.split('#', 1)[0]?.split(/\?(.*)/s) ?? []
  // A form's `+` is a space, and so is a query's (§3.4.1.3.1).
  const all = [...new URLSearchParams(query), ...parameters.filter(([name]) => name !== 'realm' && name !== 'oauth_signature')]
  return [method.toUpperCase(), baseUri(address), normalised(all)].map(percentEncode).join('&')
}

/** §3.4.1.2: scheme and host in lower case, a default port left out, the path as it was sent. */
function baseUri(address: string): string {
  const path = /^[^/]*\/\/[^/]*(\/.*)?$/s.exec(address)?.[1] ?? '/'
  return `${new URL(address).origin}${path}`
}

/** §3.4.1.3.2: sorted as encoded, by name and then by value. */
function normalised(parameters: readonly Parameter[]): string {
  const encoded = parameters.map(([name, value]) => [percentEncode(name), percentEncode(value)] as const)
  const inOrder = encoded.toSorted((a, b) => compare(a[0], b[0]) || compare(a[1], b[1]))
  return inOrder.map((pair) => pair.join('=')).join('&')
}

function compare(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0
}

/** §3.6: everything but the unreserved characters. */
export function percentEncode(text: string): string {
  return encodeURIComponent(text).replace(/[!'()*]/g, (character) => `%${character.charCodeAt(0).toString(16).toUpperCase()}`)
}

export interface Secrets {
  readonly consumerSecret: string
  readonly tokenSecret: string
}

/** §3.4.2 */
export function isHmacSha1(signature: string, request: SignedRequest, secrets: Secrets): boolean {
  return isSame(signature, createHmac('sha1', keyOf(secrets)).update(baseString(request)).digest('base64'))
}

/** §3.4.3; false also for a key or a signature that is none. */
export function isRsaSha1(signature: string, request: SignedRequest, publicKey: string): boolean {
  try {
    return verify('sha1', Buffer.from(baseString(request)), publicKey, Buffer.from(signature, 'base64'))
  } catch {
    // OpenSSL says no more than that it is not a signature by this key.
    return false
  }
}

/** §3.4.4 */
export function isPlaintext(signature: string, secrets: Secrets): boolean {
  return isSame(signature, keyOf(secrets))
}

function keyOf({ consumerSecret, tokenSecret }: Secrets): string {
  return `${percentEncode(consumerSecret)}&${percentEncode(tokenSecret)}`
}

/** In a time that tells nothing of where they differ; the digests have one length. */
export function isSame(given: string, expected: string): boolean {
  const digest = (text: string) => createHash('sha256').update(text).digest()
  return timingSafeEqual(digest(given), digest(expected))
}
