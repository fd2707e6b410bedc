/** What workers ask of an import while it is applied or undone. */
import {
  type FedRow,
  type ImportId,
  type Imports,
  type ImportState,
  type IngestId,
  type Placement,
  type ProductId,
  type RowSource,
} from '@sluice/core'
import { eq, sql } from './drizzle.ts'
import type { Db } from './connection.ts'
import { recordEvent } from './events.ts'
import { change, faultsOf, importOf } from './import-heads.ts'
import { areLines } from './import-plans.ts'
import { arrayLiteral, rowOf } from './rows.ts'
import { imports } from './schema.ts'
import type { Runner } from './transaction.ts'

type Work = Pick<
  Imports,
  'claim' | 'release' | 'collect' | 'unpark' | 'feed' | 'stagedInUse' | 'failRow' | 'advance' | 'forgetIdle'
>

const COLLECTED_MAX = 1_000

export function openImportWork({ query, transaction }: Runner): Work {
  return {
    async claim(leaseMs) {
      const [row] = await query((db) =>
        db.execute(sql`
          update imports set claimed_until = clock_timestamp() + ${leaseMs}::float8 * interval '1 ms'
          where id = (
            select id from imports
            where state in ('applying', 'stopping', 'undoing') and (claimed_until is null or claimed_until < clock_timestamp())
            order by claimed_until nulls first limit 1 for update skip locked)
          returning *`),
      )
      return row ? importOf(rowOf(imports, row)) : null
    },

    async release(id, restMs) {
      await query((db) =>
        db.execute(sql`
          update imports set claimed_until = clock_timestamp() + ${restMs}::float8 * interval '1 ms'
          where id = ${id} and claimed_until is not null`),
      )
    },

    async collect(id) {
      const over = await query((db) =>
        db.execute<{ line: number }>(sql`
          select row.line, case ingest.state when 'committed' then 'done' else 'failed' end as state,
            ingest.result_image_id as "imageId",
            case when ingest.state <> 'committed' then json_strip_nulls(json_build_object('code', ingest.problem_code,
              'detail', coalesce(ingest.problem_detail, ''), 'details', ingest.problem_details)) end as problem
          from import_rows as row join ingests as ingest on ingest.id = row.ingest_id
          where row.import_id = ${id} and row.state = 'running' and ingest.finished_at is not null limit ${COLLECTED_MAX}`),
      )
      if (over.length === 0) return 0
      await query((db) =>
        db.execute(sql`
          update import_rows as row set image_id = over."imageId", state = over.state, problem = over.problem
          from json_to_recordset(${JSON.stringify(over)}::json) as over (line int, state text, "imageId" uuid, problem json)
          where ${areLines(id, over)} and row.line = over.line and row.state = 'running'`),
      )
      return over.length
    },

    unpark: (id, limit) => query((db) => unpark(db, id, limit)),

    async feed(id, inFlightMax) {
      const ready = await query((db) =>
        db.execute<{ line: number }>(sql`
          select line from import_rows where import_id = ${id} and state = 'pending' and placement is not null
          order by line limit greatest(0, ${inFlightMax}::int - (
            select count(*)::int from import_rows where import_id = ${id} and state = 'running'))`),
      )
      if (ready.length > 0) {
        await query((db) =>
          db.execute(sql`update import_rows as row set state = 'running' where ${areLines(id, ready)} and state = 'pending'`),
        )
      }
      const rows = await query((db) =>
        db.execute<Fed>(sql`
          select line, product_id, ingest_id, source, placement from import_rows as row
          where import_id = ${id} and state = 'running' and not exists (select from ingests where ingests.id = row.ingest_id)
          order by line`),
      )
      const [running] = await query((db) =>
        db.execute<{ n: number }>(sql`
          select count(*)::int as n from import_rows where import_id = ${id} and state = 'running'`),
      )
      return { rows: rows.map(fedRow), room: Math.max(0, inFlightMax - (running?.n ?? 0)) }
    },

    async stagedInUse(keys) {
      const rows = await query((db) =>
        db.execute<{ staged_key: string }>(sql`
          select staged_key from import_rows
          where staged_key = any(${arrayLiteral(keys)}::text[]) and state in ('pending', 'parked', 'running')`),
      )
      return new Set(rows.map((row) => row.staged_key))
    },

    async failRow(id, line, problem) {
      await query((db) =>
        db.execute(sql`
          update import_rows set state = 'failed', problem = ${JSON.stringify(problem)}
          where import_id = ${id} and line = ${line} and state in ('pending', 'running')`),
      )
    },

    advance: (id) =>
      transaction(async (db) => {
        const [row] = await db.select().from(imports).where(eq(imports.id, id)).for('update')
        if (!row) return 'undone'
        const next = await nextState(db, id, row)
        if (next === row.state) return next
        await change(db, id, { state: next, ...(next === 'finished' && { finishedAt: sql`clock_timestamp()` }) })
        if (next === 'finished') await recordFinished(db, row)
        return next
      }),

    async forgetIdle(idleMs, keptMs, limit) {
      const rows = await query((db) =>
        db.execute(sql`
          delete from imports where id in (
            select id from imports
            where state in ('open', 'planned', 'stopped', 'finished', 'undone') and updated_at < clock_timestamp()
              - case when state in ('open', 'planned') then ${idleMs}::float8 else ${keptMs}::float8 end * interval '1 ms'
            order by updated_at limit ${limit} for update skip locked)
          returning 1`),
      )
      return rows.length
    },
  }
}

async function recordFinished(db: Db, { id, tenantId, name }: { id: string; tenantId: string; name: string }): Promise<void> {
  const rows = await db.execute<{ state: string; n: number }>(sql`
    select state, count(*)::int as n from import_rows where import_id = ${id} group by state`)
  const counts = Object.fromEntries(rows.map(({ state, n }) => [state, n]))
  const data = { import_id: id, name, rows: counts }
  await recordEvent(db, { tenantId, type: 'import.finished', subject: id, data })
}

interface Fed extends Record<string, unknown> {
  readonly line: number
  readonly product_id: ProductId
  readonly ingest_id: IngestId
  readonly source: RowSource
  readonly placement: Placement
}

function fedRow({ line, product_id: productId, ingest_id: ingestId, source, placement }: Fed): FedRow {
  return { line, productId, ingestId, source, placement }
}

/** Products that have appeared may be planned whatever their version is; the rows of the others fail when their time is over. */
async function unpark(db: Db, id: ImportId, limit: number): Promise<number> {
  const rows = await db.execute(sql`
    with found as materialized (
      select grouped.first_line, products.id from import_products as grouped
      join imports on imports.id = grouped.import_id
      join products on products.tenant_id = imports.tenant_id and products.kind = 'product'
        and products.sku = substr(grouped.product, 5)
      where grouped.import_id = ${id} and grouped.state = 'parked' limit ${limit}
    ), late as materialized (
      select grouped.first_line from import_products as grouped join imports on imports.id = grouped.import_id
      where grouped.import_id = ${id} and grouped.state = 'parked'
        and imports.started_at + imports.park_ms * interval '1 ms' < clock_timestamp()
        and grouped.first_line not in (select first_line from found) limit ${limit}
    ), over as (
      update import_products as grouped set state = case when found.id is null then 'settled' else 'planned' end,
        product_id = found.id, planned_version = ${ANY_VERSION}
      from (select first_line, id from found union all select first_line, null from late) as found
      where grouped.import_id = ${id} and grouped.first_line = found.first_line
      returning grouped.first_line, grouped.state
    )
    update import_rows as row set state = case over.state when 'planned' then 'pending' else 'failed' end,
      problem = case when over.state = 'settled' then ${JSON.stringify(EXPIRED)}::json end
    from over where row.import_id = ${id} and row.group_line = over.first_line and row.state = 'parked' returning 1`)
  return rows.length
}

const ANY_VERSION = -1
const EXPIRED = { code: 'park_expired', detail: 'The product did not appear in time.' }

async function nextState(
  db: Db,
  id: ImportId,
  { state, onError, faultsSeen }: { state: ImportState; onError: string; faultsSeen: number },
): Promise<ImportState> {
  const isNone = async (products: ReturnType<typeof sql>) => {
    const [row] = await db.execute(sql`select from import_products where import_id = ${id} and ${products} limit 1`)
    return row === undefined
  }
  if (state === 'applying') {
    const [faults] = onError === 'stop' ? await db.execute<{ n: number }>(sql`select ${faultsOf(id)} as n`) : []
    if (faults && faults.n > faultsSeen) return 'stopping'
    return (await isNone(sql`state in ('planned', 'parked', 'prepared')`)) ? 'finished' : state
  }
  if (state === 'stopping') {
    const [running] = await db.execute(sql`select from import_rows where import_id = ${id} and state = 'running' limit 1`)
    return running ? state : 'stopped'
  }
  if (state === 'undoing') return (await isNone(sql`state in ('prepared', 'settled') and before is not null`)) ? 'undone' : state
  return state
}
