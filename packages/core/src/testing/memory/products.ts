import { SluiceError } from '../../errors.ts'
import { MAIN_ROLE, isMain, type ProductImage } from '../../product-image.ts'
import type { ImageId } from '../../ids.ts'
import type { ImageChange, ProductImages, Products } from '../../ports.ts'
import { at, giveRoles, placeAt, takeRoles } from './images.ts'
import { findProduct, type ProductRow, type Tables } from './tables.ts'

export function memoryProducts(tables: Tables): Products {
  const { products, nextNumber, now } = tables
  return {
    async create(product) {
      const { id, tenantId, sku } = product
      const ref = product.kind === 'model' ? ({ kind: 'model', code: sku } as const) : ({ kind: 'sku', sku } as const)
      const known = findProduct(tables, tenantId, ref)?.product
      if (known && known.id !== id) throw new SluiceError('sku_taken')
      if (known) return known
      const times = { createdAt: now(), updatedAt: now() }
      const created = { ...NEW, ...product, number: nextNumber(), version: 1, ...times }
      products.set(id, { product: created, images: [], names: new Set() })
      return created
    },
    find: async (tenantId, ref) => findProduct(tables, tenantId, ref)?.product ?? null,
    async update(tenantId, ref, change) {
      const row = findProduct(tables, tenantId, ref)
      if (!row) throw new SluiceError('product_unknown')
      const product = { ...row.product, ...change, updatedAt: now() }
      products.set(product.id, { ...row, product })
      return product
    },
    async list(tenantId, { offset, limit }) {
      const own = [...products.values()].map(({ product }) => product)
      const listed = own.filter((product) => product.tenantId === tenantId && product.kind === 'product')
      return { items: listed.sort((a, b) => b.number - a.number).slice(offset, offset + limit), total: listed.length }
    },
  }
}

const NEW = { kind: 'product', status: 'live', owner: 'store', websites: null, acceptsImages: true, extra: {} } as const

export function memoryProductImages(tables: Tables): ProductImages {
  type Images = readonly ProductImage[]
  type Edit = Parameters<ProductImages['edit']>

  function change(tenantId: Edit[0], ref: Edit[1], expectedVersion: number | null, act: (images: Images) => Images): number {
    const row = findProduct(tables, tenantId, ref)
    if (!row) throw new SluiceError('product_unknown')
    if (expectedVersion !== null && row.product.version !== expectedVersion) throw mismatch(row)
    return writeImages(tables, row, act(row.images))
  }

  return {
    async list(tenantId, ref) {
      const row = findProduct(tables, tenantId, ref)
      return row && { productId: row.product.id, version: row.product.version, images: row.images }
    },
    async find(tenantId, ref, imageId) {
      const row = findProduct(tables, tenantId, ref)
      const image = row?.images.find(({ id }) => id === imageId)
      return row && image ? { version: row.product.version, rank: row.images.indexOf(image) + 1, image } : null
    },
    edit: async (tenantId, ref, imageId, wanted, expectedVersion) =>
      change(tenantId, ref, expectedVersion, (images) => edit(images, imageId, wanted, tables.now())),
    remove: async (tenantId, ref, imageId, main, expectedVersion) =>
      change(tenantId, ref, expectedVersion, (images) => {
        const image = imageIn(images, imageId)
        const [first, ...rest] = images.filter(({ id }) => id !== imageId)
        if (!first) return []
        const isHeir = main === 'promote' && isMain(image)
        return isHeir ? giveRoles([first, ...rest], first.id, [MAIN_ROLE]) : [first, ...rest]
      }),
    reorder: async (tenantId, ref, order, expectedVersion) =>
      change(tenantId, ref, expectedVersion, (images) => {
        const inOrder = order.flatMap((id) => images.find((image) => image.id === id) ?? [])
        const isComplete = new Set(inOrder).size === images.length && order.length === images.length
        if (!isComplete) throw new SluiceError('order_incomplete')
        return inOrder.map((image, index) => at(index + 1, image))
      }),
    setMain: async (tenantId, ref, imageId, expectedVersion) =>
      change(tenantId, ref, expectedVersion, (images) =>
        imageId === null
          ? images.map((image) => takeRoles(image, [MAIN_ROLE]))
          : edit(images, imageId, { main: true }, tables.now()),
      ),
  }
}

/** As the product's new version; returns it. */
export function writeImages({ products }: Tables, row: ProductRow, images: readonly ProductImage[], newName?: string): number {
  const version = row.product.version + 1
  const names = newName === undefined ? row.names : new Set([...row.names, newName])
  products.set(row.product.id, { product: { ...row.product, version }, images, names })
  return version
}

function edit(images: readonly ProductImage[], imageId: ImageId, change: ImageChange, now: Date): readonly ProductImage[] {
  const { rank, roles, main, ...fields } = change
  const given = new Set(roles)
  if (main === true) given.add(MAIN_ROLE)
  if (main === false) given.delete(MAIN_ROLE)
  const before = imageIn(images, imageId)
  const lost = before.roles.filter((role) => (role === MAIN_ROLE ? main === false : roles !== undefined))
  const image = takeRoles({ ...before, ...fields, updatedAt: now }, lost)
  const others = images.filter(({ id }) => id !== imageId)
  const placed = rank === undefined ? images.map((old) => (old === before ? image : old)) : placeAt(others, image, rank)
  return giveRoles(placed, imageId, [...given])
}

function imageIn(images: readonly ProductImage[], imageId: ImageId): ProductImage {
  const image = images.find(({ id }) => id === imageId)
  if (!image) throw new SluiceError('image_unknown')
  return image
}

function mismatch({ product: { version }, images }: ProductRow): SluiceError {
  return new SluiceError('version_mismatched', undefined, { details: { version, order: images.map(({ id }) => id) } })
}
