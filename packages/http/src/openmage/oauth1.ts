/** Signed requests: OAuth 1.0a with credentials that follow from one of our tokens, so that nobody is asked to grant anything. */
import type { FastifyRequest } from 'fastify'
import { type Caller, type IntakeWorld, isUuid, oauth1Credentials, type TokenId } from '@sluice/core'
import { publicUrl } from '../host.ts'
import { oauthProblem } from './errors.ts'
import { isHmacSha1, isPlaintext, isRsaSha1, isSame, type SignedRequest } from './oauth1-signature.ts'

/** What a signed request must say, as it is called on the wire. */
const REQUIRED = {
  consumerKey: 'oauth_consumer_key',
  token: 'oauth_token',
  method: 'oauth_signature_method',
  signature: 'oauth_signature',
  timestamp: 'oauth_timestamp',
  nonce: 'oauth_nonce',
} as const

type Protocol = Readonly<Record<keyof typeof REQUIRED, string>>

/** Throws 401 with an `oauth_problem` unless the request was signed with the credentials of an active token, now, and once. */
export async function authenticateSigned(request: FastifyRequest, header: string, world: IntakeWorld): Promise<Caller> {
  const { tokens, nonces } = world.database
  const parameters = readHeader(header)
  const protocol = checked(parameters)
  const tokenId = tokenIdOf(protocol.consumerKey)
  const caller = tokenId && (await tokens.findActive(tokenId))
  if (!caller) throw oauthProblem('consumer_key_rejected')
  if (!isSame(protocol.token, oauth1Credentials(world.secretKey, caller.tokenId).token)) throw oauthProblem('token_rejected')
  const timestamp = recent(protocol.timestamp, world)
  const signed = { method: request.method, url: `${publicUrl(request, world)}${request.url}`, parameters: [...parameters] }
  if (!(await isSigned(signed, protocol, caller, world))) throw oauthProblem('signature_invalid')
  // Only a right signature uses a nonce up: nobody else can spoil it, or fill the table.
  const isFirst = await nonces.use(caller.tokenId, timestamp, protocol.nonce, 2 * world.limits.oauthSkewMsMax)
  if (!isFirst) throw oauthProblem('nonce_used')
  return caller
}

async function isSigned(
  signed: SignedRequest,
  { method, signature }: Protocol,
  { tokenId }: Caller,
  world: IntakeWorld,
): Promise<boolean> {
  const secrets = oauth1Credentials(world.secretKey, tokenId)
  switch (method) {
    case 'HMAC-SHA1':
      return isHmacSha1(signature, signed, secrets)
    case 'PLAINTEXT':
      return isPlaintext(signature, secrets)
    case 'RSA-SHA1': {
      const publicKey = await world.database.tokens.findPublicKey(tokenId)
      if (publicKey === null) throw oauthProblem('signature_method_rejected')
      return isRsaSha1(signature, signed, publicKey)
    }
    default:
      throw oauthProblem('signature_method_rejected')
  }
}

/** RFC 5849 §3.5.1: names and values are percent-encoded. */
function readHeader(header: string): ReadonlyMap<string, string> {
  const parameters = new Map<string, string>()
  for (const part of header.replace(/^OAuth\s*/i, '').split(',')) {
    const [, name, value = ''] = /^\s*([^=\s"]+)\s*=\s*"?([^"]*?)"?\s*$/.exec(part) ?? []
    if (name === undefined) continue
    if (parameters.has(decoded(name))) throw rejected(decoded(name))
    parameters.set(decoded(name), decoded(value))
  }
  return parameters
}

function decoded(text: string): string {
  try {
    return decodeURIComponent(text)
  } catch {
    throw rejected('Authorization')
  }
}

/** PostgreSQL has no NUL, and an index no room for a long text. */
const NONCE = /^[\x21-\x7e]{1,255}$/

function checked(parameters: ReadonlyMap<string, string>): Protocol {
  const absent = Object.values(REQUIRED).filter((name) => !parameters.get(name))
  if (absent.length > 0) throw oauthProblem('parameter_absent', { oauth_parameters_absent: absent.join('&') })
  if ((parameters.get('oauth_version') ?? '1.0') !== '1.0') throw oauthProblem('version_rejected')
  const value = (name: keyof Protocol) => parameters.get(REQUIRED[name]) ?? ''
  if (!NONCE.test(value('nonce'))) throw rejected(REQUIRED.nonce)
  return {
    consumerKey: value('consumerKey'),
    token: value('token'),
    method: value('method'),
    signature: value('signature'),
    timestamp: value('timestamp'),
    nonce: value('nonce'),
  }
}

function rejected(name: string): Error {
  return oauthProblem('parameter_rejected', { oauth_parameters_rejected: name })
}

/** A consumer key is the id of a token without its dashes. */
function tokenIdOf(consumerKey: string): TokenId | null {
  const id = consumerKey.toLowerCase().replace(/^(.{8})(.{4})(.{4})(.{4})(.{12})$/, '$1-$2-$3-$4-$5')
  return isUuid(id) ? (id as TokenId) : null
}

/** The timestamp, in seconds. The nonce is remembered for as long as its timestamp is accepted. */
function recent(text: string, { now, limits }: IntakeWorld): number {
  const timestamp = /^\d{1,12}$/.test(text) ? Number(text) : 0
  if (Math.abs(timestamp * 1000 - now().getTime()) > limits.oauthSkewMsMax) throw oauthProblem('timestamp_refused')
  return timestamp
}
