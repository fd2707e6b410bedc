import { createHash, randomBytes } from 'node:crypto'
import { crc32 } from 'node:zlib'
import type { TokenId } from './ids.ts'
import { deriveSecret } from './secret-key.ts'

/** Recognisable for scanners of leaked secrets. */
const TOKEN_PREFIX = 'sluice_'

/** 256 random bits; shown once and never stored. A scanner tells it from a text that only looks like it by its last eight characters. */
export function newTokenSecret(): string {
  const secret = TOKEN_PREFIX + randomBytes(32).toString('base64url')
  return secret + crc32(secret).toString(16).padStart(8, '0')
}

/** What is stored of a token. A random secret of this length needs no slow hash. */
export function hashToken(secret: string): string {
  return createHash('sha256').update(secret).digest('hex')
}

/** Enough to recognise a token in a list, too little to guess it by: at most a quarter of it, and never more than twelve characters. */
export function tokenHint(secret: string): string {
  return secret.slice(0, Math.min(12, Math.floor(secret.length / 4)))
}

/** What a client of OAuth 1.0a is configured with. */
export interface OAuth1Credentials {
  readonly consumerKey: string
  readonly consumerSecret: string
  readonly token: string
  readonly tokenSecret: string
}

/** Those of one of our tokens. All four follow from its id and the key of the installation, so that none is stored. */
export function oauth1Credentials(secretKey: string, tokenId: TokenId): OAuth1Credentials {
  const id = tokenId.toLowerCase()
  return {
    // 32 characters each, as OpenMage gives them.
    consumerKey: id.replaceAll('-', ''),
    consumerSecret: deriveSecret(secretKey, 'oauth1-consumer', id),
    token: createHash('sha256').update(`oauth1-token:${id}`).digest('hex').slice(0, 32),
    tokenSecret: deriveSecret(secretKey, 'oauth1-token', id),
  }
}
