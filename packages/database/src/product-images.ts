import {
  type ImageId,
  type ImageList,
  isUuid,
  MAIN_ROLE,
  type ProductId,
  type ProductImage,
  type ProductImages,
  type ProductRef,
  SluiceError,
  type TenantId,
} from '@sluice/core'
import { and, asc, eq, getTableColumns, type InferSelectModel, sql } from './drizzle.ts'
import type { Db } from './connection.ts'
import { isItsBlob } from './files.ts'
import { endPosition, giveRoles, makeRoom, promoteFirst, takeRoles } from './image-order.ts'
import { isReferred, type LockedProduct, lockProduct, recordChange } from './products.ts'
import { arrayLiteral, canExist, fileOf } from './rows.ts'
import { blobs, files, productImageRoles as roles, productImages as images, products } from './schema.ts'
import type { Runner } from './transaction.ts'

export function openProductImages({ query, transaction }: Runner): ProductImages {
  /** Locks the product, checks the version, makes the change and counts it. */
  function change(
    tenantId: TenantId,
    ref: ProductRef,
    expectedVersion: number | null,
    act: (db: Db, product: LockedProduct) => Promise<{ imagesAdded: number }>,
  ): Promise<number> {
    return transaction(async (db) => {
      const product = await lockProduct(db, tenantId, ref)
      if (expectedVersion !== null && product.version !== expectedVersion) throw await mismatch(db, product)
      const { imagesAdded } = await act(db, product)
      return recordChange(db, product.id, imagesAdded)
    })
  }

  return {
    list: async (tenantId, ref) => (canExist(ref) ? query((db) => selectList(db, tenantId, ref)) : null),

    async find(tenantId, ref, imageId) {
      if (!canExist(ref) || !isUuid(imageId)) return null
      const [row] = await query((db) => selectImage(db, tenantId, ref, imageId))
      return row ? { version: row.version, rank: row.rank, image: imageOf(row) } : null
    },

    edit: (tenantId, ref, imageId, { rank, roles, main, ...fields }, expectedVersion) =>
      change(tenantId, ref, expectedVersion, async (db, product) => {
        await touch(db, product, imageId, fields)
        if (rank !== undefined) await move(db, product, imageId, rank)
        const given = new Set(roles)
        if (main === true) given.add(MAIN_ROLE)
        if (main === false) given.delete(MAIN_ROLE)
        if (roles !== undefined) await takeRoles(db, product.id, imageId, [...given, MAIN_ROLE])
        if (main === false) await takeMain(db, product.id, imageId)
        if (given.size > 0) await giveRoles(db, product.id, imageId, [...given])
        return { imagesAdded: 0 }
      }),

    remove: (tenantId, ref, imageId, main, expectedVersion) =>
      change(tenantId, ref, expectedVersion, async (db, product) => {
        const wasMain = await takeMain(db, product.id, requireId(imageId))
        const gone = await db.delete(images).where(isImage(product, imageId)).returning({ id: images.id })
        if (gone.length === 0) throw new SluiceError('image_unknown')
        if (wasMain && main === 'promote') await promoteFirst(db, product.id)
        return { imagesAdded: -1 }
      }),

    reorder: (tenantId, ref, order, expectedVersion) =>
      change(tenantId, ref, expectedVersion, async (db, product) => {
        const isComplete = order.length === product.imageCount && new Set(order).size === order.length && order.every(isUuid)
        if (!isComplete || (await applyOrder(db, product, order)) !== order.length) throw new SluiceError('order_incomplete')
        return { imagesAdded: 0 }
      }),

    setMain: (tenantId, ref, imageId, expectedVersion) =>
      change(tenantId, ref, expectedVersion, async (db, product) => {
        if (imageId === null) {
          await takeMain(db, product.id, null)
        } else {
          await touch(db, product, imageId, {})
          await giveRoles(db, product.id, imageId, [MAIN_ROLE])
        }
        return { imagesAdded: 0 }
      }),
  }
}

// ── Reading ─────────────────────────────────────────────────────────────────────────────────────────────────────────

const imageColumns = {
  image: getTableColumns(images),
  file: getTableColumns(files),
  facts: blobs.facts,
  roles: sql<string[]>`to_json(array(
    select ${roles.role} from ${roles}
    where ${roles.productId} = ${images.productId} and ${roles.imageId} = ${images.id} order by 1))`,
}
const isItsFile = and(eq(files.tenantId, images.tenantId), eq(files.id, images.fileId))

/** One statement, so one moment: a product without images is a row without one. */
async function selectList(db: Db, tenantId: TenantId, ref: ProductRef): Promise<ImageList | null> {
  const rows = await db
    .select({ productId: products.id, version: products.version, ...imageColumns })
    .from(products)
    .leftJoin(images, eq(images.productId, products.id))
    .leftJoin(files, isItsFile)
    .leftJoin(blobs, isItsBlob)
    .where(isReferred(ref, tenantId))
    .orderBy(asc(images.position), asc(images.number))
  const [first] = rows
  if (!first) return null
  const list = rows.flatMap(({ image, file, facts, roles }) =>
    image && file && facts ? [imageOf({ image, file, facts, roles })] : [],
  )
  return { productId: first.productId as ProductId, version: first.version, images: list }
}

function selectImage(db: Db, tenantId: TenantId, ref: ProductRef, imageId: ImageId) {
  const rank = sql<number>`(
    select count(*)::int from product_images other
    where other.product_id = ${images.productId} and (other.position, other.number) <= (${images.position}, ${images.number}))`
  return db
    .select({ version: products.version, rank, ...imageColumns })
    .from(products)
    .innerJoin(images, eq(images.productId, products.id))
    .innerJoin(files, isItsFile)
    .innerJoin(blobs, isItsBlob)
    .where(and(isReferred(ref, tenantId), eq(images.id, imageId)))
}

interface ImageRow {
  readonly image: InferSelectModel<typeof images>
  readonly file: InferSelectModel<typeof files>
  readonly facts: InferSelectModel<typeof blobs>['facts']
  readonly roles: string[]
}

function imageOf({ image, file, facts, roles }: ImageRow): ProductImage {
  const { number, name, position, label, excluded, createdAt, updatedAt } = image
  return {
    id: image.id as ImageId,
    number,
    productId: image.productId as ProductId,
    name,
    position,
    label,
    excluded,
    roles,
    file: fileOf(file, facts),
    createdAt,
    updatedAt,
  }
}

async function mismatch(db: Db, { id, version }: LockedProduct): Promise<SluiceError> {
  const rows = await db
    .select({ id: images.id })
    .from(images)
    .where(eq(images.productId, id))
    .orderBy(asc(images.position), asc(images.number))
  return new SluiceError('version_mismatched', undefined, { details: { version, order: rows.map((row) => row.id) } })
}

// ── Changing, under the product's lock ──────────────────────────────────────────────────────────────────────────────

function isImage(product: LockedProduct, imageId: ImageId) {
  return and(eq(images.productId, product.id), eq(images.id, requireId(imageId)))
}

function requireId(imageId: ImageId): ImageId {
  if (!isUuid(imageId)) throw new SluiceError('image_unknown')
  return imageId
}

async function touch(db: Db, product: LockedProduct, imageId: ImageId, fields: { label?: string; excluded?: boolean }) {
  const set = { ...fields, updatedAt: sql`now()` }
  const rows = await db.update(images).set(set).where(isImage(product, imageId)).returning({ id: images.id })
  if (rows.length === 0) throw new SluiceError('image_unknown')
}

async function move(db: Db, product: LockedProduct, imageId: ImageId, rank: number): Promise<void> {
  const position = (await makeRoom(db, product.id, imageId, rank)) ?? endPosition(product.id, imageId)
  await db.update(images).set({ position }).where(isImage(product, imageId))
}

/** Returns how many of the product's images were named. */
async function applyOrder(db: Db, product: LockedProduct, order: readonly ImageId[]): Promise<number> {
  const rows = await db.execute(sql`
    update product_images set position = ordered.rank
    from unnest(${arrayLiteral(order)}::uuid[]) with ordinality as ordered (id, rank)
    where product_id = ${product.id} and product_images.id = ordered.id
    returning 1`)
  return rows.length
}

/** From one image, or from whichever has it. False when there was nothing to take. */
async function takeMain(db: Db, productId: string, imageId: ImageId | null): Promise<boolean> {
  const isMain = and(eq(roles.productId, productId), eq(roles.role, MAIN_ROLE))
  const where = imageId === null ? isMain : and(isMain, eq(roles.imageId, imageId))
  const rows = await db.delete(roles).where(where).returning({ role: roles.role })
  return rows.length > 0
}
