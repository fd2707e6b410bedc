/** Products, as far as their images need them. */
import type { FastifyInstance, FastifyRequest } from 'fastify'
import { type ImageList, isMain, isUuid, type Listed, type Product, type ProductRef } from '@sluice/core'
import { callerOf } from '../authenticate.ts'
import type { DialectContext } from '../dialect.ts'
import { filterInvalid } from './errors.ts'
import { fileView } from './file-view.ts'
import { type Condition, conditionsOf } from './filter.ts'
import { readNewProduct } from './new-product.ts'
import { pageOf, pageView, queryOf } from './paging.ts'
import { imagesOf, productOf, type ProductRequest, refOf } from './product-of.ts'
import { productView } from './product-view.ts'

/** A product and its images. */
interface Shown {
  readonly product: Product
  readonly list: ImageList
}

export function productRoutes(app: FastifyInstance, context: DialectContext): void {
  const { world } = context
  const { products } = world.database
  const show = async (product: Product): Promise<Shown> => ({ product, list: await imagesOf(world, product) })
  const viewOf = ({ product, list }: Shown) => productView(product, list)

  app.post('/pcm/products', { config: { access: 'writer' } }, async (request, reply) => {
    const product = await products.create(readNewProduct(world, request))
    return reply
      .code(201)
      .header('location', `/pcm/products/${product.id}`)
      .send({ data: viewOf(await show(product)) })
  })

  app.get('/pcm/products/:productID', { config: { access: 'reader' } }, async (request: ProductRequest) => {
    const shown = await show(await productOf(world, request))
    return { data: viewOf(shown), ...includedWith(request, [shown]) }
  })

  app.get('/pcm/products', { config: { access: 'reader' } }, async (request) => {
    const page = pageOf(request, world.limits)
    const [condition, ...more] = conditionsOf(request)
    if (more.length > 0) throw filterInvalid()
    const { tenantId } = callerOf(request)
    const { items, total } = condition ? pick(await findNamed(tenantId, condition), page) : await products.list(tenantId, page)
    const ids = items.map(({ id }) => id)
    const lists = await world.database.images.listMany(tenantId, ids)
    const shown = items.flatMap((product): Shown | [] => {
      const list = lists.get(product.id)
      return list ? { product, list } : []
    })
    return { ...pageView(request, page, { items: shown, total }, viewOf), ...includedWith(request, shown) }
  })

  /** The products that a condition names, each once. */
  const findNamed = async (tenantId: Product['tenantId'], condition: Condition): Promise<readonly Product[]> => {
    const found = new Map<string, Product>()
    for (const ref of refsOf(condition, world.limits.relationsMax)) {
      const product = await products.find(tenantId, ref)
      if (product) found.set(product.id, product)
    }
    return [...found.values()]
  }

  /** The files themselves, where the request asks for them with `include`. */
  const includedWith = (request: FastifyRequest, shown: readonly Shown[]): object => {
    const asked = queryOf(request, 'include')?.split(',') ?? []
    const images = shown.flatMap(({ list }) => list.images)
    const filesOf = (some: typeof images) => {
      const files = new Map(some.map(({ file }) => [file.id, file]))
      return [...files.values()].map((file) => fileView(request, world, file))
    }
    const included = {
      ...(asked.includes('main_image') && { main_images: filesOf(images.filter(isMain)) }),
      ...(asked.includes('files') && { files: filesOf(images) }),
    }
    return Object.keys(included).length > 0 ? { included } : {}
  }
}

/** `eq` and `in` on what names a product; all else would be a search. */
function refsOf({ operator, field, operands }: Condition, namesMax: number): readonly ProductRef[] {
  if (operator !== 'in' && (operator !== 'eq' || operands.length > 1)) throw filterInvalid()
  if (operands.length > namesMax) throw filterInvalid()
  if (field === 'sku') return operands.map((sku) => ({ kind: 'sku', sku }))
  if (field === 'id') return operands.filter(isUuid).map(refOf)
  throw filterInvalid()
}

function pick<Item>(items: readonly Item[], { offset, limit }: { offset: number; limit: number }): Listed<Item> {
  return { items: items.slice(offset, offset + limit), total: items.length }
}
