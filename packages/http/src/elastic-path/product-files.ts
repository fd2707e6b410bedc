/**
 * The files of a product are its images in their order, the main one among them. So what other dialects brought is listed here, and
 * whose file is taken off is taken off everywhere.
 */
import type { FastifyInstance, FastifyReply } from 'fastify'
import { type FileId, type ImageId, type ImageList, type Product, SluiceError } from '@sluice/core'
import type { DialectContext } from '../dialect.ts'
import { attachFile } from './attach-file.ts'
import { identifierOf, listOf } from './body.ts'
import { changeableProductOf, filesNamed, imagesOf, productOf, type ProductRequest, refOf } from './product-of.ts'

const URL = '/pcm/products/:productID/relationships/files'

export function productFileRoutes(app: FastifyInstance, context: DialectContext): void {
  const { world } = context
  const { images } = world.database

  const namesOf = (request: ProductRequest) =>
    listOf(request, world.limits.relationsMax).map((item, index) => identifierOf(item, 'file', `data[${index}]`))

  app.get(URL, { config: { access: 'reader' } }, async (request: ProductRequest) => {
    const list = await imagesOf(world, await productOf(world, request))
    return { data: fileIdsOf(list).map((id) => ({ type: 'file', id })) }
  })

  app.post(URL, { config: { access: 'writer' } }, async (request: ProductRequest, reply) => {
    const product = await changeableProductOf(world, request)
    const files = await filesNamed(world, product, namesOf(request))
    await attachMissing(context, request, reply, product, files)
    return reply.code(204).send()
  })

  app.put(URL, { config: { access: 'writer' } }, async (request: ProductRequest, reply) => {
    const product = await changeableProductOf(world, request)
    const files = await filesNamed(world, product, namesOf(request))
    const { order, version } = await attachMissing(context, request, reply, product, files)
    await images.keepOnly(product.tenantId, refOf(product.id), order, version)
    return reply.code(204).send()
  })

  app.delete(URL, { config: { access: 'writer' } }, async (request: ProductRequest, reply) => {
    const product = await changeableProductOf(world, request)
    const named = new Set(namesOf(request).map((name) => name.toLowerCase()))
    const list = await imagesOf(world, product)
    for (const { id, file } of list.images) if (named.has(file.id)) await takeOff(product, id)
    return reply.code(204).send()
  })

  /** One that somebody else has taken off already is off. */
  const takeOff = async ({ tenantId, id }: Product, image: ImageId) => {
    try {
      await images.remove(tenantId, refOf(id), image, 'clear', null)
    } catch (error) {
      if (!SluiceError.is(error, 'image_unknown')) throw error
    }
  }
}

/** Each once, although several images may show the same file. */
export function fileIdsOf({ images }: ImageList): readonly FileId[] {
  return [...new Set(images.map(({ file }) => file.id))]
}

/**
 * One image for each file that has none, one after the other, so that they come in this order. Tells the images of all the files, and
 * the version that the product has if nobody else has changed it meanwhile.
 */
async function attachMissing(
  context: DialectContext,
  request: ProductRequest,
  reply: FastifyReply,
  product: Product,
  files: readonly FileId[],
): Promise<{ order: readonly ImageId[]; version: number }> {
  const list = await imagesOf(context.world, product)
  // Each image has a listener that learns whether the answer was delivered; Node warns of more than ten.
  reply.raw.setMaxListeners(files.length + reply.raw.getMaxListeners())
  let { version } = list
  const order: ImageId[] = []
  for (const fileId of files) {
    const there = list.images.find(({ file }) => file.id === fileId)
    if (!there) version += 1
    order.push(there?.id ?? (await attach(context, request, reply, product, fileId)))
  }
  return { order, version }
}

async function attach(
  context: DialectContext,
  request: ProductRequest,
  reply: FastifyReply,
  product: Product,
  fileId: FileId,
): Promise<ImageId> {
  const brought = await attachFile(context, request, reply, { product, fileId, main: false, part: fileId })
  if (brought.kind === 'accepted' || brought.imageId === null) throw new Error('an image that was waited for was not brought')
  return brought.imageId
}
