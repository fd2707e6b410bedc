import type { IngestId, Outbox } from '@sluice/core'
import { sql } from './drizzle.ts'
import { arrayLiteral } from './rows.ts'
import type { Runner } from './transaction.ts'

export function openOutbox({ query }: Runner): Outbox {
  return {
    async claim(limit, leaseMs) {
      const rows = await query((db) =>
        db.execute<{ id: string; ingest_id: string; epoch: number }>(sql`
          with free as materialized (
            select id from outbox
            where claimed_until is null or claimed_until < clock_timestamp()
            order by id limit ${limit} for update skip locked
          ), claimed as (
            update outbox set claimed_until = clock_timestamp() + ${leaseMs}::float8 * interval '1 ms'
            from free where outbox.id = free.id
            returning outbox.id, ingest_id, epoch
          )
          select * from claimed order by id`),
      )
      return rows.map((row) => ({ id: row.id, job: { ingestId: row.ingest_id as IngestId, epoch: row.epoch } }))
    },
    async remove(ids) {
      await query((db) => db.execute(sql`delete from outbox where id = any(${arrayLiteral(ids)}::bigint[])`))
    },
  }
}
