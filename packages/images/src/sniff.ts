import { fileTypeFromBuffer } from 'file-type'

/** What `file-type` needs at most. */
const HEAD_BYTES = 4100

/** The media type that the first bytes show, accepted or not, so that an error can name it; null when they show none. */
export async function sniff(head: Uint8Array): Promise<string | null> {
  const start = head.subarray(0, HEAD_BYTES)
  // The library does not promise to survive every malformed input, and what it cannot read is unknown to us as well.
  const found = await fileTypeFromBuffer(start).catch(() => undefined)
  const type = found?.mime ?? null
  if (type === 'image/heif' || type === 'image/heif-sequence') return typeOfBrands(start) ?? type
  // An animated PNG is a PNG for whoever does not know better, and that is every decoder here (and Pillow's word for it).
  if (type === 'image/apng') return 'image/png'
  return type === null || type === 'application/xml' ? (plainType(start) ?? type) : type
}

/** A file whose major brand is the neutral `mif1` says among the compatible brands what codes its pixels (ISO 14496-12, 4.3). */
function typeOfBrands(start: Uint8Array): string | null {
  const bytes = Buffer.from(start.buffer, start.byteOffset, start.byteLength)
  const end = Math.min(bytes.readUInt32BE(0), bytes.byteLength)
  for (let offset = 16; offset + 4 <= end; offset += 4) {
    const brand = bytes.toString('latin1', offset, offset + 4)
    if (brand === 'avif' || brand === 'avis') return 'image/avif'
    if (brand === 'heic' || brand === 'heix') return 'image/heic'
  }
  return null
}

/** What the library does not name: SVG, and TIFF whose directory lies beyond the head. */
function plainType(start: Uint8Array): string | null {
  const text = Buffer.from(start).toString('latin1')
  if (text.startsWith('II*\0') || text.startsWith('MM\0*')) return 'image/tiff'
  return /^\W*<(\?xml|!--|!DOCTYPE svg|svg)/i.test(text) && /<svg[\s>]/i.test(text) ? 'image/svg+xml' : null
}
