import { failpoint } from './failpoint.ts'
import type { World } from './ports.ts'

/**
 * Ingests that nobody has touched for longer than any run may take are queued again: whatever the queue has lost is rebuilt from
 * the database. What it has not lost keeps its job, which is not added twice. Returns how many.
 */
export async function reconcile({ database, limits, observer }: World): Promise<number> {
  const ingestIds = await database.ingests.requeueIdle(limits.reconcileAfterMs, limits.reconcileBatchMax)
  if (ingestIds.length > 0) failpoint('rec-after-bump')
  if (ingestIds.length > 0) observer.observe({ kind: 'ingest.requeued', ingestIds })
  return ingestIds.length
}
