import type { Inspection } from '@sluice/core'
import sharp, { type Sharp } from 'sharp'
import { rgbaToThumbHash } from 'thumbhash'

/** The most that a ThumbHash is made of. */
const HASH_PIXELS_MAX = 100

type Picture = Pick<Inspection, 'thumbnail' | 'thumbhash' | 'dominantColour'>

/** Straight alpha, four bytes a pixel. */
interface Pixels {
  readonly data: Uint8Array
  readonly width: number
  readonly height: number
}

/** Decodes once, in sRGB and upright, into a reduction; thumbnail, thumbhash and colour are made of that. */
export async function pictureOf(image: Sharp, pixels: number, alpha: boolean): Promise<Picture> {
  const reduced = await pixelsOf(inside(image, pixels).toColourspace('srgb').ensureAlpha())
  const thumbnail = fromPixels(reduced)
  const data = await (alpha ? thumbnail : thumbnail.removeAlpha()).webp().toBuffer()
  const { width, height } = reduced
  return {
    thumbnail: { data, width, height },
    thumbhash: await thumbhashOf(reduced),
    dominantColour: dominantColourOf(reduced.data),
  }
}

async function thumbhashOf(reduced: Pixels): Promise<string> {
  const { width, height, data } = await pixelsOf(inside(fromPixels(reduced), HASH_PIXELS_MAX))
  return Buffer.from(rgbaToThumbHash(width, height, data)).toString('base64')
}

function inside(image: Sharp, pixels: number): Sharp {
  return image.resize(pixels, pixels, { fit: 'inside', withoutEnlargement: true })
}

async function pixelsOf(image: Sharp): Promise<Pixels> {
  const { data, info } = await image.raw().toBuffer({ resolveWithObject: true })
  return { data, width: info.width, height: info.height }
}

function fromPixels({ data, width, height }: Pixels): Sharp {
  return sharp(data, { raw: { width, height, channels: 4 } })
}

/**
 * The mean of the fullest of 4096 bins: sharp's `stats().dominant` uses the same bins, but names their middle, so that pure
 * red becomes #f80808, and it counts pixels that nobody can see. Without visible pixels it is white.
 */
function dominantColourOf(rgba: Uint8Array): string {
  const bins = new Uint32Array(4096 * 4)
  let fullest = 0
  for (let at = 0; at + 3 < rgba.length; at += 4) {
    const [red = 0, green = 0, blue = 0, alpha = 0] = [rgba[at], rgba[at + 1], rgba[at + 2], rgba[at + 3]]
    if (alpha === 0) continue
    const bin = ((red >> 4) * 256 + (green >> 4) * 16 + (blue >> 4)) * 4
    const sums = [red, green, blue, 1]
    sums.forEach((value, index) => (bins[bin + index] = (bins[bin + index] ?? 0) + value))
    if ((bins[bin + 3] ?? 0) > (bins[fullest + 3] ?? 0)) fullest = bin
  }
  const [red = 0, green = 0, blue = 0, count = 0] = bins.subarray(fullest, fullest + 4)
  if (count === 0) return '#ffffff'
  return `#${[red, green, blue]
    .map((sum) =>
      Math.round(sum / count)
        .toString(16)
        .padStart(2, '0'),
    )
    .join('')}`
}
