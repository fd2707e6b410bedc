import type { FastifyInstance, FastifyReply } from 'fastify'
import { type ImageChange, type ImageId, isMain, isUuid, type ProductRef, SluiceError, type TenantId } from '@sluice/core'
import { Type, type Static } from 'typebox'
import { callerOf } from '../authenticate.ts'
import { expectedVersion, requiredVersion, versionTag } from './if-match.ts'
import type { NativeOptions } from './index.ts'
import { checkRoles } from './placement.ts'
import { ProductParams, productRef } from './products.ts'
import * as schemas from './schemas.ts'
import { uploadRoute } from './upload-route.ts'
import { takeUpload } from './uploads.ts'
import { imageView } from './views.ts'

const ImageParams = Type.Object({ ...ProductParams.properties, image: Type.String({ description: 'The id of the image' }) })
const IfMatch = Type.Object({ 'if-match': Type.Optional(Type.String({ description: 'The ETag of the images, `"7"`' })) })

const Order = Type.Object(
  { images: Type.Array(Type.String({ format: 'uuid' }), { description: 'Every image of the product, once.' }) },
  { additionalProperties: false },
)
const MainImage = Type.Object({ image_id: schemas.nullable(Type.String({ format: 'uuid' })) }, { additionalProperties: false })

export async function imageRoutes(app: FastifyInstance, { world }: NativeOptions): Promise<void> {
  const { database, limits, policy } = world
  const { images } = database

  const Change = Type.Object(
    {
      label: Type.Optional(Type.String({ maxLength: limits.labelLengthMax, pattern: '^[^\\u0000]*$' })),
      excluded: Type.Optional(Type.Boolean()),
      position: Type.Optional(Type.Integer({ minimum: 1, maximum: limits.imagesPerProductMax })),
      roles: Type.Optional(Type.Array(Type.String(), { maxItems: limits.rolesMax, uniqueItems: true })),
      main: Type.Optional(Type.Boolean()),
    },
    { additionalProperties: false, minProperties: 1 },
  )

  /** The images and their version, as read at one moment. */
  const sendList = async (reply: FastifyReply, tenantId: TenantId, ref: ProductRef) => {
    const list = await images.list(tenantId, ref)
    if (!list) throw new SluiceError('product_unknown')
    const { version } = list
    return reply
      .header('etag', versionTag(version))
      .send({ version, images: list.images.map((image, index) => imageView(image, index + 1)) })
  }

  const sendImage = async (reply: FastifyReply, tenantId: TenantId, ref: ProductRef, id: ImageId) => {
    const found = await images.find(tenantId, ref, id)
    if (!found) throw new SluiceError('image_unknown')
    return reply.header('etag', versionTag(found.version)).send(imageView(found.image, found.rank))
  }

  await app.register(uploadRoute, {
    url: '/products/:ref/images',
    limits,
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
      return takeUpload(world, request, reply, product)
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
    async (request, reply) => sendList(reply, callerOf(request).tenantId, productRef(request.params.ref)),
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
      sendImage(reply, callerOf(request).tenantId, productRef(request.params.ref), imageId(request.params.image)),
  )

  app.patch<{ Params: Static<typeof ImageParams>; Body: Static<typeof Change>; Headers: Static<typeof IfMatch> }>(
    '/products/:ref/images/:image',
    {
      config: { access: 'writer' },
      schema: {
        tags: ['Images'],
        summary: 'Change one image',
        description: 'Only what is given changes. `roles` replaces the roles of the image and takes them from others.',
        params: ImageParams,
        headers: IfMatch,
        body: Change,
        response: { 200: schemas.Image, ...schemas.problems(400, 404, 412, 422) },
      },
    },
    async (request, reply) => {
      const { tenantId } = callerOf(request)
      const [ref, id] = [productRef(request.params.ref), imageId(request.params.image)]
      const { position, ...rest } = request.body
      checkRoles(rest.roles ?? [], policy)
      const change: ImageChange = position === undefined ? rest : { ...rest, rank: position }
      await images.edit(tenantId, ref, id, change, expectedVersion(request.headers['if-match']))
      return sendImage(reply, tenantId, ref, id)
    },
  )

  app.delete<{ Params: Static<typeof ImageParams>; Headers: Static<typeof IfMatch> }>(
    '/products/:ref/images/:image',
    {
      config: { access: 'writer' },
      schema: {
        tags: ['Images'],
        summary: 'Take an image off its product',
        description:
          'The file stays. If it was the main image, the first of the others becomes it. Its name is never given again.',
        params: ImageParams,
        headers: IfMatch,
        response: { 204: Type.Null(), ...schemas.problems(404, 412) },
      },
    },
    async (request, reply) => {
      const { tenantId } = callerOf(request)
      const expected = expectedVersion(request.headers['if-match'])
      const version = await images.remove(
        tenantId,
        productRef(request.params.ref),
        imageId(request.params.image),
        'promote',
        expected,
      )
      return reply.code(204).header('etag', versionTag(version)).send()
    },
  )

  app.put<{ Params: Static<typeof ProductParams>; Body: Static<typeof Order>; Headers: Static<typeof IfMatch> }>(
    '/products/:ref/images/order',
    {
      config: { access: 'writer' },
      schema: {
        tags: ['Images'],
        summary: 'Put the images into an order',
        description:
          'Needs `If-Match`: an order that was made for another set of images is refused with 412 and the present order.',
        params: ProductParams,
        headers: IfMatch,
        body: Order,
        response: { 200: schemas.ImageList, ...schemas.problems(400, 404, 412, 422, 428) },
      },
    },
    async (request, reply) => {
      const { tenantId } = callerOf(request)
      const ref = productRef(request.params.ref)
      const order = request.body.images.map(imageId)
      await images.reorder(tenantId, ref, order, requiredVersion(request.headers['if-match']))
      return sendList(reply, tenantId, ref)
    },
  )

  app.put<{ Params: Static<typeof ProductParams>; Body: Static<typeof MainImage>; Headers: Static<typeof IfMatch> }>(
    '/products/:ref/main_image',
    {
      config: { access: 'writer' },
      schema: {
        tags: ['Images'],
        summary: 'Say which image is the main one',
        description: '`null`: none is.',
        params: ProductParams,
        headers: IfMatch,
        body: MainImage,
        response: { 200: schemas.ImageList, ...schemas.problems(400, 404, 412) },
      },
    },
    async (request, reply) => {
      const { tenantId } = callerOf(request)
      const ref = productRef(request.params.ref)
      const { image_id: main } = request.body
      await images.setMain(tenantId, ref, main === null ? null : imageId(main), expectedVersion(request.headers['if-match']))
      return sendList(reply, tenantId, ref)
    },
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
      const list = await images.list(callerOf(request).tenantId, productRef(request.params.ref))
      if (!list) throw new SluiceError('product_unknown')
      const index = list.images.findIndex(isMain)
      const main = list.images[index]
      if (!main) throw new SluiceError('image_unknown', 'The product has no main image.')
      return reply.header('etag', versionTag(list.version)).send(imageView(main, index + 1))
    },
  )
}

/** Throws `image_unknown` for text that is no id. */
function imageId(text: string): ImageId {
  if (!isUuid(text)) throw new SluiceError('image_unknown')
  return text.toLowerCase() as ImageId
}
