import type { ColourMode } from '@sluice/core'
import type { Container } from './container.ts'

const EXTENSION = 0x21
const FRAME = 0x2c
const TRAILER = 0x3b

/**
 * Walks the blocks (GIF89a, appendix B). libnsgif leaves out a last frame that is cut off, and cannot know of those that
 * were cut off behind it; a file that ends without its trailer, unless it is a still image, has lost something.
 */
export function readGif(bytes: Buffer): Container {
  let offset = 13 + tableBytes(bytes[10])
  let ramp = offset === 13 || isGreyRamp(bytes.subarray(13, offset))
  let frames = 0
  const container = (ending: Container['ending']): Container => ({
    ending,
    mode: modeOf(ramp),
    density: null,
    animated: frames > 1,
  })

  while (offset < bytes.length) {
    const kind = bytes[offset]
    if (kind === TRAILER) return container('marked')
    if (kind === EXTENSION) {
      offset = skipData(bytes, offset + 2)
    } else if (kind === FRAME) {
      const table = tableBytes(bytes[offset + 9])
      if (frames === 0 && table > 0) ramp = isGreyRamp(bytes.subarray(offset + 10, offset + 10 + table))
      frames += 1
      offset = skipData(bytes, offset + 11 + table)
    } else {
      // What is no block was appended; decoders stop here too.
      return container('unmarked')
    }
  }
  return container(offset > bytes.length || frames > 1 ? 'cut' : 'unmarked')
}

/** The bytes of a colour table, of which a flag says whether it is there and how long it is. */
function tableBytes(flags = 0): number {
  return flags & 0x80 ? 3 << ((flags & 7) + 1) : 0
}

/** The offset behind a chain of sub-blocks; beyond the end when the chain is cut. */
function skipData(bytes: Buffer, start: number): number {
  let offset = start
  while (offset < bytes.length) {
    const size = bytes[offset] ?? 0
    offset += 1 + size
    if (size === 0) return offset
  }
  return bytes.length + 1
}

/** Pillow calls a palette that says no more than "index is grey" the mode L. */
function isGreyRamp(table: Uint8Array): boolean {
  return table.every((value, index) => value === Math.floor(index / 3))
}

function modeOf(ramp: boolean): ColourMode {
  return ramp ? 'L' : 'P'
}
