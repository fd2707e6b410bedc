import type { ColourMode } from '@sluice/core'
import type { Container } from './container.ts'

const SIGNATURE_BYTES = 8
/** Length, name, data, checksum. */
const CHUNK_FRAME_BYTES = 12

/**
 * Walks the chunks (W3C PNG, 5.3). The bytes must reach the end of IEND: libpng stops at the last pixel, and would take a
 * file whose text and profile chunks were cut off.
 */
export function readPng(bytes: Buffer): Container {
  const mode = modeOf(bytes)
  let animated = false
  let density: number | null = null
  let offset = SIGNATURE_BYTES
  const container = (ending: Container['ending']): Container => ({ ending, mode, density, animated })

  while (offset + 8 <= bytes.length) {
    const name = bytes.toString('latin1', offset + 4, offset + 8)
    if (name === 'IEND') return container(offset + CHUNK_FRAME_BYTES <= bytes.length ? 'marked' : 'cut')
    // What is no chunk was damaged or appended, but it was not cut off: the decoder judges it.
    if (!/^[A-Za-z]{4}$/.test(name)) return container('unmarked')
    if (name === 'acTL') animated = true
    if (name === 'pHYs') density = densityOf(bytes.subarray(offset + 8, offset + 17))
    offset += CHUNK_FRAME_BYTES + bytes.readUInt32BE(offset)
  }
  return container('cut')
}

const METRES_PER_INCH = 0.0254

/** Pixels per unit in both directions, and whether the unit is the metre; if not, it is a mere ratio. */
function densityOf(chunk: Buffer): number | null {
  return chunk[8] === 1 ? Math.round(chunk.readUInt32BE(0) * METRES_PER_INCH) || null : null
}

/** Colour type and bit depth, as Pillow names the pairs. Transparency by tRNS does not change the mode. */
function modeOf(bytes: Buffer): ColourMode | null {
  const [depth = 0, colourType = -1] = bytes.subarray(24, 26)
  switch (colourType) {
    case 0:
      return depth === 1 ? '1' : depth === 16 ? 'I;16' : 'L'
    case 2:
      return 'RGB'
    case 3:
      return 'P'
    case 4:
      return depth === 16 ? 'RGBA' : 'LA'
    case 6:
      return 'RGBA'
    default:
      return null
  }
}
