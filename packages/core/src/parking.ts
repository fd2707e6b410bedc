import type { World } from './ports.ts'

/**
 * The second net under parked ingests: the maker of a product lets those go on that wait for it, save where they are more than one
 * transaction should hold. Those that have waited too long end here. Returns the most that it did of either.
 */
export async function settleParked({
  database,
  limits,
  observer,
}: Pick<World, 'database' | 'limits' | 'observer'>): Promise<number> {
  const { unparked, expired } = await database.ingests.settleParked(limits.sweepBatchMax)
  if (unparked.length > 0) observer.observe({ kind: 'ingest.unparked', ingestIds: unparked })
  if (expired.length > 0) observer.observe({ kind: 'ingest.expired', ingestIds: expired })
  return Math.max(unparked.length, expired.length)
}
