import { SluiceError } from '../../errors.ts'
import type { Products } from '../../ports.ts'
import { refuseOwned } from '../../product-image.ts'
import { unpark } from './parking.ts'
import { findProduct, type Tables } from './tables.ts'

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
      products.set(id, { product: created, images: [], storeRoles: [], names: new Set() })
      unpark(tables, created)
      return created
    },
    find: async (tenantId, ref) => findProduct(tables, tenantId, ref)?.product ?? null,
    async update(tenantId, ref, change) {
      const row = findProduct(tables, tenantId, ref)
      if (!row) throw new SluiceError('product_unknown')
      if (change.owner !== 'store') refuseOwned(row.product.owner)
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
