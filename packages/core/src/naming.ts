import type { Limits } from './limits.ts'
import { MEDIA_TYPES } from './file.ts'

/** The name of an image that was given none. */
export const DEFAULT_NAME = 'image'

const KNOWN_EXTENSION = new RegExp(
  `\\.(${[...Object.values(MEDIA_TYPES).map((type) => type.extension), 'jpeg'].join('|')})$`,
  'i',
)

/**
 * A name as it may stand in a path: runs of characters outside `A-Za-z0-9_.-` become one `_`, case is kept, an image's
 * extension is dropped, and nothing but underscores and dots is `file`. The rule of OpenMage's uploader (docs/dialects).
 */
export function nameStem(given: string, limits: Pick<Limits, 'nameLengthMax'>): string {
  const stem = given
    .replace(KNOWN_EXTENSION, '')
    .replace(/[^A-Za-z0-9_.-]+/g, '_')
    .slice(0, limits.nameLengthMax)
  return /^[_.]*$/.test(stem) ? 'file' : stem
}

/** `image`, `image_2`, `image_3`: the n-th name from one stem. */
export function numberedName(stem: string, n: number): string {
  return n === 1 ? stem : `${stem}_${n}`
}

/**
 * The uploader's file name as it may be stored and shown: the last path segment, composed Unicode (NFC), no control or
 * direction-changing characters. Null when nothing is left.
 */
export function safeFileName(given: string | null | undefined, limits: Pick<Limits, 'fileNameLengthMax'>): string | null {
  const segment = given?.normalize('NFC').split(/[/\\]/).at(-1) ?? ''
  // Cc control, Cf format (bidi overrides, zero-width), Co private, Cs lone surrogates, and the two line separators.
  const name = segment.replace(/[\p{Cc}\p{Cf}\p{Co}\p{Cs}\u2028\u2029]/gu, '').trim()
  const shortened = Array.from(name).slice(0, limits.fileNameLengthMax).join('')
  return shortened === '' || shortened === '.' || shortened === '..' ? null : shortened
}
