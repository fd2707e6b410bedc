import type { ColourMode, MediaType } from '@sluice/core'
import { readGif } from './gif.ts'
import { readPng } from './png.ts'

/** What the outer structure of a file tells that its decoder does not. */
export interface Container {
  /**
   * `cut`: the bytes end inside something that was announced. `unmarked`: nothing is missing but the end marker.
   * Decoders notice neither in the last frames of a GIF, behind the pixels of a PNG, or behind the primary image of an AVIF.
   */
  readonly ending: 'marked' | 'unmarked' | 'cut'
  /** Pillow's mode, where the decoder has already hidden it. */
  readonly mode: ColourMode | null
  /** Pixels per inch, where libvips does not tell "72" from "unknown". */
  readonly density: number | null
  /** The file says that it is an animation. */
  readonly animated: boolean
}

const READERS: Record<MediaType, (bytes: Buffer) => Container> = {
  'image/png': readPng,
  'image/gif': readGif,
  'image/webp': (bytes) => ({ ending: webpEnding(bytes), mode: null, density: null, animated: false }),
  'image/avif': (bytes) => ({ ending: avifEnding(bytes), mode: null, density: null, animated: false }),
  // libjpeg itself refuses a file without its end marker, even if every block of pixels is there.
  'image/jpeg': () => ({ ending: 'marked', mode: null, density: null, animated: false }),
}

export function readContainer(mediaType: MediaType, bytes: Uint8Array): Container {
  return READERS[mediaType](Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength))
}

/** RFC 9649, 2.4: the size in the header counts everything behind it. */
function webpEnding(bytes: Buffer): Container['ending'] {
  return bytes.length < 8 || bytes.readUInt32LE(4) + 8 > bytes.length ? 'cut' : 'marked'
}

/** The boxes that stand side by side in an AVIF. Anything else has been appended to the file, and announces nothing. */
const BOXES = new Set(['ftyp', 'meta', 'mdat', 'moov', 'free', 'skip', 'uuid'])

/** ISO 14496-12, 4.2: boxes follow each other, each with its size first; 0 means "to the end", 1 that 64 bits follow. */
function avifEnding(bytes: Buffer): Container['ending'] {
  let offset = 0
  while (offset + 8 <= bytes.length) {
    const small = bytes.readUInt32BE(offset)
    if (small === 0) return 'marked'
    if (small === 1 && offset + 16 > bytes.length) return 'cut'
    const size = small === 1 ? Number(bytes.readBigUInt64BE(offset + 8)) : small
    if (size < 8 || !BOXES.has(bytes.toString('latin1', offset + 4, offset + 8))) return 'marked'
    offset += size
  }
  return offset > bytes.length ? 'cut' : 'marked'
}
