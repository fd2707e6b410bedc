import type { FastifyReply, FastifyRequest } from 'fastify'
import { AT_THE_END, type FileId, type ImageId, type Placement, type Product, SluiceError } from '@sluice/core'
import type { DialectContext } from '../dialect.ts'
import { bringImage, type Brought } from '../finished-ingest.ts'
import { filesMissing } from './product-of.ts'

/** Hangs a file on a product, once and at the end of its images, the way that every image goes. */
export async function attachFile(
  context: DialectContext,
  request: FastifyRequest,
  reply: FastifyReply,
  { product, fileId, main, replacesMain = null, part }: Attachment,
): Promise<Brought> {
  const placement: Placement = { ...AT_THE_END, main, replacesMain, oncePerFile: true }
  const target = { kind: 'attach', productId: product.id, placement } as const
  try {
    return await bringImage(context, request, reply, { from: fileId, target, ...(part !== undefined && { part }) })
  } catch (error) {
    // It was there when the request was looked at.
    if (SluiceError.is(error, 'file_reference_unknown')) throw filesMissing([fileId])
    throw error
  }
}

export interface Attachment {
  readonly product: Product
  readonly fileId: FileId
  readonly main: boolean
  /** See `Placement`. */
  readonly replacesMain?: { readonly imageId: ImageId | null } | null
  readonly part?: string
}
