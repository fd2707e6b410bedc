import type { FastifyInstance } from 'fastify'
import { isUuid, type ProductId, type ProductRef, SluiceError } from '@sluice/core'
import { Type, type Static } from 'typebox'
import { callerOf } from '../authenticate.ts'
import { SKU, TEXT, WELL_FORMED } from '../validation.ts'
import type { NativeOptions } from './index.ts'
import * as schemas from './schemas.ts'
import { productPath, productView } from './views.ts'

/** A product in a path: its UUID, its integer id, or `sku:<sku>`. */
export const ProductParams = Type.Object({ ref: Type.String({ description: 'UUID, integer id, or `sku:<sku>`' }) })

/** Throws `product_unknown` for text that cannot name a product. */
export function productRef(text: string): ProductRef {
  if (text.startsWith('sku:')) return { kind: 'sku', sku: text.slice('sku:'.length) }
  if (isUuid(text)) return { kind: 'id', id: text.toLowerCase() as ProductId }
  const number = Number(text)
  if (/^\d+$/.test(text) && Number.isSafeInteger(number)) return { kind: 'number', number }
  throw new SluiceError('product_unknown', 'A product is named by its UUID, its integer id, or sku:<sku>.')
}

export async function productRoutes(app: FastifyInstance, { world }: NativeOptions): Promise<void> {
  const { database, limits, newId } = world
  const NewProduct = Type.Object(
    {
      sku: Type.String({ minLength: 1, maxLength: limits.skuLengthMax, pattern: SKU, format: WELL_FORMED }),
      title: Type.Optional(
        schemas.nullable(Type.String({ maxLength: limits.titleLengthMax, pattern: TEXT, format: WELL_FORMED })),
      ),
    },
    { additionalProperties: false },
  )

  app.post<{ Body: Static<typeof NewProduct> }>(
    '/products',
    {
      config: { access: 'writer' },
      schema: {
        tags: ['Products'],
        summary: 'Create a product',
        body: NewProduct,
        response: { 201: schemas.Product, ...schemas.problems(400, 409, 413, 415) },
      },
    },
    async (request, reply) => {
      const { sku, title = null } = request.body
      const product = await database.products.create({
        id: newId() as ProductId,
        tenantId: callerOf(request).tenantId,
        sku,
        title,
      })
      return reply.code(201).header('location', productPath(product.id)).send(productView(product))
    },
  )

  app.get<{ Params: Static<typeof ProductParams> }>(
    '/products/:ref',
    {
      config: { access: 'reader' },
      schema: {
        tags: ['Products'],
        summary: 'Read a product',
        params: ProductParams,
        response: { 200: schemas.Product, ...schemas.problems(404) },
      },
    },
    async (request) => {
      const product = await database.products.find(callerOf(request).tenantId, productRef(request.params.ref))
      if (!product) throw new SluiceError('product_unknown')
      return productView(product)
    },
  )
}
