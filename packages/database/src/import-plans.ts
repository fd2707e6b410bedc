/** How a plan is made and written: which rows are about which product, and what becomes of them. */
import {
  type ImportId,
  type Imports,
  isUuid,
  type Owner,
  type PlannedGroup,
  type PlannedRow,
  type ProductId,
  productOfText,
  type ProductRef,
  type RowAction,
  type RowGroup,
  type RowState,
  SluiceError,
} from '@sluice/core'
import { type SQL, sql } from './drizzle.ts'
import type { Db } from './connection.ts'
import { importProductOf, importRowOf } from './import-rows.ts'
import { busy, change, lockImport } from './import-heads.ts'
import { arrayLiteral, rowOf } from './rows.ts'
import { importProducts, importRows } from './schema.ts'
import type { Runner } from './transaction.ts'

export function openImportPlans({
  query,
  transaction,
}: Runner): Pick<Imports, 'beginPlan' | 'resolve' | 'groups' | 'writePlan' | 'endPlan'> {
  return {
    beginPlan: (tenantId, id) =>
      transaction(async (db) => {
        const { state, planEpoch } = await lockImport(db, tenantId, id)
        if (state !== 'open' && state !== 'planned') throw busy(state)
        await db.execute(sql`delete from import_rows where import_id = ${id} and line < 0`)
        await db.execute(sql`delete from import_products where import_id = ${id}`)
        await change(db, id, { state: 'open', planEpoch: planEpoch + 1, planHash: null })
        return planEpoch + 1
      }),

    resolve: (id, epoch, after, limit) =>
      transaction(async (db) => {
        const tenantId = await holdEpoch(db, id, epoch)
        const part = await db.execute<Part>(sql`
          select line, product from import_rows where import_id = ${id} and line > ${after} order by line limit ${limit}`)
        if (part.length > 0) await groupRows(db, id, tenantId, part)
        return part.at(-1)?.line ?? null
      }),

    async groups(id, state, { after, limit }) {
      if (!isUuid(id)) return []
      return query((db) => selectGroups(db, id, sql`state = ${state} and first_line > ${after ?? 0}`, limit))
    },

    writePlan: (id, epoch, groups) =>
      transaction(async (db) => {
        await holdEpoch(db, id, epoch)
        await writeRows(
          db,
          id,
          groups.flatMap(({ rows }) => rows),
        )
        await insertDetaching(db, id, groups)
        const given = JSON.stringify(groups.map(({ firstLine, version, state }) => ({ firstLine, version, state })))
        await db.execute(sql`
          update import_products set planned_version = given.version, state = given.state
          from json_to_recordset(${given}::json) as given ("firstLine" int, version int, state text)
          where import_id = ${id} and first_line = given."firstLine" and first_line = any(${arrayLiteral(groups.map(({ firstLine }) => String(firstLine)))}::int[])`)
      }),

    endPlan: (id, epoch, planHash) =>
      transaction(async (db) => {
        await holdEpoch(db, id, epoch)
        return change(db, id, { state: 'planned', planHash })
      }),
  }
}

/** Throws `import_busy` when another plan has begun since, or rows were added, or it is being applied. Answers whose it is. */
async function holdEpoch(db: Db, id: ImportId, epoch: number): Promise<string> {
  const [row] = await db.execute<{ tenant_id: string }>(sql`
    select tenant_id from imports where id = ${id} and plan_epoch = ${epoch} and state in ('open', 'planned') for update`)
  if (!row) throw new SluiceError('import_busy', 'The import was changed or planned by another request meanwhile.')
  return row.tenant_id
}

interface Part extends Record<string, unknown> {
  readonly line: number
  readonly product: string | null
}

/** Rows that name one product differently are one group. They come chunk after chunk, so the line that makes a group is its first. */
async function groupRows(db: Db, id: ImportId, tenantId: string, part: readonly Part[]): Promise<void> {
  const ids = await productIds(db, tenantId, part)
  const keyed = part.map(({ line, product }) => {
    const productId = product === null ? null : (ids.get(product) ?? null)
    return { line, product, productId, key: productId ?? product }
  })
  const firsts = new Map(keyed.toReversed().map((row) => [row.key, row]))
  firsts.delete(null)
  await db.execute(sql`
    insert into import_products (import_id, first_line, key, product, product_id)
    select ${id}::uuid, line, key, product, "productId"
    from json_to_recordset(${JSON.stringify([...firsts.values()])}::json) as given (line int, key text, product text, "productId" uuid)
    on conflict (import_id, key) do nothing`)
  const keys = [...firsts.keys()].filter((key) => key !== null)
  const groups = await db.execute<{ key: string; first_line: number }>(sql`
    select key, first_line from import_products where import_id = ${id} and key = any(${arrayLiteral(keys)}::text[])`)
  const groupOfKey = new Map(groups.map((group) => [group.key, group.first_line]))
  const given = keyed.map(({ line, key, productId }) => ({ line, productId, group: key === null ? null : groupOfKey.get(key) }))
  await db.execute(sql`
    update import_rows as row set group_line = given."group", product_id = given."productId", action = null, changes = '[]',
      image_id = null, placement = null, ingest_id = null,
      problem = case when row.state = 'invalid' then row.problem end,
      state = case when row.state = 'invalid' then row.state else 'pending' end
    from json_to_recordset(${JSON.stringify(given)}::json) as given (line int, "group" int, "productId" uuid)
    where ${areLines(id, part)} and row.line = given.line`)
}

/** By how rows name them. */
async function productIds(db: Db, tenantId: string, part: readonly Part[]): Promise<ReadonlyMap<string, string>> {
  const ids = new Map<string, string>()
  const refs = new Map(part.flatMap(({ product }) => (product === null ? [] : [[product, productOfText(product)] as const])))
  const look = async (kind: ProductRef['kind'], column: SQL, type: SQL, more: SQL, value: (ref: ProductRef) => string) => {
    const asked = new Map([...refs].flatMap(([text, ref]) => (ref?.kind === kind ? [[value(ref), text] as const] : [])))
    if (asked.size === 0) return
    const rows = await db.execute<{ id: string; value: string }>(sql`
      select id, ${column}::text as value from products
      where tenant_id = ${tenantId} and ${more} and ${column} = any(${arrayLiteral([...asked.keys()])}::${type}[])`)
    for (const row of rows) ids.set(asked.get(row.value) ?? '', row.id)
  }
  await look('sku', sql`sku`, sql`text`, sql`kind = 'product'`, (ref) => (ref.kind === 'sku' ? ref.sku : ''))
  await look('model', sql`sku`, sql`text`, sql`kind = 'model'`, (ref) => (ref.kind === 'model' ? ref.code : ''))
  await look('number', sql`number`, sql`bigint`, sql`true`, (ref) => (ref.kind === 'number' ? String(ref.number) : ''))
  await look('id', sql`id`, sql`uuid`, sql`true`, (ref) => (ref.kind === 'id' ? ref.id : ''))
  return ids
}

/**
 * Rows of a batch, for updates that join it: the tables grow from nothing faster than PostgreSQL looks at them, and without this it
 * may compare every row of the import with every row of the batch (measured: 2,000 rows, more than ten seconds).
 */
export function areLines(id: ImportId, rows: readonly { readonly line: number }[]): SQL {
  const lines = arrayLiteral(rows.map(({ line }) => String(line)))
  return sql`row.import_id = ${id} and row.line = any(${lines}::int[])`
}

/** In the order of their first lines. The product is the one that there is now, also where it was not there when the rows were grouped. */
async function selectGroups(db: Db, id: ImportId, where: SQL, limit: number): Promise<readonly RowGroup[]> {
  const groups = await db.execute<Record<string, unknown> & Found>(sql`
    select grouped.*, found.id as found_id, found.version, found.accepts_images, found.image_count, found.owner
    from (
      select import_products.* from import_products where import_id = ${id} and ${where} order by first_line limit ${limit}
    ) as grouped
    join imports on imports.id = grouped.import_id
    left join lateral (
      select products.* from products where products.tenant_id = imports.tenant_id and products.id = coalesce(
        grouped.product_id, case when grouped.product like 'sku:%' then (
          select id from products as p
          where p.tenant_id = imports.tenant_id and p.kind = 'product' and p.sku = substr(grouped.product, 5)) end)
    ) as found on true
    order by first_line`)
  if (groups.length === 0) return []
  const lines = arrayLiteral(groups.map((group) => String(group['first_line'])))
  const rows = await db.execute(sql`
    select * from import_rows where import_id = ${id} and group_line = any(${lines}::int[]) and line > 0 order by line`)
  return groups.map((group) => groupOf(group, rows))
}

interface Found extends Record<string, unknown> {
  readonly found_id: string | null
  readonly version: number | null
  readonly accepts_images: boolean | null
  readonly image_count: number | null
  readonly owner: Owner | null
}

function groupOf(raw: Record<string, unknown> & Found, rows: readonly Record<string, unknown>[]): RowGroup {
  const { found_id: id, version, accepts_images: acceptsImages, image_count: imageCount, owner } = raw
  const own = rows.filter((row) => row['group_line'] === raw['first_line']).map((row) => importRowOf(rowOf(importRows, row)))
  const isThere = version !== null && acceptsImages !== null && imageCount !== null && owner !== null
  return {
    ...importProductOf(rowOf(importProducts, raw)),
    productId: id as ProductId | null,
    rows: own.filter(({ state }) => state !== 'invalid'),
    hasInvalid: own.some(({ state }) => state === 'invalid'),
    found: isThere ? { version, acceptsImages, imageCount, owner } : null,
  }
}

/** What a row is once it is planned: what is refused has failed, and what is the same already is skipped. */
const PLANNED: Readonly<Record<RowAction, RowState>> = {
  create: 'pending',
  attach: 'pending',
  update: 'pending',
  reorder: 'pending',
  detach: 'pending',
  skip: 'skipped',
  park: 'parked',
  refuse: 'failed',
}

/** The same once what is there has been changed. */
export const PREPARED: Readonly<Record<RowAction, RowState>> = { ...PLANNED, update: 'done', reorder: 'done' }

export async function writeRows(
  db: Db,
  id: ImportId,
  rows: readonly PlannedRow[],
  states: Readonly<Record<RowAction, RowState>> = PLANNED,
): Promise<void> {
  const given = JSON.stringify(rows.map((row) => ({ ...row, state: states[row.action] })))
  await db.execute(sql`
    update import_rows as row set action = given.action, changes = given.changes, image_id = given."imageId",
      problem = given.problem, state = given.state
    from json_to_recordset(${given}::json) as given (
      line int, action text, changes json, "imageId" uuid, problem json, state text)
    where ${areLines(id, rows)} and row.line = given.line`)
}

async function insertDetaching(db: Db, id: ImportId, groups: readonly PlannedGroup[]): Promise<void> {
  const rows = groups.flatMap(({ firstLine, detach }) => detach.map(({ line, imageId }) => ({ firstLine, line, imageId })))
  if (rows.length === 0) return
  await db.execute(sql`
    insert into import_rows (import_id, line, group_line, state, action, product, product_id, image_id)
    select grouped.import_id, given.line, grouped.first_line, 'pending', 'detach', grouped.product, grouped.product_id, given."imageId"
    from json_to_recordset(${JSON.stringify(rows)}::json) as given ("firstLine" int, line int, "imageId" uuid)
    join import_products as grouped on grouped.import_id = ${id} and grouped.first_line = given."firstLine"`)
}
