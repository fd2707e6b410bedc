import { failpoint } from './failpoint.ts'
import { LANES, type Lane } from './ingest.ts'
import type { Limits } from './limits.ts'
import type { OutboxEntry, QueueWaiting, World } from './ports.ts'

/**
 * One turn of the relay: rows of the outbox become jobs, as long as few wait in the queue, so that what goes next is decided in the
 * database, fairly, and as late as possible. Rows are leased, not locked, so that the queue is never called inside a transaction; a
 * relay that dies between adding and removing leaves rows that are added again under the same job ids. Several relays may each see
 * the same room and overfill it by a batch. Returns how many rows it took; a full batch means that more are waiting.
 */
export async function relayOutbox(
  { database, queue, limits, observer }: World,
  depthMax: number = limits.queueDepthMax,
): Promise<number> {
  const entries = await database.outbox.claim(roomIn(await queue.waiting(), limits, depthMax), limits.relayLeaseMs)
  if (entries.length === 0) return 0
  failpoint('relay-claimed')
  for (const lane of LANES) await relayLane(queue, lane, entries)
  failpoint('relay-after-add')
  await database.outbox.remove(entries.map((entry) => entry.id))
  failpoint('relay-removed')
  observer.observe({ kind: 'outbox.relayed', count: entries.length })
  return entries.length
}

async function relayLane(queue: World['queue'], lane: Lane, entries: readonly OutboxEntry[]): Promise<void> {
  const jobs = (again: boolean) => entries.filter((entry) => entry.lane === lane && entry.again === again).map(({ job }) => job)
  if (jobs(true).length > 0) await queue.add(jobs(true), { lane, again: true })
  if (jobs(false).length > 0) await queue.add(jobs(false), { lane })
}

/** What is interactive finds room however much of the rest waits in the queue: it goes before that there, too. */
function roomIn(waiting: QueueWaiting, { queueDelayedMax, relayBatchMax }: Limits, depthMax: number): Record<Lane, number> {
  const room = (delayedMax: number, depth: number) =>
    Math.max(0, Math.min(relayBatchMax, delayedMax - waiting.delayed, depthMax - depth))
  return {
    interactive: room(5 * queueDelayedMax, waiting.interactive),
    import: room(queueDelayedMax, waiting.interactive + waiting.import),
  }
}
