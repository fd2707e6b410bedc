import { createHash, randomBytes } from 'node:crypto'

/** Recognisable for scanners of leaked secrets. */
const TOKEN_PREFIX = 'sluice_'

/** 256 random bits; shown once and never stored. */
export function newTokenSecret(): string {
  return TOKEN_PREFIX + randomBytes(32).toString('base64url')
}

/** What is stored of a token. A random secret of this length needs no slow hash. */
export function hashToken(secret: string): string {
  return createHash('sha256').update(secret).digest('hex')
}

/** Enough to recognise a token in a list, too little to guess it by: at most a quarter of it, and never more than twelve characters. */
export function tokenHint(secret: string): string {
  return secret.slice(0, Math.min(12, Math.floor(secret.length / 4)))
}
