/** Where there is no bucket that clients reach, an upload has an address here that says the same: one upload, until a time. */
import { timingSafeEqual } from 'node:crypto'
import { deriveSecret, type IntakeWorld, SluiceError, type Upload } from '@sluice/core'

type Signed = Pick<Upload, 'id' | 'tenantId'>

export function uploadLink({ secretKey }: IntakeWorld, { id, tenantId, expiresAt }: Signed & Pick<Upload, 'expiresAt'>): string {
  const expires = Math.floor(expiresAt.getTime() / 1000)
  const query = new URLSearchParams({
    tenant: tenantId,
    expires: String(expires),
    signature: signatureOf(secretKey, { id, tenantId }, expires),
  })
  return `/v1/uploads/${id}/content?${query.toString()}`
}

/** Throws `upload_link_invalid`. */
export function checkUploadLink(
  { secretKey, now }: IntakeWorld,
  upload: Signed,
  { expires, signature }: { readonly expires: number; readonly signature: string },
): void {
  const [given, right] = [Buffer.from(signature), Buffer.from(signatureOf(secretKey, upload, expires))]
  const isRight = given.length === right.length && timingSafeEqual(given, right)
  if (!isRight || expires * 1000 < now().getTime()) throw new SluiceError('upload_link_invalid')
}

function signatureOf(secretKey: string, { id, tenantId }: Signed, expires: number): string {
  return deriveSecret(secretKey, 'upload-link', `${tenantId} ${id} ${expires}`)
}
