/**
 * The main image of a product. It is the image with the role `image`, in every dialect: setting it to a file that hangs on the
 * product already moves the role, and to any other file brings an image.
 */
import type { FastifyInstance, FastifyReply } from 'fastify'
import { isMain } from '@sluice/core'
import type { DialectContext } from '../dialect.ts'
import { sendAccepted } from '../finished-ingest.ts'
import { attachFile } from './attach-file.ts'
import { dataOf, identifierOf, oneOf } from './body.ts'
import { changeableProductOf, filesNamed, imagesOf, productOf, type ProductRequest, refOf } from './product-of.ts'

const URL = '/pcm/products/:productID/relationships/main_image'

export function mainImageRoutes(app: FastifyInstance, context: DialectContext): void {
  const { world } = context

  app.get(URL, { config: { access: 'reader' } }, async (request: ProductRequest) => {
    const { images } = await imagesOf(world, await productOf(world, request))
    const main = images.find(isMain)
    return { data: main ? { type: 'file', id: main.file.id } : null }
  })

  app.post(URL, { config: { access: 'writer' } }, async (request: ProductRequest, reply) =>
    setMainImage(context, request, reply, dataOf),
  )

  // The OpenAPI document shows an array here, and an object for POST; every client sends an object.
  app.put(URL, { config: { access: 'writer' } }, async (request: ProductRequest, reply) =>
    setMainImage(context, request, reply, oneOf),
  )

  app.delete(URL, { config: { access: 'writer' } }, async (request: ProductRequest, reply) => {
    const product = await changeableProductOf(world, request)
    await world.database.images.setMain(product.tenantId, refOf(product.id), null, null)
    return reply.code(204).send()
  })
}

/** Replaces the main image that there is now, and no other: one that was set in the meantime is a conflict. */
async function setMainImage(
  context: DialectContext,
  request: ProductRequest,
  reply: FastifyReply,
  read: typeof dataOf,
): Promise<FastifyReply> {
  const { world } = context
  const product = await changeableProductOf(world, request)
  const name = identifierOf(read(request), 'file', 'data')
  const { images } = await imagesOf(world, product)
  const [fileId] = await filesNamed(world, product, [name])
  if (fileId === undefined) throw new Error('a file that is not missing was not found')

  const main = images.find(isMain)
  if (main?.file.id === fileId) return reply.code(204).send()
  const shown = images.find(({ file }) => file.id === fileId)
  if (shown) {
    await world.database.images.setMain(product.tenantId, refOf(product.id), shown.id, null, main?.id ?? null)
    return reply.code(204).send()
  }
  const replacesMain = { imageId: main?.id ?? null }
  const brought = await attachFile(context, request, reply, { product, fileId, main: true, replacesMain })
  return brought.kind === 'accepted' ? sendAccepted(reply, brought.ingest) : reply.code(204).send()
}
