import type { World } from './ports.ts'

/**
 * One turn of the relay: rows of the outbox become jobs. Rows are leased, not locked, so that the queue is never called
 * inside a transaction; a relay that dies between adding and removing leaves rows that are added again under the same job
 * ids. Returns how many rows it took; a full batch means that more are waiting.
 */
export async function relayOutbox({ database, queue, limits, observer }: World): Promise<number> {
  const entries = await database.outbox.claim(limits.relayBatchMax, limits.relayLeaseMs)
  if (entries.length === 0) return 0
  await queue.add(entries.map((entry) => entry.job))
  await database.outbox.remove(entries.map((entry) => entry.id))
  observer.observe({ kind: 'outbox.relayed', count: entries.length })
  return entries.length
}
