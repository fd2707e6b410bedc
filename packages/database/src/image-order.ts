/** Positions and roles of one product's images. The caller holds the product's lock. */
import { MAIN_ROLE } from '@sluice/core'
import { type SQL, sql } from './drizzle.ts'
import type { Db } from './connection.ts'
import { arrayLiteral } from './rows.ts'

/**
 * Moves the image at this rank and all later ones back, and answers the position that has become free; null when the rank
 * lies beyond the end. The image itself does not count. Where the image before has the same position, the free one lies
 * between: there the tie would otherwise be broken by the number.
 */
export async function makeRoom(db: Db, productId: string, imageId: string, rank: number): Promise<number | null> {
  const [row] = await db.execute<{ free: number }>(sql`
    with others as (
      select position, number, lag(position) over in_order as before, row_number() over in_order as rank
      from product_images where product_id = ${productId} and id <> ${imageId}
      window in_order as (order by position, number)
    ), place as (
      select position, number, position + (before is not distinct from position)::int as free
      from others where rank = ${Math.max(1, Math.trunc(rank))}
    ), moved as (
      update product_images image set position = image.position + 1 + place.free - place.position from place
      where product_id = ${productId} and id <> ${imageId}
        and (image.position, image.number) >= (place.position, place.number)
    )
    select free from place`)
  return row?.free ?? null
}

/** After the last of the other images. */
export function endPosition(productId: string, imageId: string): SQL {
  return sql`(select coalesce(max(position), 0) + 1 from product_images where product_id = ${productId} and id <> ${imageId})`
}

/** The level of roles that hold wherever a store view says nothing else. */
export const GLOBAL = 0

/** The image that has the main role; null when none has. */
export async function mainImage(db: Db, productId: string): Promise<string | null> {
  const [row] = await db.execute<{ image_id: string }>(sql`
    select image_id from product_image_roles where product_id = ${productId} and store = ${GLOBAL} and role = ${MAIN_ROLE}`)
  return row?.image_id ?? null
}

/** Whoever had them on this level loses them. */
export async function giveRoles(db: Db, productId: string, imageId: string, roles: Iterable<string>): Promise<void> {
  await db.execute(givenRoles(productId, imageId, roles, GLOBAL))
}

export function givenRoles(productId: string, imageId: string, roles: Iterable<string>, store: number): SQL {
  return sql`
    insert into product_image_roles (product_id, store, role, image_id)
    select ${productId}::uuid, ${store}::int, role, ${imageId}::uuid from unnest(${arrayLiteral([...roles])}::text[]) as role
    on conflict (product_id, store, role) do update set image_id = excluded.image_id`
}

/** Takes all global roles from the image but those that it keeps. */
export async function takeRoles(db: Db, productId: string, imageId: string, kept: readonly string[]): Promise<void> {
  await db.execute(sql`
    delete from product_image_roles
    where product_id = ${productId} and store = ${GLOBAL} and image_id = ${imageId} and role <> all(${arrayLiteral(kept)}::text[])`)
}

/** From one image, or from whichever has it. False when there was nothing to take. */
export async function takeMain(db: Db, productId: string, imageId: string | null): Promise<boolean> {
  const rows = await db.execute(sql`
    delete from product_image_roles
    where product_id = ${productId} and store = ${GLOBAL} and role = ${MAIN_ROLE}
      and (${imageId}::uuid is null or image_id = ${imageId}::uuid)
    returning role`)
  return rows.length > 0
}

export async function promoteFirst(db: Db, productId: string): Promise<void> {
  await db.execute(sql`
    insert into product_image_roles (product_id, store, role, image_id)
    select product_id, ${GLOBAL}::int, ${MAIN_ROLE}, id from product_images
    where product_id = ${productId} order by position, number limit 1`)
}
