import type { Exif, Limits } from '@sluice/core'
import parseExif from 'exif-reader'
import { cleanText } from './text.ts'

/** More than any camera writes; what is beyond is left out. */
const TAGS_MAX = 400
const TEXT_LENGTH_MAX = 500
const LIST_LENGTH_MAX = 32
/** Version numbers and the like are shown as hex; larger blobs, such as maker notes and thumbnails, are left out. */
const BLOB_BYTES_MAX = 16
const JSON_LENGTH_MAX = 32 * 1024

/** EXIF as JSON that any store takes. What cannot be read is no fault of the pixels: it becomes a warning. */
export function readExif(block: Uint8Array | undefined, limits: Limits, warn: (text: string) => void): Exif | null {
  if (!block || block.byteLength === 0) return null
  const bytes = Buffer.from(block.buffer, block.byteOffset, block.byteLength)
  if (bytes.length > limits.exifBytesMax) {
    warn('the EXIF block is too long and was ignored')
    return null
  }
  try {
    checkValueCount(bytes)
    return jsonOf(parseExif(bytes), warn)
  } catch {
    warn('the EXIF block is malformed and was ignored')
    return null
  }
}

function jsonOf(groups: Readonly<Record<string, unknown>>, warn: (text: string) => void): Exif | null {
  const exif: Record<string, Record<string, unknown>> = {}
  let tags = 0
  let length = 0
  for (const [group, values] of Object.entries(groups)) {
    if (typeof values !== 'object' || values === null) continue
    for (const [tag, value] of Object.entries(values)) {
      const kept = jsonValue(value)
      if (kept === undefined) continue
      tags += 1
      length += tag.length + JSON.stringify(kept).length
      if (tags > TAGS_MAX || length > JSON_LENGTH_MAX) {
        warn('the EXIF block has more tags than are kept')
        return exif
      }
      ;(exif[group] ??= {})[tag] = kept
    }
  }
  return tags === 0 ? null : exif
}

/** Undefined for what is left out. */
function jsonValue(value: unknown): string | number | (string | number)[] | undefined {
  if (typeof value === 'string') return cleanText(value, TEXT_LENGTH_MAX)
  if (typeof value === 'number') return Number.isFinite(value) ? value : undefined
  if (value instanceof Date) return Number.isNaN(value.getTime()) ? undefined : value.toISOString()
  if (Buffer.isBuffer(value)) return blobValue(value)
  if (!Array.isArray(value) || value.length > LIST_LENGTH_MAX) return undefined
  return value.map(jsonValue).filter((item) => typeof item === 'string' || typeof item === 'number')
}

/** exif-reader gives text that is not ASCII as bytes; UTF-8 is what is written in practice. */
function blobValue(bytes: Buffer): string | undefined {
  const text = bytes
    .subarray(0, TEXT_LENGTH_MAX * 4)
    .toString('utf8')
    .replace(/\0+$/, '')
  if (/\p{L}{2}/u.test(text) && !/\ufffd|\p{Cc}/u.test(text)) return cleanText(text, TEXT_LENGTH_MAX)
  return bytes.length <= BLOB_BYTES_MAX ? bytes.toString('hex') : undefined
}

const DIRECTORIES_MAX = 8
const ENTRY_BYTES = 12
/** Tags whose value is the offset of a further directory: Exif, GPS, Interoperability. */
const POINTERS = new Set([0x8769, 0x8825, 0xa005])
/** The size of one value of each type (TIFF 6.0, section 2). */
const TYPE_BYTES = [0, 1, 1, 2, 4, 8, 1, 1, 2, 4, 8]

/**
 * exif-reader copies the values of every entry, and entries may share their bytes: a block of 256 KiB can ask for 5 · 10⁹
 * values and hold the process for minutes. Honest values lie side by side, so that all of them fit in the block.
 */
function checkValueCount(block: Buffer): void {
  const tiff = block.subarray(block.toString('latin1', 0, 4) === 'Exif' ? 6 : 0)
  const little = tiff.toString('latin1', 0, 2) === 'II'
  const u16 = (at: number) => (little ? tiff.readUInt16LE(at) : tiff.readUInt16BE(at))
  const u32 = (at: number) => (little ? tiff.readUInt32LE(at) : tiff.readUInt32BE(at))
  const directories = [u32(4)]
  let valueBytes = 0
  for (let visited = 0; visited < directories.length; visited += 1) {
    const start = directories[visited] ?? 0
    if (start === 0 || start + 2 > tiff.length) continue
    const end = start + 2 + u16(start) * ENTRY_BYTES
    for (let entry = start + 2; entry < end && entry + ENTRY_BYTES <= tiff.length; entry += ENTRY_BYTES) {
      valueBytes += (TYPE_BYTES[u16(entry + 2)] ?? 0) * u32(entry + 4)
      if (POINTERS.has(u16(entry))) directories.push(u32(entry + 8))
    }
    if (visited === 0 && end + 4 <= tiff.length) directories.push(u32(end))
    if (valueBytes > tiff.length || directories.length > DIRECTORIES_MAX) throw new RangeError('more values than bytes')
  }
}
