import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify'
import { blobKey, type File, type FileId, isUuid, MEDIA_TYPES, SluiceError, thumbnailKey } from '@sluice/core'
import { Type, type Static } from 'typebox'
import { callerOf } from '../authenticate.ts'
import { sendBlob } from '../content.ts'
import type { NativeOptions } from './index.ts'
import * as schemas from './schemas.ts'
import { uploadRoute } from './upload-route.ts'
import { takeUpload } from './uploads.ts'
import { fileView } from './views.ts'

const FileParams = Type.Object({ file: Type.String({ description: 'The id of the file' }) })
const Content = Type.Object({
  download: Type.Optional(Type.String({ description: 'Give it any value to be offered a download.' })),
})

type FileRequest = FastifyRequest<{ Params: Static<typeof FileParams>; Querystring: Static<typeof Content> }>

export async function fileRoutes(app: FastifyInstance, { world }: NativeOptions): Promise<void> {
  const { database, objects, limits } = world

  /** Throws `file_unknown`, for another tenant's file as well. */
  const findFile = async (request: FileRequest): Promise<File> => {
    const { file: id } = request.params
    const file = isUuid(id) ? await database.files.find(callerOf(request).tenantId, id.toLowerCase() as FileId) : null
    if (!file) throw new SluiceError('file_unknown')
    return file
  }

  const sendContent = async (request: FileRequest, reply: FastifyReply) => {
    const file = await findFile(request)
    const { mediaType, bytes, digest } = file.facts
    return sendBlob(request, reply, {
      name: file.name ?? `image.${MEDIA_TYPES[mediaType].extension}`,
      mediaType,
      bytes,
      etag: digest,
      createdAt: file.createdAt,
      download: request.query.download !== undefined,
      open: (range, signal) => objects.readBlob(blobKey(file.tenantId, digest), range, signal),
    })
  }

  const sendThumbnail = async (request: FileRequest, reply: FastifyReply) => {
    const file = await findFile(request)
    const { thumbnail, digest } = file.facts
    return sendBlob(request, reply, {
      name: 'thumbnail.webp',
      mediaType: 'image/webp',
      bytes: thumbnail.bytes,
      etag: `${digest}-thumbnail`,
      createdAt: file.createdAt,
      download: false,
      open: (range, signal) => objects.readBlob(thumbnailKey(file.tenantId, digest), range, signal),
    })
  }

  await app.register(uploadRoute, {
    url: '/files',
    limits,
    schema: { tags: ['Files'], summary: 'Upload a file without a product', response: { 201: schemas.File, 202: schemas.Ingest } },
    handler: async (request, reply) => takeUpload(world, request, reply, null),
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
    { ...read('Read the bytes'), schema: { ...read('Read the bytes, whole or by range').schema, querystring: Content } },
    sendContent,
  )
  app.get('/files/:file/thumbnail', read('Read the thumbnail: WebP, at most 320 pixels'), sendThumbnail)
}
