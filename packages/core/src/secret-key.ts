import { createHmac } from 'node:crypto'

/**
 * A secret for one purpose and one subject, made from the key of the installation: it need not be stored, so that a copy of the
 * database opens nothing. 256 bits, as base64url. Changing the key makes all of them void.
 */
export function deriveSecret(
  secretKey: string,
  purpose: 'oauth1-consumer' | 'oauth1-token' | 'media-link' | 'hook-secret' | 'upload-link' | 'webhook',
  subject: string,
): string {
  return createHmac('sha256', secretKey).update(`${purpose}\n${subject}`).digest('base64url')
}
