import { ACCEPTED_TYPES, type Limits, type MediaType, SluiceError } from '@sluice/core'
import type { Container } from './container.ts'
import { cleanText } from './text.ts'

const REASON_LENGTH_MAX = 120

/**
 * What libjpeg, libpng and libnsgif say of a file that ends too early. libwebp and the interlaced branch of libpng say the
 * same as of any other damage, and libheif speaks of bad seeks in whole files too: there the container tells.
 */
const ENDS_EARLY = /premature end of JPEG|not enough data|unexpected end of GIF/i

/** What libvips, libheif and libjpeg say when the kernel gives them no more; a process that cannot even say so dies. */
const OUT_OF_MEMORY = /out of memory|memory allocation error|insufficient memory/i

/** The failure of a decode as the fault of the image that it is; errors of our own pass. */
export function decodeFault(error: unknown, mediaType: MediaType, container: Container, { pixelsMax }: Limits): unknown {
  // sharp throws plain errors; a subclass is ours or JavaScript's, and a bug of ours is no fault of the image.
  if (!(error instanceof Error) || Object.getPrototypeOf(error) !== Error.prototype) return error
  const { message } = error
  const details = { reason: reasonOf(message) }
  if (/exceeds pixel limit/.test(message)) {
    return new SluiceError('image_pixels_exceeded', `The image has more than ${pixelsMax.toLocaleString('en')} pixels.`, {
      details: { pixelsMax },
    })
  }
  if (/unsupported image format/.test(message) && mediaType === 'image/avif') {
    // libheif opens no image sequences and nothing that is not AV1.
    return new SluiceError('media_type_unsupported', `This kind of AVIF is not accepted. Accepted are ${ACCEPTED_TYPES}.`)
  }
  if (OUT_OF_MEMORY.test(message)) {
    return new SluiceError('image_too_costly', 'The image could not be decoded within the memory that it may take.', { details })
  }
  if (container.ending === 'cut' || ENDS_EARLY.test(message)) {
    return new SluiceError('image_truncated', 'The image ends before all of it has been decoded.', { details })
  }
  return new SluiceError('image_corrupt', 'The image is damaged and cannot be decoded.', { details })
}

/** The first line that says something. */
function reasonOf(message: string): string {
  const lines = message.split('\n')
  return cleanText(lines.find((line) => !line.includes('bad seek')) ?? '', REASON_LENGTH_MAX)
}
