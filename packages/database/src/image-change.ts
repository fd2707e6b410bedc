/** Changes to one image. The caller holds the product's lock. */
import { type ImageChange, type ImageRef, isUuid, MAIN_ROLE, SluiceError } from '@sluice/core'
import { and, eq, type SQL, sql } from './drizzle.ts'
import type { Db } from './connection.ts'
import { endPosition, giveRoles, makeRoom, takeMain, takeRoles } from './image-order.ts'
import { arrayLiteral } from './rows.ts'
import { productImages as images } from './schema.ts'

/** Throws `image_unknown`. */
export async function changeImage(db: Db, productId: string, ref: ImageRef, change: ImageChange): Promise<void> {
  const imageId = await touchImage(db, productId, ref, change.store === undefined ? globalFields(change) : {})
  if (change.store === undefined) await changeEverywhere(db, productId, imageId, change)
  else await changeInStore(db, productId, imageId, change.store, change)
}

/** False for what no row can bear: asking the database for it would be an error and not an absence. */
export function canBeImage(ref: ImageRef): boolean {
  return typeof ref === 'number' ? Number.isSafeInteger(ref) : isUuid(ref)
}

export function isImage(ref: ImageRef) {
  return typeof ref === 'number' ? eq(images.number, ref) : eq(images.id, ref)
}

type Fields = Partial<Pick<typeof images.$inferInsert, 'label' | 'excluded' | 'position' | 'hasGlobalValues'>>

/** Counts the image as updated now, and answers its id. Throws `image_unknown`. */
export async function touchImage(db: Db, productId: string, ref: ImageRef, fields: Fields = {}): Promise<string> {
  const [row] = canBeImage(ref)
    ? await db
        .update(images)
        .set({ ...fields, updatedAt: sql`now()` })
        .where(and(eq(images.productId, productId), isImage(ref)))
        .returning({ id: images.id })
    : []
  if (!row) throw new SluiceError('image_unknown')
  return row.id
}

function globalFields({ label, excluded, position, rank }: ImageChange): Fields {
  const isGlobal = label !== undefined || excluded !== undefined || position !== undefined || rank !== undefined
  return {
    ...(label !== undefined && { label }),
    ...(excluded !== undefined && { excluded }),
    ...(position !== undefined && { position }),
    ...(isGlobal && { hasGlobalValues: true }),
  }
}

async function changeEverywhere(db: Db, productId: string, imageId: string, { rank, roles, main }: ImageChange): Promise<void> {
  if (rank !== undefined) await move(db, productId, imageId, rank)
  const given = new Set(roles)
  if (main === true) given.add(MAIN_ROLE)
  if (main === false) given.delete(MAIN_ROLE)
  if (roles !== undefined) await takeRoles(db, productId, imageId, [...given, MAIN_ROLE])
  if (main === false) await takeMain(db, productId, imageId)
  if (given.size > 0) await giveRoles(db, productId, imageId, given)
}

async function move(db: Db, productId: string, imageId: string, rank: number): Promise<void> {
  const position = (await makeRoom(db, productId, imageId, rank)) ?? endPosition(productId, imageId)
  await db.update(images).set({ position }).where(eq(images.id, imageId))
}

async function changeInStore(
  db: Db,
  productId: string,
  imageId: string,
  store: number,
  { roles, ...values }: ImageChange,
): Promise<void> {
  const { label, position, excluded } = values
  if (label !== undefined || position !== undefined || excluded !== undefined) {
    await db.execute(storeValues(imageId, store, values))
  }
  if (roles !== undefined) await db.execute(exactStoreRoles(productId, imageId, store, roles))
}

/** What is not given stays as it is. */
export function storeValues(
  imageId: string,
  store: number,
  { label, position, excluded }: Pick<ImageChange, 'label' | 'position' | 'excluded'>,
): SQL {
  return sql`
    insert into image_store_values as known (image_id, store, label, position, excluded)
    values (${imageId}, ${store}, ${label ?? null}, ${position ?? null}, ${excluded ?? null})
    on conflict (image_id, store) do update set label = coalesce(excluded.label, known.label),
      position = coalesce(excluded.position, known.position), excluded = coalesce(excluded.excluded, known.excluded)`
}

/** Of the roles that the image shows in the store view, its own there and the global ones that it inherits, the rest is nobody's. */
function exactStoreRoles(productId: string, imageId: string, store: number, roles: readonly string[]): SQL {
  const given = arrayLiteral([...new Set(roles)])
  return sql`
    with shown as (
      select coalesce(own.role, everywhere.role) as role
      from (select role, image_id from product_image_roles where product_id = ${productId} and store = ${store}) as own
      full join (select role, image_id from product_image_roles where product_id = ${productId} and store = 0) as everywhere
        on everywhere.role = own.role
      where case when own.role is null then everywhere.image_id else own.image_id end = ${imageId}::uuid
    )
    insert into product_image_roles (product_id, store, role, image_id)
    select ${productId}::uuid, ${store}::int, role, null from shown where role <> all(${given}::text[])
    union all select ${productId}::uuid, ${store}::int, role, ${imageId}::uuid from unnest(${given}::text[]) as role
    on conflict (product_id, store, role) do update set image_id = excluded.image_id`
}
