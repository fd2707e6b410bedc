/** The product in the address, as a request may see it, and as it may change it. */
import type { FastifyRequest } from 'fastify'
import {
  type FileId,
  type ImageList,
  type IntakeWorld,
  isUuid,
  type Product,
  type ProductId,
  type ProductRef,
  refuseOwned,
} from '@sluice/core'
import { callerOf } from '../authenticate.ts'
import { failedValidation, notFound } from './errors.ts'

/** A request below `/pcm/products/:productID`. */
export type ProductRequest = FastifyRequest<{ Params: { productID: string } }>

export async function productOf({ database }: IntakeWorld, request: ProductRequest): Promise<Product> {
  const { productID: id } = request.params
  const product = isUuid(id) && (await database.products.find(callerOf(request).tenantId, refOf(id)))
  if (!product) throw notFound()
  return product
}

/** Throws for what the organization owns, also where nothing would change. */
export async function changeableProductOf(world: IntakeWorld, request: ProductRequest): Promise<Product> {
  const product = await productOf(world, request)
  refuseOwned(product.owner)
  return product
}

export async function imagesOf({ database }: IntakeWorld, { tenantId, id }: Product): Promise<ImageList> {
  const list = await database.images.list(tenantId, refOf(id))
  if (!list) throw notFound()
  return list
}

export function refOf(id: string): ProductRef {
  return { kind: 'id', id: id.toLowerCase() as ProductId }
}

/** The ids of files that are there, each once, in the order in which they were named. Throws with those that are not. */
export async function filesNamed({ database }: IntakeWorld, { tenantId }: Product, names: readonly string[]): Promise<FileId[]> {
  const ids = [...new Set(names.map((name) => name.toLowerCase()))]
  const found = await database.files.findMany(
    tenantId,
    ids.filter((id): id is FileId => isUuid(id)),
  )
  const known = new Set<string>(found.map(({ id }) => id))
  const missing = ids.filter((id) => !known.has(id))
  if (missing.length > 0) throw filesMissing(missing)
  return ids.filter((id): id is FileId => known.has(id))
}

export function filesMissing(ids: readonly string[]) {
  return failedValidation(`data.id: Files not found: ${ids.join(', ')}.`, ids)
}
