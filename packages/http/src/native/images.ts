import type { FastifyInstance } from 'fastify'
import { isMain, SluiceError } from '@sluice/core'
import type { Static } from 'typebox'
import { callerOf } from '../authenticate.ts'
import { imageId, ImageParams, sendImage, sendImages } from './image-answers.ts'
import { versionTag } from './if-match.ts'
import type { NativeOptions } from './index.ts'
import { ProductParams, productRef } from './products.ts'
import * as schemas from './schemas.ts'
import { uploadRoute } from './upload-route.ts'
import { takeUpload } from './uploads.ts'
import { imageView } from './views.ts'

/** Bringing images in, and looking at them. */
export async function imageRoutes(app: FastifyInstance, options: NativeOptions): Promise<void> {
  const { database, limits } = options.world

  await app.register(uploadRoute, {
    url: '/products/:ref/images',
    limits,
    hasPlace: true,
    schema: {
      tags: ['Images'],
      summary: 'Add an image to a product',
      params: ProductParams,
      response: { 201: schemas.Image, 202: schemas.Ingest },
    },
    handler: async (request, reply) => {
      const { ref } = request.params as Static<typeof ProductParams>
      const product = await database.products.find(callerOf(request).tenantId, productRef(ref))
      if (!product) throw new SluiceError('product_unknown')
      return takeUpload(options, request, reply, product)
    },
  })

  app.get<{ Params: Static<typeof ProductParams> }>(
    '/products/:ref/images',
    {
      config: { access: 'reader' },
      schema: {
        tags: ['Images'],
        summary: 'List the images of a product in their order',
        params: ProductParams,
        response: { 200: schemas.ImageList, ...schemas.problems(404) },
      },
    },
    async (request, reply) => sendImages(reply, database, callerOf(request).tenantId, productRef(request.params.ref)),
  )

  app.get<{ Params: Static<typeof ImageParams> }>(
    '/products/:ref/images/:image',
    {
      config: { access: 'reader' },
      schema: {
        tags: ['Images'],
        summary: 'Read one image',
        params: ImageParams,
        response: { 200: schemas.Image, ...schemas.problems(404) },
      },
    },
    async (request, reply) =>
      sendImage(reply, database, callerOf(request).tenantId, productRef(request.params.ref), imageId(request.params.image)),
  )

  app.get<{ Params: Static<typeof ProductParams> }>(
    '/products/:ref/main_image',
    {
      config: { access: 'reader' },
      schema: {
        tags: ['Images'],
        summary: 'Read the main image',
        params: ProductParams,
        response: { 200: schemas.Image, ...schemas.problems(404) },
      },
    },
    async (request, reply) => {
      const list = await database.images.list(callerOf(request).tenantId, productRef(request.params.ref))
      if (!list) throw new SluiceError('product_unknown')
      const index = list.images.findIndex(isMain)
      const main = list.images[index]
      if (!main) throw new SluiceError('image_unknown', 'The product has no main image.')
      return reply.header('etag', versionTag(list.version)).send(imageView(main, index + 1))
    },
  )
}
