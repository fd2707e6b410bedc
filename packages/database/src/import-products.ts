/** What an import changes on products. Each of these is one transaction under the product's lock, and says in the same one that it was done. */
import {
  type ImageId,
  type ImportId,
  type ImportProductState,
  type Imports,
  type PreparedGroup,
  type Owner,
  type Problem,
  refuseOwned,
  type RowWishes,
  SluiceError,
  type TenantId,
} from '@sluice/core'
import { type SQL, sql } from './drizzle.ts'
import type { Db } from './connection.ts'
import { changeImage } from './image-change.ts'
import { mainImage, promoteFirst } from './image-order.ts'
import { areLines, PREPARED, writeRows } from './import-plans.ts'
import { restoreProduct } from './import-undo.ts'
import { recordChange } from './products.ts'
import { arrayLiteral } from './rows.ts'
import type { Runner } from './transaction.ts'

export function openImportProducts({ query, transaction }: Runner): Pick<Imports, 'prepare' | 'refuse' | 'settle' | 'restore'> {
  /** One after the other, so that a crash loses one at most; a product that another worker has seen to is left alone. */
  async function each(
    id: ImportId,
    where: SQL,
    limit: number,
    act: (db: Db, group: LockedGroup) => Promise<void>,
  ): Promise<number> {
    const found = await query((db) =>
      db.execute<{ first_line: number }>(sql`
        select first_line from import_products as grouped
        where import_id = ${id} and ${where} order by first_line limit ${limit}`),
    )
    for (const { first_line: firstLine } of found) {
      await transaction(async (db) => {
        const group = await lockGroup(db, id, firstLine, where)
        if (group) await act(db, group)
      })
    }
    return found.length
  }

  return {
    prepare: (id, group) =>
      transaction(async (db) => {
        const locked = await lockGroup(db, id, group.firstLine, sql`state = 'planned'`)
        if (locked) await prepareProduct(db, locked, group)
      }),

    async refuse(id, firstLine, problem) {
      await query((db) =>
        db.execute(sql`
          with over as (
            update import_products set state = 'settled'
            where import_id = ${id} and first_line = ${firstLine} and state in ('planned', 'parked') returning first_line
          )
          update import_rows as row set state = 'failed', problem = ${JSON.stringify(problem)} from over
          where row.import_id = ${id} and row.group_line = over.first_line and row.state in ('pending', 'parked')`),
      )
    },

    settle: (id, limit) => each(id, IS_READY, limit, settleProduct),
    restore: (id, limit) => each(id, sql`state in ('prepared', 'settled') and before is not null`, limit, restoreProduct),
  }
}

/** Nothing of it is under way, or waits to be. */
const IS_READY = sql`state = 'prepared' and not exists (
  select from import_rows as row where row.import_id = grouped.import_id and row.group_line = grouped.first_line
    and row.line > 0 and row.state in ('pending', 'running'))`

export interface LockedGroup extends Record<string, unknown> {
  readonly import_id: ImportId
  readonly tenant_id: TenantId
  readonly first_line: number
  readonly product_id: string | null
  readonly prepared_version: number | null
  readonly settled_versions: number
  readonly undo_force: boolean
}

/** Null where somebody else was faster. */
async function lockGroup(db: Db, id: ImportId, firstLine: number, where: SQL): Promise<LockedGroup | null> {
  const [row] = await db.execute<LockedGroup>(sql`
    select grouped.import_id, tenant_id, first_line, product_id, prepared_version, settled_versions, undo_force
    from (
      select * from import_products as grouped where import_id = ${id} and first_line = ${firstLine} and ${where} for update
    ) as grouped join imports on imports.id = grouped.import_id`)
  return row ?? null
}

export interface LockedVersion extends Record<string, unknown> {
  readonly version: number
  readonly owner: Owner
}

export async function lockVersion(db: Db, tenantId: TenantId, productId: string): Promise<LockedVersion | null> {
  const [row] = await db.execute<LockedVersion>(sql`
    select version, owner from products where tenant_id = ${tenantId} and id = ${productId} for update`)
  return row ?? null
}

// ── Before the new images come ──────────────────────────────────────────────────────────────────────────────────────

async function prepareProduct(db: Db, group: LockedGroup, { productId, version, plan, ingestIds }: PreparedGroup): Promise<void> {
  const { import_id: id, tenant_id: tenantId, first_line: firstLine } = group
  const locked = await lockVersion(db, tenantId, productId)
  if (locked?.version !== version) throw new SluiceError('plan_outdated')
  refuseOwned(locked.owner)
  const { changes, positions, placements, detach } = plan
  const isChanged = changes.length + positions.length > 0
  const isIdle = !isChanged && placements.length + detach.length === 0
  await db.execute(sql`
    update import_products set state = ${isIdle ? 'settled' : 'prepared'}, product_id = ${productId},
      before = ${isIdle ? sql`null` : imagesOf(productId)}
    where import_id = ${id} and first_line = ${firstLine}`)
  for (const { imageId, change } of changes) await changeImage(db, productId, imageId, change)
  await setPositions(db, productId, positions)
  const prepared = isChanged ? await recordChange(db, productId, 0) : version
  await db.execute(sql`
    update import_products set prepared_version = ${prepared} where import_id = ${id} and first_line = ${firstLine}`)
  await writeRows(db, id, plan.rows, PREPARED)
  await writePlacements(db, id, productId, plan, ingestIds)
  await keepDetaching(db, id, firstLine, productId, detach)
}

/** All rows that make up the images of a product, as they are: what undoing restores. */
function imagesOf(productId: string): SQL {
  return sql`json_build_object(
    'images', (select json_agg(row_to_json(image)) from product_images as image where product_id = ${productId}),
    'values', (select json_agg(row_to_json(own)) from image_store_values as own
      join product_images as image on image.id = own.image_id where image.product_id = ${productId}),
    'roles', (select json_agg(row_to_json(line)) from product_image_roles as line where product_id = ${productId}))`
}

async function setPositions(db: Db, productId: string, positions: PreparedGroup['plan']['positions']): Promise<void> {
  if (positions.length === 0) return
  await db.execute(sql`
    update product_images as image set position = given.position
    from json_to_recordset(${JSON.stringify(positions)}::json) as given ("imageId" uuid, position int)
    where image.product_id = ${productId} and image.id = given."imageId"`)
}

async function writePlacements(
  db: Db,
  id: ImportId,
  productId: string,
  { placements }: PreparedGroup['plan'],
  ingestIds: PreparedGroup['ingestIds'],
): Promise<void> {
  const given = placements.map(({ line, placement }) => ({ line, placement, ingestId: ingestIds.get(line) }))
  await db.execute(sql`
    update import_rows as row set placement = given.placement, ingest_id = given."ingestId", product_id = ${productId}
    from json_to_recordset(${JSON.stringify(given)}::json) as given (line int, placement json, "ingestId" uuid)
    where ${areLines(id, placements)} and row.line = given.line`)
}

/** Where the product was planned anew, other images may have to go: the lines of those that stay the same stay. */
async function keepDetaching(
  db: Db,
  id: ImportId,
  firstLine: number,
  productId: string,
  detach: readonly ImageId[],
): Promise<void> {
  const given = arrayLiteral(detach)
  await db.execute(sql`
    delete from import_rows where import_id = ${id} and group_line = ${firstLine} and line < 0
      and image_id <> all(${given}::uuid[])`)
  if (detach.length === 0) return
  await db.execute(sql`
    insert into import_rows (import_id, line, group_line, state, action, product, product_id, image_id)
    select ${id}::uuid, least((select min(line) from import_rows where import_id = ${id}), 0) - n,
      ${firstLine}::int, 'pending', 'detach', grouped.product, ${productId}::uuid, image_id
    from (
      select image_id, row_number() over () as n from unnest(${given}::uuid[]) as image_id
      where not exists (
        select from import_rows as known
        where known.import_id = ${id} and known.group_line = ${firstLine} and known.line < 0 and known.image_id = image_id.image_id)
    ) as missing, import_products as grouped
    where grouped.import_id = ${id} and grouped.first_line = ${firstLine}`)
}

// ── When they have come ─────────────────────────────────────────────────────────────────────────────────────────────

interface SettledRow extends Record<string, unknown> {
  readonly line: number
  readonly state: string
  readonly action: string
  readonly image_id: ImageId | null
  readonly wishes: RowWishes
  readonly is_main: boolean | null
}

async function settleProduct(db: Db, group: LockedGroup): Promise<void> {
  const { import_id: id, tenant_id: tenantId, first_line: firstLine, product_id: productId } = group
  const locked = productId === null ? null : await lockVersion(db, tenantId, productId)
  const rows = await db.execute<SettledRow>(sql`
    select line, state, action, image_id, wishes, (placement ->> 'main')::boolean as is_main from import_rows
    where import_id = ${id} and group_line = ${firstLine} order by line`)
  let versions = 0
  // One that the organization took over meanwhile is left as it is.
  if (productId !== null && locked?.owner === 'store') {
    const { isChanged, imagesAdded } = await finishImages(db, productId, rows)
    if (isChanged) await recordChange(db, productId, imagesAdded)
    versions = isChanged ? 1 : 0
  }
  const hasFailed = rows.some(({ line, state }) => line > 0 && state === 'failed')
  await endDetaching(db, id, firstLine, hasFailed)
  await db.execute(sql`
    update import_products set state = 'settled', settled_versions = ${versions} where import_id = ${id} and first_line = ${firstLine}`)
}

async function finishImages(
  db: Db,
  productId: string,
  rows: readonly SettledRow[],
): Promise<{ isChanged: boolean; imagesAdded: number }> {
  const hasFailed = rows.some(({ line, state }) => line > 0 && state === 'failed')
  const gone = hasFailed ? [] : rows.flatMap(({ line, image_id: imageId }) => (line < 0 && imageId !== null ? [imageId] : []))
  const removed = gone.length === 0 ? [] : await removeImages(db, productId, gone)
  let isChanged = removed.length > 0
  for (const { state, action, image_id: imageId, wishes } of rows) {
    if (state !== 'done' || imageId === null || (action !== 'attach' && action !== 'create')) continue
    for (const wish of wishes.stores ?? []) {
      // Somebody may have taken it off meanwhile.
      isChanged = (await changeIfThere(db, productId, imageId, wish)) || isChanged
    }
  }
  const hasLostMain = rows.some(({ state, is_main: isMain }) => state === 'failed' && isMain === true)
  if (hasLostMain && (await mainImage(db, productId)) === null) {
    await promoteFirst(db, productId)
    isChanged = true
  }
  return { isChanged, imagesAdded: -removed.length }
}

async function changeIfThere(
  db: Db,
  productId: string,
  imageId: ImageId,
  wish: NonNullable<RowWishes['stores']>[number],
): Promise<boolean> {
  const [row] = await db.execute(sql`select from product_images where product_id = ${productId} and id = ${imageId}`)
  if (!row) return false
  await changeImage(db, productId, imageId, wish)
  return true
}

export function removeImages(db: Db, productId: string, ids: readonly string[]) {
  return db.execute(sql`
    delete from product_images where product_id = ${productId} and id = any(${arrayLiteral(ids)}::uuid[]) returning 1`)
}

const LEFT: Problem = { code: 'row_invalid', detail: 'Another row of the product has failed, so nothing was taken off.' }

async function endDetaching(db: Db, id: ImportId, firstLine: number, hasFailed: boolean): Promise<void> {
  const problem = hasFailed ? JSON.stringify(LEFT) : null
  await db.execute(sql`
    update import_rows set state = ${hasFailed ? 'skipped' : 'done'}, problem = ${problem}::json
    where import_id = ${id} and group_line = ${firstLine} and line < 0 and state = 'pending'`)
}

export async function endGroup(
  db: Db,
  { import_id: id, first_line: firstLine }: LockedGroup,
  state: ImportProductState,
  problem: Problem | null,
): Promise<void> {
  const said = problem && JSON.stringify(problem)
  await db.execute(sql`
    update import_products set state = ${state}, problem = ${said}::json where import_id = ${id} and first_line = ${firstLine}`)
}
