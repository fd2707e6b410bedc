import {
  ACCEPTED_TYPES,
  type ColourMode,
  type Inspection,
  isMediaType,
  type Limits,
  type MediaType,
  SluiceError,
} from '@sluice/core'
import sharp, { type Metadata, type SharpOptions } from 'sharp'
import { type Container, readContainer } from './container.ts'
import { readExif } from './exif.ts'
import { decodeFault } from './faults.ts'
import { iccName } from './icc-name.ts'
import { pictureOf } from './picture.ts'
import { sniff } from './sniff.ts'
import { cleanText } from './text.ts'

// Only what is accepted can be decoded: libvips has loaders for SVG, PDF, TIFF and more, and none of them is in reach.
sharp.block({ operation: ['VipsForeignLoad'] })
sharp.unblock({
  operation: ['Jpeg', 'Png', 'Webp', 'Nsgif', 'Heif'].map((loader) => `VipsForeignLoad${loader}`),
})
// A process decodes one image at a time and never the same twice. Parallelism is the number of processes.
sharp.cache(false)
sharp.concurrency(1)

const WARNINGS_MAX = 20
const WARNING_LENGTH_MAX = 200

/**
 * Every frame of an animation is decoded, but only this much of each is kept: it is a proof, not a picture. Measured on 500
 * frames of 440 × 440: 3 to 6 MB more than before at 16 pixels, 200 (GIF) to 395 MB (WebP) at 320, and half the time.
 */
const PROOF_PIXELS = 16

/**
 * All that is told of one image. Limits are checked against the header, before a pixel is decoded; then the image is decoded
 * once, and everything else is made from the reduction. Throws a `SluiceError` for each fault of the image.
 */
export async function inspectImage(bytes: Uint8Array, limits: Limits): Promise<Inspection> {
  const mediaType = acceptedType(await sniff(bytes))
  const container = readContainer(mediaType, bytes)
  const warnings = new Set<string>()
  const warn = (text: string) => warnings.size < WARNINGS_MAX && warnings.add(cleanText(text, WARNING_LENGTH_MAX))
  const open = (options: SharpOptions = {}) => sharp(bytes, { ...strictness(limits), ...options }).on('warning', warn)

  try {
    const header = await open().metadata()
    checkSameType(mediaType, header)
    const frames = framesOf(mediaType, header)
    checkSize(header, frames, limits)
    const picture = await pictureOf(open({ autoOrient: true }), limits.thumbnailPixels, header.hasAlpha)
    if (frames > 1) await open({ animated: true }).resize(PROOF_PIXELS, PROOF_PIXELS, { fit: 'inside' }).raw().toBuffer()
    if (container.ending === 'cut') throw new SluiceError('image_truncated')
    if (container.ending === 'unmarked') warn('the end marker of the file is missing')
    if (container.animated && frames === 1) warn('the file holds an animation of which only the still image was decoded')
    const exif = readExif(header.exif, limits, warn)
    return { mediaType, frames, ...headerFacts(header, container), exif, ...picture, warnings: [...warnings] }
  } catch (error) {
    throw decodeFault(error, mediaType, container, limits)
  }
}

/**
 * `error` takes photographs with stray bytes before a marker, which `warning` refuses, and still refuses every cut JPEG and
 * PNG. `sequentialRead` keeps a strip of the image in memory instead of all of it.
 */
function strictness(limits: Limits): SharpOptions {
  return { failOn: 'error', limitInputPixels: limits.pixelsMax, limitInputChannels: 5, unlimited: false, sequentialRead: true }
}

function acceptedType(type: string | null): MediaType {
  if (type !== null && isMediaType(type)) return type
  throw unsupported(type ?? 'no image type that we know')
}

function unsupported(found: string): SluiceError {
  return new SluiceError('media_type_unsupported', `The content of the file is ${found}. Accepted are ${ACCEPTED_TYPES}.`)
}

/** HEIC and AVIF share a container: what coded the pixels tells them apart, and a brand can lie about it. */
function checkSameType(mediaType: MediaType, header: Metadata): void {
  if (header.mediaType !== mediaType) throw unsupported(header.mediaType ?? header.format)
}

/** The images of an AVIF file are alternatives, not frames: only the primary one is shown (ISO 23008-12, 6.3). */
function framesOf(mediaType: MediaType, { pages = 1 }: Metadata): number {
  return mediaType === 'image/avif' ? 1 : pages
}

function checkSize({ width, height }: Metadata, frames: number, { framesMax, pixelsMax }: Limits): void {
  if (frames > framesMax) {
    throw new SluiceError('image_frames_exceeded', `The image has ${frames} frames, more than ${framesMax}.`, {
      details: { frames, framesMax },
    })
  }
  const pixels = width * height * frames
  if (pixels > pixelsMax) {
    throw new SluiceError(
      'image_pixels_exceeded',
      `The image has ${pixels.toLocaleString('en')} pixels in all its frames, more than ${pixelsMax.toLocaleString('en')}.`,
      {
        details: { width, height, frames, pixels, pixelsMax },
      },
    )
  }
}

function headerFacts(header: Metadata, container: Container) {
  return {
    width: header.autoOrient.width,
    height: header.autoOrient.height,
    orientation: orientationOf(header.orientation),
    mode: container.mode ?? modeOfChannels(header),
    alpha: header.hasAlpha,
    // libvips says 72 where the file says nothing; outside PNG a unit is there only when the file has one.
    density: container.density ?? (header.resolutionUnit === undefined ? null : (header.density ?? null)),
    iccName: header.icc ? iccName(header.icc) : null,
  }
}

const ORIENTATIONS = [1, 2, 3, 4, 5, 6, 7, 8] as const

/** AVIF turns its pixels by a property of the container, which the decoder has applied: there it is 1. */
function orientationOf(value: number | undefined): Inspection['orientation'] {
  return ORIENTATIONS.find((known) => known === value) ?? 1
}

/** JPEG, WebP and AVIF; the modes of PNG and GIF cannot be told from what libvips makes of them. */
function modeOfChannels({ space, hasAlpha }: Metadata): ColourMode {
  if (space === 'cmyk') return 'CMYK'
  if (space === 'b-w') return hasAlpha ? 'LA' : 'L'
  return hasAlpha ? 'RGBA' : 'RGB'
}
