import { SluiceError } from '@sluice/core'

/** The ETag of a product's images: their version. */
export function versionTag(version: number): string {
  return `"${version}"`
}

/**
 * The version that `If-Match` expects (RFC 9110 §13.1.1); null when there is no condition or it is `*`. Tags that no version can
 * have, weak ones among them, expect version -1, which never is.
 */
export function expectedVersion(header: string | undefined): number | null {
  if (header === undefined || header.trim() === '*') return null
  const tags = header.split(',').map((tag) => /^"(\d{1,15})"$/.exec(tag.trim())?.[1])
  if (tags.length > 1) throw new SluiceError('request_invalid', 'If-Match takes one version here.')
  return tags[0] === undefined ? -1 : Number(tags[0])
}

/** As `expectedVersion`, where leaving it out is not allowed. */
export function requiredVersion(header: string | undefined): number | null {
  if (header === undefined)
    throw new SluiceError('version_required', 'Send If-Match with the ETag that you read, or * to replace whatever is there.')
  return expectedVersion(header)
}
