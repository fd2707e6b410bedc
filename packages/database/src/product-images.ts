import {
  failpoint,
  type ImageId,
  type ImageList,
  type ImageRef,
  isUuid,
  MAIN_ROLE,
  type ProductId,
  type ProductImage,
  type ProductImages,
  type ProductRef,
  SluiceError,
  type StoreRole,
  type StoreValues,
  type TenantId,
} from '@sluice/core'
import { and, asc, eq, getTableColumns, type InferSelectModel, type SQL, sql } from './drizzle.ts'
import type { Db } from './connection.ts'
import { isItsBlob } from './files.ts'
import { canBeImage, changeImage, isImage, touchImage } from './image-change.ts'
import { GLOBAL, giveRoles, mainImage, promoteFirst, takeMain } from './image-order.ts'
import { areReferred, isReferred, type LockedProduct, lockProduct, recordChange } from './products.ts'
import { arrayLiteral, canExist, fileOf } from './rows.ts'
import {
  blobs,
  files,
  imageStoreValues,
  ingests,
  productImageRoles as roles,
  productImages as images,
  products,
  tokens,
} from './schema.ts'
import type { Runner } from './transaction.ts'

export function openProductImages({ query, transaction }: Runner): ProductImages {
  /** Locks the product, checks the version, makes the change and counts it, unless there was none. */
  function change(
    tenantId: TenantId,
    ref: ProductRef,
    expectedVersion: number | null,
    act: (db: Db, product: LockedProduct) => Promise<{ imagesAdded: number } | 'unchanged'>,
  ): Promise<number> {
    return transaction(async (db) => {
      const product = await lockProduct(db, tenantId, ref)
      failpoint('change-locked')
      if (expectedVersion !== null && product.version !== expectedVersion) throw await mismatch(db, product)
      const done = await act(db, product)
      const version = done === 'unchanged' ? product.version : await recordChange(db, product.id, done.imagesAdded)
      failpoint('change-before-commit')
      return version
    })
  }

  return {
    async list(tenantId, ref) {
      const lists = canExist(ref) ? await query((db) => selectLists(db, isReferred(ref, tenantId))) : null
      return lists?.values().next().value ?? null
    },

    async listMany(tenantId, productIds) {
      const ids = productIds.filter(isUuid)
      return ids.length > 0 ? query((db) => selectLists(db, areReferred(ids, tenantId))) : new Map()
    },

    async urls(tenantId, productId) {
      const rows = await query((db) =>
        db.execute<{ id: ImageId; source_url: string }>(sql`
          select image.id, ingest.source_url from product_images as image join ingests as ingest on ingest.id = image.ingest_id
          where image.tenant_id = ${tenantId} and image.product_id = ${productId} and ingest.source_url is not null`),
      )
      return new Map(rows.map(({ id, source_url: url }) => [id, url]))
    },

    async find(tenantId, ref, image) {
      if (!canExist(ref) || !canBeImage(image)) return null
      const [row] = await query((db) => selectImage(db, tenantId, ref, image))
      return row ? { version: row.version, rank: row.rank, image: imageOf(row) } : null
    },

    edit: (tenantId, ref, image, wanted, expectedVersion) =>
      change(tenantId, ref, expectedVersion, async (db, product) => {
        await changeImage(db, product.id, image, wanted)
        return { imagesAdded: 0 }
      }),

    remove: (tenantId, ref, image, main, expectedVersion) =>
      change(tenantId, ref, expectedVersion, async (db, product) => {
        const mainId = await mainImage(db, product.id)
        const goneId = await removeImage(db, product, image)
        if (goneId === mainId && main === 'promote') await promoteFirst(db, product.id)
        return { imagesAdded: -1 }
      }),

    reorder: (tenantId, ref, order, expectedVersion) =>
      change(tenantId, ref, expectedVersion, async (db, product) => {
        if (order.length !== product.imageCount) throw new SluiceError('order_incomplete')
        await applyOrder(db, product, order)
        return { imagesAdded: 0 }
      }),

    keepOnly: (tenantId, ref, order, expectedVersion) =>
      change(tenantId, ref, expectedVersion, async (db, product) => {
        await applyOrder(db, product, order)
        await removeAllBut(db, product, order)
        return { imagesAdded: order.length - product.imageCount }
      }),

    setMain: (tenantId, ref, imageId, expectedVersion, replaces) =>
      change(tenantId, ref, expectedVersion, async (db, product) => {
        const main = await mainImage(db, product.id)
        if (replaces !== undefined && main !== replaces) throw new SluiceError('main_image_changed')
        if (main === imageId) return 'unchanged'
        if (imageId === null) {
          await takeMain(db, product.id, null)
        } else {
          await touchImage(db, product.id, imageId)
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
  uploader: { number: tokens.number, name: tokens.name },
  roles: sql<string[]>`to_json(array(
    select ${roles.role} from ${roles}
    where ${roles.productId} = ${images.productId} and ${roles.store} = ${GLOBAL} and ${roles.imageId} = ${images.id}
    order by ${roles.role} collate "C"))`,
  storeValues: sql<StoreValues[] | null>`(
    select json_agg(json_build_object('store', store, 'label', label, 'position', position, 'excluded', excluded) order by store)
    from ${imageStoreValues} as own where own.image_id = ${images.id})`,
}
const isItsFile = and(eq(files.tenantId, images.tenantId), eq(files.id, images.fileId))
const isItsIngest = eq(ingests.id, images.ingestId)
const isItsToken = and(eq(tokens.id, ingests.tokenId), eq(tokens.tenantId, images.tenantId))

/** Of the whole product, so only the first row bears them: ten thousand images would bring them ten thousand times. */
const storeRoles = sql<StoreRole[] | null>`
  case when row_number() over (order by ${images.position}, ${images.number}) = 1 then (
    select json_agg(json_build_object('store', store, 'role', role, 'imageId', image_id) order by store, role collate "C")
    from ${roles} as own where own.product_id = ${products.id} and store <> ${GLOBAL}
  ) end`

/** One statement, so one moment: a product without images is a row without one. */
async function selectLists(db: Db, condition: SQL | undefined): Promise<Map<ProductId, ImageList>> {
  const rows = await db
    .select({ productId: products.id, version: products.version, storeRoles, ...imageColumns })
    .from(products)
    .leftJoin(images, eq(images.productId, products.id))
    .leftJoin(files, isItsFile)
    .leftJoin(blobs, isItsBlob)
    .leftJoin(ingests, isItsIngest)
    .leftJoin(tokens, isItsToken)
    .where(condition)
    .orderBy(asc(images.position), asc(images.number))
  const lists = new Map<ProductId, ImageList & { readonly images: ProductImage[] }>()
  for (const { productId, version, image, file, facts, ...rest } of rows) {
    const id = productId as ProductId
    const list = lists.get(id) ?? { productId: id, version, images: [], storeRoles: rest.storeRoles ?? [] }
    if (image && file && facts) list.images.push(imageOf({ image, file, facts, ...rest }))
    lists.set(id, list)
  }
  return lists
}

function selectImage(db: Db, tenantId: TenantId, ref: ProductRef, image: ImageRef) {
  const rank = sql<number>`(
    select count(*)::int from product_images other
    where other.product_id = ${images.productId} and (other.position, other.number) <= (${images.position}, ${images.number}))`
  return db
    .select({ version: products.version, rank, ...imageColumns })
    .from(products)
    .innerJoin(images, eq(images.productId, products.id))
    .innerJoin(files, isItsFile)
    .innerJoin(blobs, isItsBlob)
    .leftJoin(ingests, isItsIngest)
    .leftJoin(tokens, isItsToken)
    .where(and(isReferred(ref, tenantId), isImage(image)))
}

interface ImageRow {
  readonly image: InferSelectModel<typeof images>
  readonly file: InferSelectModel<typeof files>
  readonly facts: InferSelectModel<typeof blobs>['facts']
  readonly uploader: ProductImage['uploader']
  readonly roles: string[]
  readonly storeValues: StoreValues[] | null
}

function imageOf({ image, file, facts, uploader, roles, storeValues }: ImageRow): ProductImage {
  const { number, name, position, label, excluded, hasGlobalValues, slot, createdAt, updatedAt } = image
  return {
    id: image.id as ImageId,
    number,
    productId: image.productId as ProductId,
    name,
    position,
    label,
    excluded,
    hasGlobalValues,
    roles,
    storeValues: storeValues ?? [],
    slot,
    file: fileOf(file, facts),
    uploader,
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

/** Its roles go with it, on every level. Answers its id. */
async function removeImage(db: Db, product: LockedProduct, image: ImageRef): Promise<string> {
  const [gone] = canBeImage(image)
    ? await db
        .delete(images)
        .where(and(eq(images.productId, product.id), isImage(image)))
        .returning({ id: images.id })
    : []
  if (!gone) throw new SluiceError('image_unknown')
  return gone.id
}

/** Throws `order_incomplete` unless each of these is an image of the product, named once. */
async function applyOrder(db: Db, product: LockedProduct, order: readonly ImageId[]): Promise<void> {
  const isSound = new Set(order).size === order.length && order.every(isUuid)
  if (!isSound || (await placeInOrder(db, product, order)) !== order.length) throw new SluiceError('order_incomplete')
}

/** Returns how many of the product's images were named. */
async function placeInOrder(db: Db, product: LockedProduct, order: readonly ImageId[]): Promise<number> {
  const rows = await db.execute(sql`
    update product_images set position = ordered.rank
    from unnest(${arrayLiteral(order)}::uuid[]) with ordinality as ordered (id, rank)
    where product_id = ${product.id} and product_images.id = ordered.id
    returning 1`)
  return rows.length
}

async function removeAllBut(db: Db, product: LockedProduct, kept: readonly ImageId[]): Promise<void> {
  await db.execute(sql`
    delete from product_images where product_id = ${product.id} and id <> all(${arrayLiteral(kept)}::uuid[])`)
}
