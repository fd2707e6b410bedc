/**
 * Images whose product is not there yet. Whoever parks one and whoever makes the product hold the same lock, of that SKU, so one
 * of them comes first and the second sees what it did.
 */
import type { IngestId, Ingests, TenantId } from '@sluice/core'
import { type SQL, sql } from './drizzle.ts'
import type { Db } from './connection.ts'
import { deliveriesOf, endedIngests } from './events.ts'
import { INGEST_CHANNEL, OUTBOX_CHANNEL } from './signals.ts'
import { note } from './timeline.ts'
import type { Runner } from './transaction.ts'

/** Ends with the transaction. What is read after this is what the last holder has left. */
export async function lockSku(db: Db, tenantId: TenantId, sku: string): Promise<void> {
  await db.execute(sql`select pg_advisory_xact_lock(hashtextextended(${`${tenantId} ${sku}`}, 1))`)
}

/** The product with this SKU, if there is one. */
export function isThere(tenantId: TenantId, sku: string): SQL {
  return sql`select id from products where tenant_id = ${tenantId} and kind = 'product' and sku = ${sku}`
}

/** One transaction should not hold thousands of rows; what is left is found by upkeep. */
const AT_ONCE_MAX = 1_000

/** The caller has made the product, and holds the lock of its SKU. */
export async function unpark(db: Db, tenantId: TenantId, sku: string): Promise<void> {
  await goOn(
    db,
    sql`select ingests.id, home.id as product_id from ingests cross join (${isThere(tenantId, sku)}) as home
      where tenant_id = ${tenantId} and parked_sku = ${sku} and state = 'parked'
      order by created_at, ingests.id limit ${AT_ONCE_MAX} for update of ingests`,
  )
}

export async function settleParked({ query }: Runner, limit: number): Promise<Awaited<ReturnType<Ingests['settleParked']>>> {
  const missed = sql`select ingests.id, products.id as product_id from ingests
    join products on products.tenant_id = ingests.tenant_id and products.kind = 'product' and products.sku = parked_sku
    where ingests.state = 'parked' limit ${limit} for update of ingests skip locked`
  const unparked = await query((db) => goOn(db, missed))
  return { unparked, expired: await query((db) => expire(db, limit)) }
}

/** `due` selects the ids of parked ingests, locked, and of their products. */
async function goOn(db: Db, due: SQL): Promise<readonly IngestId[]> {
  const rows = await db.execute<{ id: string }>(sql`
    with due as materialized (${due}), changed as (
      update ingests set state = 'received', product_id = due.product_id, updated_at = clock_timestamp()
      from due where ingests.id = due.id and state = 'parked' returning ingests.*
    ), queued as (
      insert into outbox (ingest_id, epoch, tenant_id, lane, since)
      select id, epoch, tenant_id, lane, created_at from changed order by created_at, id
    ), noted as (${note('changed', [], { step: 'unpark', outcome: 'done' })})
    select id, pg_notify(${OUTBOX_CHANNEL}, ''), pg_notify(${INGEST_CHANNEL}, id::text) from changed`)
  return rows.map((row) => row.id as IngestId)
}

async function expire(db: Db, limit: number): Promise<readonly IngestId[]> {
  const rows = await db.execute<{ id: string }>(sql`
    with due as materialized (
      select id from ingests
      where state = 'parked' and parked_until < clock_timestamp() and not exists (
        select from products
        where products.tenant_id = ingests.tenant_id and products.kind = 'product' and products.sku = parked_sku)
      order by parked_until limit ${limit} for update skip locked
    ), changed as (
      update ingests set state = 'rejected', problem_code = 'product_unknown',
        problem_detail = 'No product with the SKU "' || parked_sku || '" came in time.', problem_details = null,
        updated_at = clock_timestamp(), finished_at = clock_timestamp()
      from due where ingests.id = due.id and state = 'parked' returning ingests.*
    ), noted as (${note('changed', [], { step: 'finish', outcome: 'rejected' })}),
    told as (${deliveriesOf(endedIngests('changed', 1))})
    select id, pg_notify(${INGEST_CHANNEL}, id::text) from changed`)
  return rows.map((row) => row.id as IngestId)
}
