import type { FastifyRequest } from 'fastify'
import { type IntakeWorld, MEDIA_TYPES, type ProductImage } from '@sluice/core'
import { mediaUrl } from '../media-links.ts'

/** An image as this API shows it. `type` and `mode` are words of Pillow's. */
export function imageView(request: FastifyRequest, world: IntakeWorld, productNumber: number, image: ProductImage) {
  const { file, uploader } = image
  const { mediaType, bytes, width, height, mode } = file.facts
  const { format, extension } = MEDIA_TYPES[mediaType]
  const named = `${image.name}.${extension}`
  return {
    id: image.number,
    type: format,
    user: uploader && { id: uploader.number, username: uploader.name, full_name: uploader.name },
    name: file.name ?? named,
    f: mediaUrl(request, world, file, `products/${productNumber}/${named}`),
    size: bytes,
    description: image.label,
    width,
    height,
    human_readable_size: humanSize(bytes),
    mode,
    created_at: image.createdAt.toISOString(),
    updated_at: image.updatedAt.toISOString(),
  }
}

const UNITS = ['bytes', 'KB', 'MB', 'GB', 'TB']

/** As Django's `filesizeformat` has it: powers of 1024, one decimal, and the names that most people know them by. */
export function humanSize(bytes: number): string {
  if (bytes < 1024) return bytes === 1 ? '1 byte' : `${bytes} bytes`
  const power = Math.min(Math.floor(Math.log2(bytes) / 10), UNITS.length - 1)
  return `${(bytes / 1024 ** power).toFixed(1)} ${UNITS[power]}`
}
