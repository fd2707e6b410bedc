/**
 * Secrets that others gave us and that must be known in clear, to check what they sign: they can be neither hashed nor derived.
 * They rest encrypted under a key of the installation, so that a copy of the database alone opens nothing.
 */
import { createCipheriv, createDecipheriv, randomBytes } from 'node:crypto'
import { deriveSecret } from './secret-key.ts'

const CIPHER = 'aes-256-gcm'
const VERSION = 'v1'
/** NIST SP 800-38D §8.2.2: random nonces of 96 bits are good for 2^32 messages under one key; each subject has its own. */
const NONCE_BYTES = 12

/** The subject is bound to it: moved to another row, it does not open. */
export function sealSecret(secretKey: string, subject: string, clear: string): string {
  const nonce = randomBytes(NONCE_BYTES)
  const cipher = createCipheriv(CIPHER, keyOf(secretKey, subject), nonce).setAAD(Buffer.from(subject))
  const sealed = Buffer.concat([cipher.update(clear, 'utf8'), cipher.final()])
  return [VERSION, ...[nonce, sealed, cipher.getAuthTag()].map((part) => part.toString('base64url'))].join('.')
}

/** Null when it was sealed under another key or for another subject, or was changed since. */
export function openSecret(secretKey: string, subject: string, sealed: string): string | null {
  const [version, nonce = '', content = '', tag = ''] = sealed.split('.')
  if (version !== VERSION) return null
  try {
    const decipher = createDecipheriv(CIPHER, keyOf(secretKey, subject), Buffer.from(nonce, 'base64url'), { authTagLength: 16 })
    decipher.setAAD(Buffer.from(subject)).setAuthTag(Buffer.from(tag, 'base64url'))
    return Buffer.concat([decipher.update(Buffer.from(content, 'base64url')), decipher.final()]).toString('utf8')
  } catch {
    return null
  }
}

function keyOf(secretKey: string, subject: string): Buffer {
  return Buffer.from(deriveSecret(secretKey, 'hook-secret', subject), 'base64url')
}
