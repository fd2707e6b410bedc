import { type IngestId, LANES, type Lane, type Outbox, TURNS_SAVED_MAX } from '@sluice/core'
import { type SQL, sql } from './drizzle.ts'
import type { Db } from './connection.ts'
import { arrayLiteral } from './rows.ts'
import type { Runner } from './transaction.ts'

export function openOutbox({ query, transaction }: Runner): Outbox {
  return {
    async claim(room, leaseMs) {
      const lanes = LANES.filter((lane) => room[lane] > 0)
      if (lanes.length === 0 || (await query(isIdle))) return []
      return transaction(async (db) => {
        // The turns are one sequence for all who claim. What is read after this is what the last of them has left.
        await db.execute(sql`select pg_advisory_xact_lock(hashtextextended('outbox', 0))`)
        const claimed = []
        for (const lane of lanes) claimed.push(...(await claimLane(db, lane, room[lane], leaseMs)))
        return claimed
      })
    },
    async remove(ids) {
      await query((db) => db.execute(sql`delete from outbox where id = any(${arrayLiteral(ids)}::bigint[])`))
    },
  }
}

/** What an idle worker asks each second, so without a lock. */
async function isIdle(db: Db): Promise<boolean> {
  // In the order of an index: a sequential scan would begin with the dead rows of all that was served before.
  const rows = await db.execute(sql`select from outbox order by lane, tenant_id limit 1`)
  return rows.length === 0
}

interface Row extends Record<string, unknown> {
  readonly id: string
  readonly ingest_id: string
  readonly epoch: number
  readonly again: boolean
}

async function claimLane(db: Db, lane: Lane, limit: number, leaseMs: number) {
  const rows = await db.execute<Row>(sql`
    with recursive ${chosenRows(lane, limit)}, counted as (
      insert into outbox_turns as turn (lane, tenant_id, started, ended)
      select ${lane}::text, tenant_id, max(start), max(start + 1.0 / weight) from chosen group by tenant_id
      on conflict (lane, tenant_id) do update set started = excluded.started, ended = excluded.ended
    ), claimed as (
      update outbox set claimed_until = clock_timestamp() + ${leaseMs}::float8 * interval '1 ms'
      from chosen where outbox.id = chosen.id
      returning outbox.id, ingest_id, epoch, again, start, outbox.tenant_id, since
    )
    select id, ingest_id, epoch, again from claimed order by start, tenant_id, since, id`)
  return rows.map(({ id, ingest_id, epoch, again }) => ({ id, job: { ingestId: ingest_id as IngestId, epoch }, lane, again }))
}

/**
 * Start-time fair queueing (Goyal, Vin and Cheng, 1996): each row has a virtual time at which it starts, one `1 / weight` after the
 * one before it of the same tenant, and those that start first go first. A tenant that comes back starts a few turns before now, by
 * the clock of whoever was served last, however long it was away: over time nobody has more than its share and these.
 *
 * Each tenant costs two looks into the index `outbox_lines`, and each row of the answer one, however many rows wait: of 100,000 rows
 * none but these is read. More tenants than there is room cannot get a row, since each of the first ones has one that starts earlier.
 */
function chosenRows(lane: Lane, limit: number): SQL {
  const isFree = sql`(claimed_until is null or claimed_until < clock_timestamp())`
  return sql`tenant (id) as (
      (select tenant_id from outbox where lane = ${lane} order by tenant_id limit 1)
      union all
      select (select tenant_id from outbox where lane = ${lane} and tenant_id > tenant.id order by tenant_id limit 1)
      from tenant where tenant.id is not null
    ), clock as (
      select greatest(max(started), 0) as now from outbox_turns where lane = ${lane}
    ), asking as (
      select tenant.id, greatest(turn.ended, clock.now - ${TURNS_SAVED_MAX}) as start, coalesce(tenants.weight, 1)::float8 as weight
      from tenant cross join clock
      left join outbox_turns as turn on turn.lane = ${lane} and turn.tenant_id = tenant.id
      left join tenants on tenants.id = tenant.id
      where tenant.id is not null
        and exists (select from outbox where lane = ${lane} and tenant_id = tenant.id and ${isFree})
      order by start, tenant.id limit ${limit}
    ), chosen as materialized (
      select line.id, asking.id as tenant_id, weight, asking.start + (line.place - 1) / weight as start
      from asking cross join lateral (
        select id, row_number() over (order by since, id) as place
        from outbox where lane = ${lane} and tenant_id = asking.id and ${isFree}
        order by since, id limit ${limit}
      ) as line
      order by start, tenant_id, line.place limit ${limit}
    )`
}
