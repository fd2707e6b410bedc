import {
  type NewProduct,
  type Product,
  type ProductId,
  type ProductRef,
  type Products,
  refuseOwned,
  SluiceError,
  type TenantId,
} from '@sluice/core'
import { and, desc, eq, inArray, sql } from './drizzle.ts'
import type { Db } from './connection.ts'
import { changedImages, deliveriesOf } from './events.ts'
import { pageOf } from './page.ts'
import { lockSku, unpark } from './parking.ts'
import { canExist, only, productOf } from './rows.ts'
import { products } from './schema.ts'
import { prepared, type Runner } from './transaction.ts'

/** How each kind of reference finds its row. */
const COLUMNS = { id: products.id, number: products.number, sku: products.sku, model: products.sku } as const

function refValue(ref: ProductRef): string | number {
  if (ref.kind === 'id') return ref.id
  if (ref.kind === 'number') return ref.number
  return ref.kind === 'model' ? ref.code : ref.sku
}

/** A code is unique among what is of one kind. */
function isOfKind(kind: ProductRef['kind']) {
  return kind === 'sku' || kind === 'model' ? eq(products.kind, kind === 'sku' ? 'product' : 'model') : undefined
}

export function isReferred(ref: ProductRef, tenantId: TenantId) {
  return and(eq(products.tenantId, tenantId), isOfKind(ref.kind), eq(COLUMNS[ref.kind], refValue(ref)))
}

export function areReferred(ids: readonly ProductId[], tenantId: TenantId) {
  return and(eq(products.tenantId, tenantId), inArray(products.id, [...ids]))
}

const byKind = {
  id: prepared((db) => select(db, 'id')),
  number: prepared((db) => select(db, 'number')),
  sku: prepared((db) => select(db, 'sku')),
  model: prepared((db) => select(db, 'model')),
}

function select(db: Db, kind: ProductRef['kind']) {
  return db
    .select()
    .from(products)
    .where(and(eq(products.tenantId, sql.placeholder('tenantId')), isOfKind(kind), eq(COLUMNS[kind], sql.placeholder('value'))))
    .prepare(`product_by_${kind}`)
}

export function openProducts({ query, transaction }: Runner): Products {
  async function find(tenantId: TenantId, ref: ProductRef): Promise<Product | null> {
    if (!canExist(ref)) return null
    const [row] = await query((db) => byKind[ref.kind](db).execute({ tenantId, value: refValue(ref) }))
    return row ? productOf(row) : null
  }

  return {
    find,
    async create(product) {
      const { tenantId, sku } = product
      const [row] = await transaction(async (db) => {
        if (product.kind === 'model') return insert(db, product)
        await lockSku(db, tenantId, sku)
        const made = await insert(db, product)
        if (made.length > 0) await unpark(db, tenantId, sku)
        return made
      })
      if (row) return productOf(row)
      // The same call again, after its answer was lost?
      const known = await find(tenantId, product.kind === 'model' ? { kind: 'model', code: sku } : { kind: 'sku', sku })
      if (known?.id === product.id) return known
      throw new SluiceError('sku_taken')
    },
    async update(tenantId, ref, change) {
      if (!canExist(ref)) throw new SluiceError('product_unknown')
      const isGivenBack = change.owner === 'store'
      const set = { ...change, updatedAt: sql`clock_timestamp()` }
      const isMine = isGivenBack ? undefined : eq(products.owner, 'store')
      const [row] = await query((db) =>
        db
          .update(products)
          .set(set)
          .where(and(isReferred(ref, tenantId), isMine))
          .returning(),
      )
      if (row) return productOf(row)
      throw new SluiceError(isGivenBack || !(await find(tenantId, ref)) ? 'product_unknown' : 'owned_by_organization')
    },
    async list(tenantId, page) {
      const own = and(eq(products.tenantId, tenantId), eq(products.kind, 'product'))
      const { items, total } = await query((db) => pageOf(db, products, own, desc(products.number), page))
      return { items: items.map(productOf), total }
    },
  }
}

function insert(db: Db, product: NewProduct) {
  return db.insert(products).values(product).onConflictDoNothing().returning()
}

export interface LockedProduct {
  readonly id: string
  readonly version: number
  readonly imageCount: number
}

/**
 * Whoever holds the row may change the product's images. What is read after this is what the last holder has left. Throws for a
 * product of the organization.
 */
export async function lockProduct(db: Db, tenantId: TenantId, ref: ProductRef): Promise<LockedProduct> {
  const [row] = canExist(ref)
    ? await db
        .select({ id: products.id, owner: products.owner, version: products.version, imageCount: products.imageCount })
        .from(products)
        .where(isReferred(ref, tenantId))
        .for('update')
    : []
  if (!row) throw new SluiceError('product_unknown')
  refuseOwned(row.owner)
  return row
}

/** Every change to the images makes a new version; returns it. */
export async function recordChange(db: Db, productId: string, imagesAdded: number): Promise<number> {
  const rows = await db.execute<{ version: number }>(sql`
    with changed as (
      update products set version = version + 1, image_count = image_count + ${imagesAdded}, updated_at = now()
      where id = ${productId} returning *
    ), told as (${deliveriesOf(changedImages('changed', 1))})
    select version from changed`)
  return only(rows).version
}
