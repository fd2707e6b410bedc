import { type DirectBounds, type DirectUpload, type Objects, SluiceError } from '@sluice/core'
import type { MinioOptions } from './minio.ts'
import { SigningClient } from './signing-client.ts'

export type DirectUploads = Pick<Objects, 'takesDirectUploads' | 'presign'>

/** Where there is no bucket that clients can reach. */
export const NO_DIRECT_UPLOADS: DirectUploads = {
  takesDirectUploads: false,
  async presign() {
    throw new SluiceError('internal_error', 'Clients cannot reach the staging')
  },
}

/** Addresses under which clients write into the staging bucket: each one key, of one size and type, until a time. Nothing is sent for it. */
export function directUploads(options: Omit<MinioOptions, 'staging'>, bucket: string): DirectUploads {
  const endpoint = options.publicEndpoint ?? null
  if (endpoint === null) return NO_DIRECT_UPLOADS
  // The signature covers the host: it must be the one that clients use.
  const client = new SigningClient({ ...options, endpoint, idleMsMax: 1 })
  return {
    takesDirectUploads: true,
    presign: async (key, bounds) => ({
      put: putOf(client, bucket, key, bounds),
      post: await postOf(client, bucket, key, bounds),
    }),
  }
}

function putOf(client: SigningClient, bucket: string, key: string, bounds: DirectBounds): DirectUpload['put'] {
  const type = bounds.mediaType === null ? {} : { 'content-type': bounds.mediaType }
  const headers = { 'content-length': String(bounds.bytes), ...type }
  return { url: client.presignPut({ bucket, key, headers, expiresAt: bounds.expiresAt }), headers }
}

/** S3 API Reference, "Creating a POST policy": what the form may hold is written down in it, and signed. */
async function postOf(client: SigningClient, bucket: string, key: string, bounds: DirectBounds): Promise<DirectUpload['post']> {
  const policy = client.newPostPolicy()
  policy.setBucket(bucket)
  policy.setKey(key)
  policy.setExpires(bounds.expiresAt)
  policy.setContentLengthRange(bounds.bytes, bounds.bytes)
  if (bounds.mediaType !== null) policy.setContentType(bounds.mediaType)
  const { postURL, formData } = await client.presignedPostPolicy(policy)
  const fields = Object.entries(formData).map(([name, value]) => [name, String(value)])
  return { url: postURL, fields: Object.fromEntries(fields) }
}
