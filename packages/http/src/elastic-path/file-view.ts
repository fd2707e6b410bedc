import type { FastifyRequest } from 'fastify'
import { type File, type IntakeWorld, MEDIA_TYPES } from '@sluice/core'
import { publicUrl } from '../host.ts'
import { mediaUrl } from '../media-links.ts'

export function fileView(request: FastifyRequest, world: IntakeWorld, file: File) {
  const { id, name, facts, createdAt } = file
  const stored = `${id}.${MEDIA_TYPES[facts.mediaType].extension}`
  return {
    type: 'file',
    id,
    link: { href: mediaUrl(request, world, file, stored) },
    file_name: name ?? stored,
    mime_type: facts.mediaType,
    file_size: facts.bytes,
    meta: {
      dimensions: { width: facts.width, height: facts.height },
      timestamps: { created_at: createdAt.toISOString() },
    },
    links: { self: `${publicUrl(request, world)}/v2/files/${id}` },
  }
}
