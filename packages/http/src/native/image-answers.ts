/** How images are named in a path, and how they are answered. */
import type { FastifyReply } from 'fastify'
import { type Database, type ImageId, isUuid, type ProductRef, SluiceError, type TenantId } from '@sluice/core'
import { Type } from 'typebox'
import { namesTag } from '../content.ts'
import { versionTag } from './if-match.ts'
import { ProductParams } from './products.ts'
import { imageView } from './views.ts'

export const ImageParams = Type.Object({
  ...ProductParams.properties,
  image: Type.String({ description: 'The id of the image' }),
})

/** The images of a product and their version, as they were at one moment; 304 for who has that version. */
export async function sendImages(
  reply: FastifyReply,
  { images }: Database,
  tenantId: TenantId,
  ref: ProductRef,
): Promise<FastifyReply> {
  const list = await images.list(tenantId, ref)
  if (!list) throw new SluiceError('product_unknown')
  const { version } = list
  const etag = versionTag(version)
  void reply.header('etag', etag)
  const { method, headers } = reply.request
  // RFC 9110 §13.1.2: 304 is for those who read; who has just written gets what became of it.
  if (method !== 'PUT' && namesTag(headers['if-none-match'], etag)) return reply.code(304).send()
  return reply.send({ version, images: list.images.map((image, index) => imageView(image, index + 1)) })
}

export async function sendImage(
  reply: FastifyReply,
  { images }: Database,
  tenantId: TenantId,
  ref: ProductRef,
  id: ImageId,
): Promise<FastifyReply> {
  const found = await images.find(tenantId, ref, id)
  if (!found) throw new SluiceError('image_unknown')
  return reply.header('etag', versionTag(found.version)).send(imageView(found.image, found.rank))
}

/** Throws `image_unknown` for text that is no id. */
export function imageId(text: string): ImageId {
  if (!isUuid(text)) throw new SluiceError('image_unknown')
  return text.toLowerCase() as ImageId
}
