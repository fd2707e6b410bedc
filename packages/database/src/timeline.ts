import type { TimelineEntry } from '@sluice/core'
import { type SQL, sql } from './drizzle.ts'
import { withoutNul } from './rows.ts'

type Outcome = TimelineEntry['outcome']

/**
 * A part of a statement that notes entries for the ingests of one of its CTEs: first those of a run, then the database's
 * own, by its own clock.
 */
export function note(
  ingestsCte: string,
  run: readonly TimelineEntry[],
  ...own: readonly ({ step: string; outcome: Outcome } | null)[]
): SQL {
  const entries = run.map((entry) => ({ ...entry, detail: entry.detail === null ? null : withoutNul(entry.detail) }))
  const json = JSON.stringify([...entries, ...own.filter((entry) => entry !== null)])
  return sql`
    insert into ingest_timeline (ingest_id, at, step, attempt, outcome, duration_ms, detail)
    select ingest.id, coalesce(entry.at, clock_timestamp()), step, coalesce(attempt, attempts), outcome, round("durationMs"), detail
    from ${sql.raw(ingestsCte)} as ingest, json_to_recordset(${json}::json) as entry (
      at timestamptz, step text, attempt int, outcome text, "durationMs" float8, detail text)`
}
