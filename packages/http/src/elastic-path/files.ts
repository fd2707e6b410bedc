/** `/v2/files`: where the ids of files come from. */
import type { FastifyInstance, FastifyRequest } from 'fastify'
import { type File, type FileCondition, type FileId, isUuid, SluiceError } from '@sluice/core'
import { callerOf } from '../authenticate.ts'
import { type DialectContext, STREAMED, streamBodies } from '../dialect.ts'
import { publicUrl } from '../host.ts'
import { bringImage, sendAccepted } from '../finished-ingest.ts'
import { filterInvalid } from './errors.ts'
import { fileView } from './file-view.ts'
import { readNewFile } from './new-file.ts'
import { type Condition, conditionsOf } from './filter.ts'
import { pageOf, pageView } from './paging.ts'

type FileRequest = FastifyRequest<{ Params: { fileID: string } }>

export function fileRoutes(app: FastifyInstance, context: DialectContext): void {
  const { world } = context
  const { files } = world.database

  const findFile = async (request: FastifyRequest, id: string): Promise<File> => {
    const file = isUuid(id) ? await files.find(callerOf(request).tenantId, id.toLowerCase() as FileId) : null
    if (!file) throw new SluiceError('file_unknown')
    return file
  }

  app.get('/v2/files', { config: { access: 'reader' } }, async (request) => {
    const page = pageOf(request, world.limits)
    const filter = conditionsOf(request).map(fileCondition)
    const listed = await files.list(callerOf(request).tenantId, filter, { ...page, withTotal: true })
    const { data, meta, links } = pageView(
      request,
      page,
      listed,
      (file) => fileView(request, world, file),
      publicUrl(request, world),
    )
    return { data, meta, links: { ...links, last: meta.page.total === 1 ? null : links.last } }
  })

  app.get('/v2/files/:fileID', { config: { access: 'reader' } }, async (request: FileRequest) => ({
    data: fileView(request, world, await findFile(request, request.params.fileID)),
  }))

  app.delete('/v2/files/:fileID', { config: { access: 'writer' } }, async (request: FileRequest, reply) => {
    const { id, tenantId } = await findFile(request, request.params.fileID)
    if (!(await files.remove(tenantId, id))) throw new SluiceError('file_unknown')
    return reply.code(204).send()
  })

  void app.register(async (scope) => {
    streamBodies(scope)
    scope.post('/v2/files', { config: { access: 'writer' }, ...STREAMED }, async (request, reply) => {
      const from = await readNewFile(world, request)
      const brought = await bringImage(context, request, reply, { from, target: null })
      if (brought.kind === 'accepted') return sendAccepted(reply, brought.ingest)
      const view = fileView(request, world, await findFile(request, brought.fileId))
      return reply.code(201).header('location', view.links.self).send({ data: view })
    })
  })
}

const SIZES: Readonly<Record<string, 'width' | 'height' | 'bytes'>> = { width: 'width', height: 'height', file_size: 'bytes' }

function fileCondition({ operator, field, operands }: Condition): FileCondition {
  const [value, ...rest] = operands
  if (value === undefined || rest.length > 0) throw filterInvalid()
  if (field === 'file_name') {
    if (operator === 'eq' || operator === 'like') return { field: 'name', operator, value }
  } else if (operator === 'eq' || operator === 'lt' || operator === 'le' || operator === 'gt' || operator === 'ge') {
    const size = Object.hasOwn(SIZES, field) ? SIZES[field] : undefined
    if (size && /^\d{1,15}$/.test(value)) return { field: size, operator, value: Number(value) }
  }
  throw filterInvalid()
}
