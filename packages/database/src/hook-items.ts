/** Which ingest an item of events has become. */
import type { HookSourceId, IngestId } from '@sluice/core'
import type { Db } from './connection.ts'
import { and, eq, sql } from './drizzle.ts'
import { only } from './rows.ts'
import { hookItems } from './schema.ts'
import type { Runner } from './transaction.ts'

export async function holdItem(
  { query, transaction }: Runner,
  sourceId: HookSourceId,
  key: string,
  candidate: IngestId,
): Promise<IngestId> {
  const isOver = sql<boolean>`exists (select from ingests where id = ${hookItems.ingestId} and state in ('rejected', 'failed'))`
  const rows = await query((db) =>
    db
      .insert(hookItems)
      .values({ sourceId, key, ingestId: candidate })
      .onConflictDoUpdate({ target: [hookItems.sourceId, hookItems.key], set: { ingestId: sql`${hookItems.ingestId}` } })
      .returning({ id: hookItems.ingestId, isOver }),
  )
  const { id, isOver: mayBeTaken } = only(rows)
  return (mayBeTaken ? await transaction((db) => takePlace(db, sourceId, key, id, candidate)) : id) as IngestId
}

/** What has failed is not replayed beside what took its place: the item would come twice. If it was replayed before, it keeps its place. */
async function takePlace(db: Db, sourceId: string, key: string, over: string, candidate: string): Promise<string> {
  const isItem = and(eq(hookItems.sourceId, sourceId), eq(hookItems.key, key))
  const [held] = await db.select({ id: hookItems.ingestId }).from(hookItems).where(isItem).for('update')
  if (held?.id !== over) return held?.id ?? candidate
  // As text, since JSON that holds `\u0000` somewhere cannot be taken apart.
  const taken = await db.execute(sql`
    update ingests set problem_details = case when state = 'rejected' then problem_details else (
      '{"superseded_by":"' || ${candidate}::uuid || '"' ||
        case when coalesce(problem_details::text, '{}') = '{}' then '}' else ',' || substr(problem_details::text, 2) end
    )::json end
    where id = ${over} and state in ('rejected', 'failed') returning 1`)
  if (taken.length === 0) return over
  await db.update(hookItems).set({ ingestId: candidate }).where(isItem)
  return candidate
}
