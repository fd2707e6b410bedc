import { cleanText } from './text.ts'

const NAME_LENGTH_MAX = 200
const TAGS_MAX = 200

/** The description of an ICC profile (ICC.1, 9.2.41: tag `desc`); null when there is none that can be read. */
export function iccName(profile: Uint8Array): string | null {
  const bytes = Buffer.from(profile.buffer, profile.byteOffset, profile.byteLength)
  try {
    const tag = descriptionTag(bytes)
    return tag ? cleanText(textOf(tag), NAME_LENGTH_MAX) || null : null
  } catch {
    // An offset that points out of the profile: the name is a nicety, and the decoder has judged the profile.
    return null
  }
}

/** The tag table stands behind the header of 128 bytes: a count, then name, offset and size of each. */
function descriptionTag(bytes: Buffer): Buffer | null {
  const count = Math.min(bytes.readUInt32BE(128), TAGS_MAX)
  for (let entry = 132; entry < 132 + count * 12; entry += 12) {
    if (bytes.toString('latin1', entry, entry + 4) !== 'desc') continue
    const offset = bytes.readUInt32BE(entry + 4)
    return bytes.subarray(offset, offset + bytes.readUInt32BE(entry + 8))
  }
  return null
}

/** Version 2 holds ASCII behind its length, version 4 UTF-16 in a list of languages, of which the first is as good as any. */
function textOf(tag: Buffer): string {
  switch (tag.toString('latin1', 0, 4)) {
    case 'desc':
      return tag.toString('latin1', 12, 12 + Math.min(tag.readUInt32BE(8), NAME_LENGTH_MAX))
    case 'mluc': {
      const offset = tag.readUInt32BE(24)
      const length = Math.min(tag.readUInt32BE(20), NAME_LENGTH_MAX * 2) & ~1
      return Buffer.from(tag.subarray(offset, offset + length))
        .swap16()
        .toString('utf16le')
    }
    default:
      return ''
  }
}
