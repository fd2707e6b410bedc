import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify'
import { blobKey, type File, type FileId, isUuid, MEDIA_TYPES, SluiceError, thumbnailKey } from '@sluice/core'
import { Type, type Static } from 'typebox'
import { callerOf } from '../authenticate.ts'
import { type ByteRange, sendBlob } from '../content.ts'
import type { NativeOptions } from './index.ts'
import * as schemas from './schemas.ts'
import { uploadRoute } from './upload-route.ts'
import { takeUpload } from './uploads.ts'
import { fileView } from './views.ts'

const FileParams = Type.Object({ file: Type.String({ description: 'The id of the file' }) })
const Content = Type.Object({
  download: Type.Optional(Type.String({ description: 'Give it any value to be offered a download.' })),
})

const IMAGE_TYPES = Object.keys(MEDIA_TYPES)

/** The whole, a part, or word that the client has it already. */
function bytesOf(mediaTypes: readonly string[]) {
  const content = Object.fromEntries(mediaTypes.map((type) => [type, { schema: Type.String({ contentMediaType: type }) }]))
  return {
    200: { description: 'The bytes', content },
    206: { description: 'The part of the bytes that `Range` asks for', content },
    304: { description: '`If-None-Match` names what is there', type: 'null' },
    ...schemas.problems(404, 416),
  }
}

type FileRequest = FastifyRequest<{ Params: Static<typeof FileParams>; Querystring: Static<typeof Content> }>

export async function fileRoutes(app: FastifyInstance, options: NativeOptions): Promise<void> {
  const { database, objects, limits } = options.world

  /** Throws `file_unknown`, for another tenant's file as well. */
  const findFile = async (request: FileRequest): Promise<File> => {
    const { file: id } = request.params
    const file = isUuid(id) ? await database.files.find(callerOf(request).tenantId, id.toLowerCase() as FileId) : null
    if (!file) throw new SluiceError('file_unknown')
    return file
  }

  const sendContent = async (request: FileRequest, reply: FastifyReply) => {
    const { name, facts, tenantId } = await findFile(request)
    const { mediaType, bytes, digest } = facts
    const disposition = request.query.download === undefined ? 'inline' : 'attachment'
    const open = (range: ByteRange | null, signal: AbortSignal) => objects.readBlob(blobKey(tenantId, digest), range, signal)
    return sendBlob(reply, { name, mediaType, bytes, digest, disposition, open })
  }

  const sendThumbnail = async (request: FileRequest, reply: FastifyReply) => {
    const { facts, tenantId } = await findFile(request)
    const { digest, thumbnail } = facts
    const open = (range: ByteRange | null, signal: AbortSignal) => objects.readBlob(thumbnailKey(tenantId, digest), range, signal)
    // The image's digest is as good a tag: the thumbnail is made from it, once.
    return sendBlob(reply, {
      name: 'thumbnail.webp',
      mediaType: 'image/webp',
      bytes: thumbnail.bytes,
      digest,
      disposition: 'inline',
      open,
    })
  }

  await app.register(uploadRoute, {
    url: '/files',
    limits,
    hasPlace: false,
    schema: { tags: ['Files'], summary: 'Upload a file without a product', response: { 201: schemas.File, 202: schemas.Ingest } },
    handler: async (request, reply) => takeUpload(options, request, reply, null),
  })

  const read = (summary: string) => ({
    config: { access: 'reader' as const },
    schema: { tags: ['Files'], summary, params: FileParams },
  })

  app.get(
    '/files/:file',
    {
      ...read('Read what is known of a file'),
      schema: { ...read('Read what is known of a file').schema, response: { 200: schemas.File, ...schemas.problems(404) } },
    },
    async (request: FileRequest) => fileView(await findFile(request)),
  )
  app.get(
    '/files/:file/content',
    {
      ...read('Read the bytes'),
      schema: { ...read('Read the bytes, whole or by range').schema, querystring: Content, response: bytesOf(IMAGE_TYPES) },
    },
    sendContent,
  )
  const thumbnail = read('Read the thumbnail: WebP, at most 320 pixels')
  app.get(
    '/files/:file/thumbnail',
    { ...thumbnail, schema: { ...thumbnail.schema, response: bytesOf(['image/webp']) } },
    sendThumbnail,
  )
}
