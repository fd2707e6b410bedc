import type { FastifyInstance } from 'fastify'
import { checkMain, checkRoles, type ImageChange } from '@sluice/core'
import { Type, type Static } from 'typebox'
import { callerOf } from '../authenticate.ts'
import { TEXT, WELL_FORMED } from '../validation.ts'
import { imageId, ImageParams, sendImage, sendImages } from './image-answers.ts'
import { expectedVersion, requiredVersion, versionTag } from './if-match.ts'
import type { NativeOptions } from './index.ts'
import { ProductParams, productRef } from './products.ts'
import * as schemas from './schemas.ts'

const IfMatch = Type.Object({ 'if-match': Type.Optional(Type.String({ description: 'The ETag of the images, `"7"`' })) })

const Order = Type.Object(
  { images: Type.Array(Type.String({ format: 'uuid' }), { description: 'Every image of the product, once.' }) },
  { additionalProperties: false },
)
const MainImage = Type.Object({ image_id: schemas.nullable(Type.String({ format: 'uuid' })) }, { additionalProperties: false })

/** Changes to images that are there. With `If-Match` each is refused when the images have changed since they were read. */
export async function imageChangeRoutes(app: FastifyInstance, { world }: NativeOptions): Promise<void> {
  const { database, limits, policy } = world
  const { images } = database

  const Change = Type.Object(
    {
      label: Type.Optional(Type.String({ maxLength: limits.labelLengthMax, pattern: TEXT, format: WELL_FORMED })),
      excluded: Type.Optional(Type.Boolean()),
      position: Type.Optional(Type.Integer({ minimum: 1, maximum: limits.imagesPerProductMax })),
      roles: Type.Optional(Type.Array(Type.String(), { maxItems: limits.rolesMax, uniqueItems: true })),
      main: Type.Optional(Type.Boolean()),
    },
    { additionalProperties: false, minProperties: 1 },
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
        response: { 200: schemas.Image, ...schemas.problems(400, 404, 409, 412, 413, 415, 422) },
      },
    },
    async (request, reply) => {
      const { tenantId } = callerOf(request)
      const [ref, id] = [productRef(request.params.ref), imageId(request.params.image)]
      const { position, ...rest } = request.body
      checkRoles(rest.roles ?? [], policy)
      checkMain(rest)
      const change: ImageChange = position === undefined ? rest : { ...rest, rank: position }
      await images.edit(tenantId, ref, id, change, expectedVersion(request.headers['if-match']))
      return sendImage(reply, database, tenantId, ref, id)
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
        response: { 204: Type.Null(), ...schemas.problems(400, 404, 409, 412, 415) },
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
        response: { 200: schemas.ImageList, ...schemas.problems(400, 404, 409, 412, 413, 415, 422, 428) },
      },
    },
    async (request, reply) => {
      const { tenantId } = callerOf(request)
      const ref = productRef(request.params.ref)
      const order = request.body.images.map(imageId)
      await images.reorder(tenantId, ref, order, requiredVersion(request.headers['if-match']))
      return sendImages(reply, database, tenantId, ref)
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
        response: { 200: schemas.ImageList, ...schemas.problems(400, 404, 409, 412, 413, 415) },
      },
    },
    async (request, reply) => {
      const { tenantId } = callerOf(request)
      const ref = productRef(request.params.ref)
      const { image_id: main } = request.body
      await images.setMain(tenantId, ref, main === null ? null : imageId(main), expectedVersion(request.headers['if-match']))
      return sendImages(reply, database, tenantId, ref)
    },
  )
}
