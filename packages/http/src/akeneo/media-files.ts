import { extname } from 'node:path'
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify'
import { blobKey, type File, MEDIA_TYPES } from '@sluice/core'
import { callerOf } from '../authenticate.ts'
import { type ByteRange, sendBlob } from '../content.ts'
import { type DialectContext } from '../dialect.ts'
import { publicUrl } from '../host.ts'
import { fault, mediaFileUnknown } from './errors.ts'
import { requireJsonAccepted } from './headers.ts'
import { pageView, readPage } from './page.ts'

export const MEDIA_FILES = '/api/rest/v1/media-files'
const DOWNLOAD = '/download'

type CodeRequest = FastifyRequest<{ Params: { '*': string } }>

/** Every file of the tenant is a media file, whichever API brought it. */
export function mediaFileRoutes(app: FastifyInstance, { world }: DialectContext): void {
  const { database, objects, limits } = world

  app.get(MEDIA_FILES, { config: { access: 'reader' } }, async (request) => {
    requireJsonAccepted(request)
    const query = readPage(request.query, limits.pageItemsMax)
    const { items, total } = await database.files.list(callerOf(request).tenantId, [], {
      offset: (query.page - 1) * query.limit,
      limit: query.limit,
      withTotal: query.withCount,
    })
    const address = `${publicUrl(request, world)}${MEDIA_FILES}`
    return pageView(
      address,
      query,
      items.map((file) => itemView(address, file)),
      total,
    )
  })

  const findByCode = async (request: FastifyRequest, code: string): Promise<File> => {
    const file = await database.files.findByCode(callerOf(request).tenantId, code)
    if (!file) throw mediaFileUnknown(code)
    return file
  }

  const sendContent = async (request: FastifyRequest, reply: FastifyReply, code: string) => {
    const { name, tenantId, facts } = await findByCode(request, code)
    const { mediaType, bytes, digest } = facts
    const open = async (range: ByteRange | null, signal: AbortSignal) => {
      const content = await objects.readBlob(blobKey(tenantId, digest), range, signal)
      if (content) return content
      request.log.error({ digest }, 'the blob is not in the store')
      throw fault(404, `Media file "${code}" is not present on the filesystem.`)
    }
    return sendBlob(reply, { name, mediaType, bytes, digest, disposition: 'attachment', open })
  }

  // A code has slashes, so the router cannot tell the two addresses apart.
  app.get(`${MEDIA_FILES}/*`, { config: { access: 'reader' } }, async (request: CodeRequest, reply) => {
    // Akeneo's PHP client writes two slashes before some codes.
    const path = request.params['*'].replace(/^\/+/, '')
    if (path.endsWith(DOWNLOAD)) return sendContent(request, reply, path.slice(0, -DOWNLOAD.length))
    requireJsonAccepted(request)
    const file = await findByCode(request, path)
    const { download } = linksOf(`${publicUrl(request, world)}${MEDIA_FILES}`, file)
    return { ...fileView(file), _links: { download } }
  })
}

/** The members stand in Akeneo's own order. */
function itemView(address: string, file: File) {
  return { _links: linksOf(address, file), ...fileView(file) }
}

/** A code has only letters, digits, dots, underscores and slashes: it needs no encoding. */
function linksOf(address: string, { code }: File) {
  const self = `${address}/${code}`
  return { self: { href: self }, download: { href: `${self}${DOWNLOAD}` } }
}

function fileView({ code, name, facts: { mediaType, bytes } }: File) {
  const { extension } = MEDIA_TYPES[mediaType]
  return {
    code,
    original_filename: name ?? `image.${extension}`,
    mime_type: mediaType,
    size: bytes,
    extension: extensionOf(name) || extension,
  }
}

/** As it was given, without the dot; empty when there is none. */
export function extensionOf(fileName: string | null): string {
  return extname(fileName ?? '').slice(1)
}
