import { type Examinations, FINDING_KINDS, type FindingKind, type Tally } from '@sluice/core'
import { sql } from './drizzle.ts'
import { ingestOf, only, rowOf } from './rows.ts'
import { ingests } from './schema.ts'
import type { Runner } from './transaction.ts'

export function openExaminations({ query }: Runner): Examinations {
  return {
    async waiters(idleMs, limit) {
      const before = (ms: number) => sql`clock_timestamp() - ${ms}::float8 * interval '1 ms'`
      const isStuck = sql`state in ('received', 'running') and updated_at < ${before(idleMs.ingest)}
        and not exists (select from outbox where outbox.ingest_id = ingests.id)`
      const counted = await query((db) =>
        db.execute<Record<'stuck' | 'overdue' | 'outbox' | 'oldest_ms' | 'unfinished', number>>(sql`
          select
            (select count(*) from ingests where ${isStuck})::float8 as stuck,
            (select count(*) from ingests where state = 'parked' and parked_until < ${before(idleMs.parked)})::float8 as overdue,
            (select count(*) from outbox)::float8 as outbox,
            (select coalesce(extract(epoch from clock_timestamp() - min(since)) * 1000, 0) from outbox)::float8 as oldest_ms,
            (select count(*) from blob_removals where begun_at < ${before(idleMs.removal)})::float8 as unfinished`),
      )
      const examples = await query((db) =>
        db.execute(sql`select * from ingests where ${isStuck} order by updated_at limit ${limit}`),
      )
      const { stuck, overdue, outbox, oldest_ms: outboxOldestMs, unfinished } = only(counted)
      return {
        stuck,
        overdue,
        outbox,
        outboxOldestMs: Math.max(0, outboxOldestMs),
        unfinished,
        examples: examples.map((row) => ingestOf(rowOf(ingests, row))),
      }
    },
    async record(found, mended) {
      const rows = JSON.stringify(FINDING_KINDS.map((kind) => ({ kind, found: found[kind], mended: mended[kind] })))
      await query((db) =>
        db.execute(sql`
          insert into examinations as known (kind, found, mended, examined_at)
          select kind, found, mended, statement_timestamp()
          from json_to_recordset(${rows}::json) as given (kind text, found integer, mended bigint) order by kind
          on conflict (kind) do update
          set found = excluded.found, mended = known.mended + excluded.mended, examined_at = excluded.examined_at`),
      )
    },
    async last() {
      const rows = await query((db) =>
        db.execute<{ kind: FindingKind; found: number; mended: number; at: string | Date }>(sql`
          select kind, found, mended::float8 as mended, examined_at as at from examinations order by examined_at`),
      )
      const newest = rows.at(-1)
      if (!newest) return null
      const tallyOf = (column: 'found' | 'mended') =>
        Object.fromEntries(
          FINDING_KINDS.map((kind) => [kind, rows.find((row) => row.kind === kind)?.[column] ?? 0]),
        ) as unknown as Tally
      return { at: new Date(newest.at), found: tallyOf('found'), mended: tallyOf('mended') }
    },
  }
}
