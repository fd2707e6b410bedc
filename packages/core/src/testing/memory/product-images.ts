import { SluiceError } from '../../errors.ts'
import type { ImageId, TenantId } from '../../ids.ts'
import type { ProductImages } from '../../ports.ts'
import { type ImageList, MAIN_ROLE, isMain, type ProductImage, type ProductRef, refuseOwned } from '../../product-image.ts'
import { at, changeImage, type Gallery, giveRoles, imageIn, inOrder, mainOf, takeRoles } from './images.ts'
import { tell } from './events.ts'
import { findProduct, type ProductRow, type Tables } from './tables.ts'

export function memoryProductImages(tables: Tables): ProductImages {
  type Edit = Parameters<ProductImages['edit']>

  function change(
    tenantId: Edit[0],
    ref: Edit[1],
    expectedVersion: number | null,
    act: (row: ProductRow) => Gallery | 'unchanged',
  ): number {
    const row = findProduct(tables, tenantId, ref)
    if (!row) throw new SluiceError('product_unknown')
    refuseOwned(row.product.owner)
    if (expectedVersion !== null && row.product.version !== expectedVersion) throw mismatch(row)
    const gallery = act(row)
    return gallery === 'unchanged' ? row.product.version : writeImages(tables, row, gallery)
  }

  function listOf(tenantId: TenantId, ref: ProductRef): ImageList | null {
    const row = findProduct(tables, tenantId, ref)
    return row && { productId: row.product.id, version: row.product.version, images: row.images, storeRoles: row.storeRoles }
  }

  return {
    list: async (tenantId, ref) => listOf(tenantId, ref),
    async listMany(tenantId, productIds) {
      const lists = productIds.flatMap((id) => listOf(tenantId, { kind: 'id', id }) ?? [])
      return new Map(lists.map((list) => [list.productId, list]))
    },
    async urls(tenantId, productId) {
      const ids = new Set(findProduct(tables, tenantId, { kind: 'id', id: productId })?.images.map(({ id }) => id))
      return new Map(
        [...tables.ingests.values()].flatMap(({ source, result }) =>
          source.kind === 'url' && result?.imageId && ids.has(result.imageId) ? [[result.imageId, source.url] as const] : [],
        ),
      )
    },
    async find(tenantId, ref, wanted) {
      const row = findProduct(tables, tenantId, ref)
      const image = row?.images.find(({ id, number }) => wanted === id || wanted === number)
      return row && image ? { version: row.product.version, rank: row.images.indexOf(image) + 1, image } : null
    },
    edit: async (tenantId, ref, image, wanted, expectedVersion) =>
      change(tenantId, ref, expectedVersion, (row) => changeImage(row, image, wanted, tables.now())),
    remove: async (tenantId, ref, wanted, main, expectedVersion) =>
      change(tenantId, ref, expectedVersion, ({ images, storeRoles }) => {
        const image = imageIn(images, wanted)
        const rest = images.filter((other) => other !== image)
        const heir = main === 'promote' && isMain(image) ? rest[0] : undefined
        return { images: heir ? giveRoles(rest, heir.id, [MAIN_ROLE]) : rest, storeRoles }
      }),
    reorder: async (tenantId, ref, order, expectedVersion) =>
      change(tenantId, ref, expectedVersion, ({ images, storeRoles }) => {
        if (order.length !== images.length) throw new SluiceError('order_incomplete')
        return { images: ordered(images, order), storeRoles }
      }),
    keepOnly: async (tenantId, ref, order, expectedVersion) =>
      change(tenantId, ref, expectedVersion, ({ images, storeRoles }) => ({ images: ordered(images, order), storeRoles })),
    setMain: async (tenantId, ref, imageId, expectedVersion, replaces) =>
      change(tenantId, ref, expectedVersion, (row) => {
        const main = mainOf(row.images)
        if (replaces !== undefined && main !== replaces) throw new SluiceError('main_image_changed')
        if (main === imageId) return 'unchanged'
        if (imageId !== null) return changeImage(row, imageId, { main: true }, tables.now())
        return { ...row, images: row.images.map((image) => takeRoles(image, [MAIN_ROLE])) }
      }),
  }
}

/** As the product's new version; returns it. What a gone image had in single store views is as if it had never been said. */
export function writeImages(tables: Tables, row: ProductRow, gallery: Gallery, newName?: string): number {
  const { products, now } = tables
  const version = row.product.version + 1
  const names = newName === undefined ? row.names : new Set([...row.names, newName])
  const ids = new Set(gallery.images.map(({ id }) => id))
  products.set(row.product.id, {
    product: { ...row.product, version, updatedAt: now() },
    images: inOrder(gallery.images),
    storeRoles: gallery.storeRoles.filter(({ imageId }) => imageId === null || ids.has(imageId)),
    names,
  })
  tell(tables, {
    tenantId: row.product.tenantId,
    event: 'product.images_changed',
    subject: row.product.id,
    data: { product_id: row.product.id, sku: row.product.sku, version, images: gallery.images.length },
  })
  return version
}

function ordered(images: readonly ProductImage[], order: readonly ImageId[]): readonly ProductImage[] {
  const named = order.flatMap((id) => images.find((image) => image.id === id) ?? [])
  if (named.length !== order.length || new Set(named).size !== named.length) throw new SluiceError('order_incomplete')
  return named.map((image, index) => at(index + 1, image))
}

function mismatch({ product: { version }, images }: ProductRow): SluiceError {
  return new SluiceError('version_mismatched', undefined, { details: { version, order: images.map(({ id }) => id) } })
}
