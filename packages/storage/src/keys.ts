import { SluiceError } from '@sluice/core'

/** What S3 allows; a file system adds the second. Both in bytes of UTF-8. */
const KEY_BYTES_MAX = 1024
const SEGMENT_BYTES_MAX = 255

/** Control characters cannot be told in the XML of a listing; a backslash separates paths elsewhere. */
// oxlint-disable-next-line no-control-regex
const FORBIDDEN = /[\u0000-\u001f\u007f\\]/

/**
 * Returns the key if it is a relative path that stays below its root, and throws otherwise. Keys are made by us, so a bad one
 * is our bug; it must not become a path on disk or in a URL all the same.
 */
export function checkedKey(key: string): string {
  if (!isKey(key)) throw new SluiceError('internal_error', 'The object key is not valid')
  return key
}

/** False for what somebody else has put there, such as the empty `folder/` of a console for S3. */
export function isKey(text: string): boolean {
  const fits = Buffer.byteLength(text) <= KEY_BYTES_MAX && text.isWellFormed() && !FORBIDDEN.test(text)
  return fits && text.split('/').every(isSegment)
}

function isSegment(segment: string): boolean {
  return segment !== '' && segment !== '.' && segment !== '..' && Buffer.byteLength(segment) <= SEGMENT_BYTES_MAX
}
