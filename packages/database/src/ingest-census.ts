/** How many ingests there are, without counting millions of them that are over at each question. */
import { INGEST_STATES, type Ingests, type Load, type TenantId, type Waiting } from '@sluice/core'
import { sql } from './drizzle.ts'
import type { Db } from './connection.ts'

const NO_INGESTS = { received: 0, parked: 0, running: 0, committed: 0, rejected: 0, failed: 0 }

/** Committed and rejected ones stay what they are, so that sums of them can be kept; each branch has an index that holds little else. */
export async function takeCensus(db: Db): ReturnType<Ingests['census']> {
  const [row] = await db.execute<{ states: Record<string, number> | null; oldest_ms: number; outbox: number }>(sql`
    with ended as (
      select final.state, coalesce(count, 0) + (
        select count(*) from ingests
        where ingests.state = final.state and finished_at is not null and finished_at >= coalesce(upto, '-infinity')) as n
      from (values ('committed'), ('rejected')) as final (state) left join ingest_tallies on ingest_tallies.state = final.state
    ), counted as (
      select state, n from ended
      union all select state, count(*) from ingests where state in ('received', 'running') group by state
      union all select 'parked', count(*) from ingests where state = 'parked'
      union all select 'failed', count(*) from ingests where state = 'failed' and finished_at is not null
    )
    select
      (select json_object_agg(state, n) from counted) as states,
      (select coalesce(extract(epoch from clock_timestamp() - min(created_at)) * 1000, 0)::float8
        from ingests where state in ('received', 'running')) as oldest_ms,
      (select count(*) from outbox)::int as outbox`)
  const states = { ...NO_INGESTS }
  for (const state of INGEST_STATES) states[state] = row?.states?.[state] ?? 0
  return { states, oldestOpenMs: Math.max(0, row?.oldest_ms ?? 0), outbox: row?.outbox ?? 0 }
}

/** A transaction that is to end an ingest notes the time, and then commits within the deadline of its connection, far below this. */
const SETTLED_AFTER = sql`interval '1 minute'`

export async function tally(db: Db): Promise<void> {
  await db.execute(sql`
    insert into ingest_tallies (state, count, upto)
    select state, 0, '-infinity' from (values ('committed'), ('rejected')) as final (state)
    on conflict (state) do nothing`)
  await db.execute(sql`
    update ingest_tallies set upto = settled.upto, count = count + (
      select count(*) from ingests
      where ingests.state = ingest_tallies.state and finished_at is not null
        and finished_at >= ingest_tallies.upto and finished_at < settled.upto)
    from (select date_trunc('milliseconds', clock_timestamp() - ${SETTLED_AFTER}) as upto) as settled
    where ingest_tallies.upto < settled.upto`)
}

/** Tenants of whom it is told what waits. Whoever comes near a bound of its own is among them. */
const TENANTS_MAX = 1_000

/** One pass over an index that holds nothing else. The sum over all tenants is the row without one, and the first. */
export async function takeLoad(db: Db, failedMs: number): Promise<Load> {
  const rows = await db.execute<{ tenant_id: TenantId | null; waiting: number; staged_bytes: number }>(sql`
    select tenant_id,
      (count(*) filter (where state in ('received', 'running')))::float8 as waiting,
      coalesce(sum(bytes), 0)::float8 as staged_bytes
    from ingests
    where state not in ('committed', 'rejected')
      and (finished_at is null or finished_at > clock_timestamp() - ${failedMs}::float8 * interval '1 ms')
    group by grouping sets ((), (tenant_id))
    order by grouping(tenant_id) desc, waiting desc, staged_bytes desc
    limit ${TENANTS_MAX + 1}`)
  const amounts = rows.map((row) => ({ waiting: row.waiting, stagedBytes: row.staged_bytes }))
  const [all = { waiting: 0, stagedBytes: 0 }] = amounts
  const ofTenants = new Map<TenantId, Waiting>()
  for (const [index, { tenant_id: tenantId }] of rows.entries()) {
    const amount = amounts[index]
    if (tenantId !== null && amount) ofTenants.set(tenantId, amount)
  }
  return { ...all, ofTenants }
}
