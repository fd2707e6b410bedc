import type { FastifyInstance } from 'fastify'
import { type DialectContext, defineDialect, STREAMED, streamBodies } from '../dialect.ts'
import { badRequest, ERRORS_ON_THE_WIRE, methodMissing, sendError, type Wire } from './errors.ts'
import { checkContentType } from './image-body.ts'
import { changeImage, createImage, readImage, readImages, removeImage } from './images.ts'
import type { ImageParams } from './place.ts'
import { identify } from './who-asks.ts'

const COLLECTION = '/api/rest/products/:id/images'
const ENTITY = `${COLLECTION}/:image`

/** OpenMage: the images of a product, globally and in store views. */
export const openmage = defineDialect<Wire>({
  name: 'openmage',
  prefixes: ['/api/rest/products'],
  identify,
  routes(app, context) {
    // Answers to GET and DELETE do not depend on a body, whatever is declared of it.
    streamBodies(app)
    app.addHook('onRequest', async ({ headers: { version } }) => {
      if (version !== undefined && !/^[1-9]\d*$/.test(String(version)))
        throw badRequest(`Invalid version "${String(version)}" requested.`)
    })
    for (const url of [COLLECTION, `${COLLECTION}/store/:store`]) collection(app, url, context)
    for (const url of [ENTITY, `${ENTITY}/store/:store`]) entity(app, url, context)
  },
  errors: ERRORS_ON_THE_WIRE,
  sendError,
})

const READER = { config: { access: 'reader' } } as const
const WRITER = { config: { access: 'writer' } } as const
const IMAGE_WRITER = { ...WRITER, ...STREAMED, onRequest: checkContentType } as const

function collection(app: FastifyInstance, url: string, context: DialectContext): void {
  app.get<{ Params: ImageParams }>(url, READER, (request, reply) => readImages(context, request, reply))
  app.post<{ Params: ImageParams }>(url, IMAGE_WRITER, (request, reply) => createImage(context, request, reply))
  missing(app, url, ['PUT', 'DELETE'], 'GET, HEAD, POST')
}

function entity(app: FastifyInstance, url: string, context: DialectContext): void {
  app.get<{ Params: ImageParams }>(url, READER, (request, reply) => readImage(context, request, reply))
  app.put<{ Params: ImageParams }>(url, IMAGE_WRITER, (request, reply) => changeImage(context, request, reply))
  app.delete<{ Params: ImageParams }>(url, { ...WRITER, ...STREAMED }, (request, reply) => removeImage(context, request, reply))
  missing(app, url, ['POST'], 'DELETE, GET, HEAD, PUT')
}

/** The other system knows these methods, but not here. */
function missing(app: FastifyInstance, url: string, method: string[], allowed: string): void {
  app.route({
    url,
    method,
    ...STREAMED,
    config: { access: 'writer', isMissing: true },
    handler: async (_request, reply) => {
      void reply.header('allow', allowed)
      throw methodMissing()
    },
  })
}
