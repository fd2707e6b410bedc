import type { FastifyInstance } from 'fastify'
import { isMain, type Limits, type ProductRef, refuseOwned, SluiceError } from '@sluice/core'
import { type Static, Type } from 'typebox'
import { callerOf } from '../authenticate.ts'
import { imageId, ImageParams, sendImage, sendImages } from './image-answers.ts'
import { versionTag } from './if-match.ts'
import type { NativeOptions } from './index.ts'
import { ProductParams, productRef } from './products.ts'
import * as schemas from './schemas.ts'
import { uploadRoute } from './upload-route.ts'
import { takeUpload } from './uploads.ts'
import { imageView } from './views.ts'

/** Null: not given. Throws `request_invalid` for what is no time that an image may wait, or for a product that is not named by its SKU. */
function readPark(query: unknown, ref: ProductRef, { parkMsMax }: Limits): number | null {
  const { park } = query as Record<string, unknown>
  if (park === undefined) return null
  const seconds = typeof park === 'string' && /^\d{1,9}$/.test(park) ? Number(park) : 0
  if (seconds < 1 || seconds * 1000 > parkMsMax) refusePark(`must be a whole number of seconds, from 1 to ${parkMsMax / 1000}`)
  if (ref.kind !== 'sku') refusePark('can only be given where the product is named by its SKU')
  return seconds * 1000
}

function refusePark(message: string): never {
  throw new SluiceError('request_invalid', `park ${message}.`, { details: { errors: [{ field: 'park', message }] } })
}

/** A product with another SKU than this could never come. */
function checkSku(sku: string, { skuLengthMax }: Limits): string {
  const isSku = sku.length >= 1 && sku.length <= skuLengthMax && sku.isWellFormed() && !sku.includes('\0')
  if (!isSku) throw new SluiceError('product_unknown', 'No product can have this SKU.')
  return sku
}

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
      querystring: Type.Object({
        park: Type.Optional(
          Type.Integer({
            minimum: 1,
            maximum: limits.parkMsMax / 1000,
            description: 'With `sku:<sku>`: seconds that the image waits for a product with this SKU if there is none.',
          }),
        ),
      }),
      response: { 201: schemas.Image, 202: schemas.Ingest },
    },
    handler: async (request, reply) => {
      const { ref } = request.params as Static<typeof ProductParams>
      const named = productRef(ref)
      const waitMs = readPark(request.query, named, limits)
      // Whether it is there is asked again when the promise is recorded, so that it cannot come unseen in between.
      if (named.kind === 'sku' && waitMs !== null) {
        return takeUpload(options, request, reply, { sku: checkSku(named.sku, limits), waitMs })
      }
      const product = await database.products.find(callerOf(request).tenantId, named)
      if (!product) throw new SluiceError('product_unknown')
      // Before it sends us anything in vain.
      refuseOwned(product.owner)
      return takeUpload(options, request, reply, { product })
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
