import type { FastifyInstance } from 'fastify'
import { type Caller, isUuid, type ProductChange, type ProductId, type ProductRef, SluiceError } from '@sluice/core'
import { Type, type Static } from 'typebox'
import { callerOf, requireRole } from '../authenticate.ts'
import { CODE, SKU, TEXT, WELL_FORMED } from '../validation.ts'
import type { NativeOptions } from './index.ts'
import * as schemas from './schemas.ts'
import { productPath, productView } from './views.ts'

/** A product in a path: its UUID, its integer id, `sku:<sku>`, or `model:<code>`. */
export const ProductParams = Type.Object({
  ref: Type.String({ description: 'UUID, integer id, `sku:<sku>`, or `model:<code>`' }),
})

/** Throws `product_unknown` for text that cannot name a product. */
export function productRef(text: string): ProductRef {
  if (text.startsWith('sku:')) return { kind: 'sku', sku: text.slice('sku:'.length) }
  if (text.startsWith('model:')) return { kind: 'model', code: text.slice('model:'.length) }
  if (isUuid(text)) return { kind: 'id', id: text.toLowerCase() as ProductId }
  const number = Number(text)
  if (/^\d+$/.test(text) && Number.isSafeInteger(number)) return { kind: 'number', number }
  throw new SluiceError('product_unknown', 'A product is named by its UUID, its integer id, sku:<sku>, or model:<code>.')
}

export async function productRoutes(app: FastifyInstance, { world }: NativeOptions): Promise<void> {
  const { database, limits, newId } = world
  const fields = {
    title: schemas.nullable(Type.String({ maxLength: limits.titleLengthMax, pattern: TEXT, format: WELL_FORMED })),
    status: Type.Enum(['live', 'draft']),
    owner: Type.Enum(['store', 'organization'], { description: 'For administrators.' }),
    websites: schemas.nullable(
      Type.Array(Type.String({ maxLength: limits.codeLengthMax, pattern: CODE }), {
        maxItems: limits.websitesMax,
        uniqueItems: true,
      }),
    ),
    accepts_images: Type.Boolean(),
  }
  const Change = Type.Partial(Type.Object(fields), { additionalProperties: false, minProperties: 1 })
  const NewProduct = Type.Object(
    {
      sku: Type.String({ minLength: 1, maxLength: limits.skuLengthMax, pattern: SKU, format: WELL_FORMED }),
      kind: Type.Optional(Type.Enum(['product', 'model'])),
      ...Type.Partial(Type.Object(fields)).properties,
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
      const caller = callerOf(request)
      const { sku, kind = 'product', ...given } = request.body
      const { title = null, ...rest } = changeOf(caller, given)
      const { tenantId } = caller
      const product = await database.products.create({ id: newId() as ProductId, tenantId, sku, kind, title, ...rest })
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

  app.patch<{ Params: Static<typeof ProductParams>; Body: Static<typeof Change> }>(
    '/products/:ref',
    {
      config: { access: 'writer' },
      schema: {
        tags: ['Products'],
        summary: 'Change a product',
        description: 'Only what is given changes. The version is that of the images, and stays.',
        params: ProductParams,
        body: Change,
        response: { 200: schemas.Product, ...schemas.problems(400, 404, 413, 415) },
      },
    },
    async (request) => {
      const caller = callerOf(request)
      const change = changeOf(caller, request.body)
      return productView(await database.products.update(caller.tenantId, productRef(request.params.ref), change))
    },
  )
}

type Given = Omit<ProductChange, 'acceptsImages' | 'extra'> & { readonly accepts_images?: boolean }

/** Throws `access_forbidden` where only an administrator may say so. */
function changeOf(caller: Caller, { accepts_images: acceptsImages, ...given }: Given): ProductChange {
  if (given.owner !== undefined) requireRole(caller, 'admin')
  return { ...given, ...(acceptsImages !== undefined && { acceptsImages }) }
}
