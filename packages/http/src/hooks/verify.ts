/**
 * Whether an event is its sender's own. The signature is over the bytes as they came, is compared in constant time with what each
 * of the source's secrets gives, and whatever it does not cover is not believed.
 */
import { createHash, createHmac, timingSafeEqual } from 'node:crypto'
import type { IncomingHttpHeaders } from 'node:http'
import { type HookVerifier, type NewHookEvent, SluiceError } from '@sluice/core'

export interface SignedRequest {
  readonly headers: IncomingHttpHeaders
  readonly body: Uint8Array
}

export interface VerifyOptions {
  /** In clear. */
  readonly secrets: readonly string[]
  readonly now: Date
  /** How far a signed time may be from now, either way. */
  readonly skewMs: number
}

/** What a good signature shows. */
export type Verified = Pick<NewHookEvent, 'key' | 'saidId'>

/** Throws `signature_invalid`, which says no more than that: what is wrong would be told to a forger as well. */
export function verifyRequest(verifier: HookVerifier, request: SignedRequest, options: VerifyOptions): Verified {
  const verified = VERIFIERS[verifier.kind](verifier as never, request, options)
  if (verified === null) throw new SluiceError('signature_invalid')
  return verified
}

/** What is wrong with a secret for this verifier; null when nothing is. */
export function secretFault({ kind }: Pick<HookVerifier, 'kind'>, secret: string): string | null {
  if (kind !== 'standard-webhooks') return null
  const key = standardKey(secret)
  return key.length >= 16 && key.length <= 128 ? null : 'must be whsec_ and the base64 of 16 to 128 bytes'
}

type Verify<Kind extends HookVerifier['kind']> = (
  verifier: Extract<HookVerifier, { kind: Kind }>,
  request: SignedRequest,
  options: VerifyOptions,
) => Verified | null

const VERIFIERS: { readonly [Kind in HookVerifier['kind']]: Verify<Kind> } = {
  // https://github.com/standard-webhooks/standard-webhooks/blob/main/spec/standard-webhooks.md#signature-scheme
  'standard-webhooks': (_, { headers, body }, options) => {
    const [id, timestamp, signatures] = ['webhook-id', 'webhook-timestamp', 'webhook-signature'].map((name) =>
      textOf(headers[name]),
    )
    if (!id || id.length > ID_LENGTH_MAX || !timestamp || !isNear(timestamp, options)) return null
    const given = (signatures ?? '')
      .split(' ', SIGNATURES_MAX)
      .flatMap((each) => (each.startsWith('v1,') ? [bytesOf(each.slice(3), 'base64')] : []))
    const keys = options.secrets.map(standardKey)
    return isSigned('sha256', keys, [`${id}.${timestamp}.`, body], given) ? { key: `id:${id}`, saidId: null } : null
  },

  hmac: (verifier, { headers, body }, options) => {
    const { header, algorithm, encoding, prefix, timestampHeader, signed, idHeader } = verifier
    const timestamp = timestampHeader === null ? '' : textOf(headers[timestampHeader])
    if (timestamp === null || (timestampHeader !== null && !isNear(timestamp, options))) return null
    const signature = textOf(headers[header])
    if (!signature?.startsWith(prefix)) return null
    const parts = signed.split(/(\{body\}|\{timestamp\})/).map((part) => {
      if (part === '{body}') return body
      return part === '{timestamp}' ? timestamp : part
    })
    const given = [bytesOf(signature.slice(prefix.length), encoding)]
    return isSigned(algorithm, options.secrets, parts, given) ? known(body, idHeader && headers[idHeader]) : null
  },

  // MinIO sends its token as it was configured when that has two words, and as a Bearer token when it has one.
  s3: (_, { headers, body }, { secrets }) => {
    const given = textOf(headers.authorization) ?? ''
    const isGiven = secrets.flatMap((secret) => [secret, `Bearer ${secret}`]).map((good) => isSameText(given, good))
    return isGiven.includes(true) ? known(body) : null
  },

  // https://shopify.dev/docs/apps/build/webhooks/verify-deliveries: the body alone is signed, the id beside it is not.
  shopify: (_, { headers, body }, { secrets }) => {
    const given = [bytesOf(textOf(headers['x-shopify-hmac-sha256']) ?? '', 'base64')]
    return isSigned('sha256', secrets, [body], given) ? known(body, headers['x-shopify-webhook-id']) : null
  },

  // https://api.akeneo.com/events-documentation/security.html
  'akeneo-events': (_, { headers, body }, options) => {
    const timestamp = textOf(headers['x-akeneo-request-timestamp'])
    if (!timestamp || !isNear(timestamp, options)) return null
    const given = [bytesOf(textOf(headers['x-akeneo-request-signature']) ?? '', 'hex')]
    return isSigned('sha256', options.secrets, [`${timestamp}.`, body], given) ? known(body) : null
  },

  // https://api.akeneo.com/event-platform/concepts.html#hmac-signature-for-webhook-payloads: two secrets, for changing over.
  'akeneo-event-platform': (_, { headers, body }, { secrets }) => {
    if ((textOf(headers['x-akeneo-signature-algorithm']) ?? 'HmacSHA256') !== 'HmacSHA256') return null
    const given = ['primary', 'secondary'].map((which) => bytesOf(textOf(headers[`x-akeneo-signature-${which}`]) ?? '', 'hex'))
    return isSigned('sha256', secrets, [body], given) ? known(body) : null
  },
}

const ID_LENGTH_MAX = 255
const SIGNATURES_MAX = 16

function textOf(header: string | readonly string[] | undefined): string | null {
  return typeof header === 'string' ? header.trim() : null
}

/** By its content, since nothing else about it is signed. */
function known(body: Uint8Array, saidId?: string | readonly string[] | null): Verified {
  const said = textOf(saidId ?? undefined)
  return {
    key: `sha256:${createHash('sha256').update(body).digest('hex')}`,
    saidId: said === null || said === '' || said.length > ID_LENGTH_MAX ? null : said,
  }
}

/** All pairs are looked at, so that the time tells nothing of which one fits. */
function isSigned(
  algorithm: string,
  secrets: readonly (string | Buffer)[],
  parts: readonly (string | Uint8Array)[],
  given: readonly Buffer[],
): boolean {
  const outcomes = secrets.flatMap((secret) => {
    const hmac = createHmac(algorithm, secret)
    for (const part of parts) hmac.update(part)
    const expected = hmac.digest()
    return given.map((signature) => signature.length === expected.length && timingSafeEqual(signature, expected))
  })
  return outcomes.includes(true)
}

function isSameText(a: string, b: string): boolean {
  const [left, right] = [a, b].map((text) => createHash('sha256').update(text).digest())
  return left !== undefined && right !== undefined && timingSafeEqual(left, right)
}

/** Exactly: Node's decoding stops where it does not know on, or passes over it. */
function bytesOf(text: string, encoding: 'hex' | 'base64'): Buffer {
  const bytes = Buffer.from(text, encoding)
  return bytes.toString(encoding) === (encoding === 'hex' ? text.toLowerCase() : text) ? bytes : Buffer.alloc(0)
}

function standardKey(secret: string): Buffer {
  return Buffer.from(secret.replace(/^whsec_/, ''), 'base64')
}

/** Seconds since 1970, milliseconds, or RFC 3339. */
function isNear(timestamp: string, { now, skewMs }: VerifyOptions): boolean {
  const atMs = /^\d{9,11}$/.test(timestamp)
    ? Number(timestamp) * 1000
    : /^\d{12,14}$/.test(timestamp)
      ? Number(timestamp)
      : Date.parse(timestamp)
  return Math.abs(now.getTime() - atMs) <= skewMs
}

/** Headers that a mapping may ask for. What opens something, or proves something, is not kept. */
export function keptHeaders(
  headers: IncomingHttpHeaders,
  { hookHeadersMax, hookHeaderLengthMax }: { readonly hookHeadersMax: number; readonly hookHeaderLengthMax: number },
): Readonly<Record<string, string>> {
  const kept = Object.entries(headers).flatMap(([name, value]) =>
    typeof value === 'string' && KEPT.test(name) && !SECRET.test(name) && value.length <= hookHeaderLengthMax
      ? [[name, value]]
      : [],
  )
  return Object.fromEntries(kept.slice(0, hookHeadersMax))
}

const KEPT = /^(x-|webhook-|ce-)/
const SECRET = /signature|hmac|token|secret|auth|key|cookie|password|forwarded|real-ip/
