import { failpoint } from './failpoint.ts'
import type { World } from './ports.ts'

/** How far a sweeper has come in its walk through what is staged. */
export interface SweepPlace {
  after: string | null
}

/**
 * Removes staged bytes that nothing needs: uploads that were cut off, and what a crash left behind. Returns how many. Each call
 * looks at the keys that follow those of the last, and begins again after the end: what is old and needed, as the bytes of parked
 * and failed ingests, does not stand before the rest for ever.
 */
export async function sweepStaging(
  { database, objects, limits, observer }: World,
  place: SweepPlace = { after: null },
): Promise<number> {
  // By the database's clock: a worker whose own was eleven minutes ahead removed bytes that had just come, and were promised.
  const before = new Date((await database.blobs.now()).getTime() - limits.stagedMsMax)
  const old = await objects.listStaged(before, limits.sweepBatchMax, place.after)
  place.after = old.length === limits.sweepBatchMax ? (old.at(-1) ?? null) : null
  if (old.length === 0) return 0
  const unneeded = await unneededOf({ database, limits }, old)
  if (unneeded.length > 0) failpoint('gc-marked')
  for (const key of unneeded) {
    await objects.unstage(key)
    failpoint('gc-object-deleted')
  }
  if (unneeded.length > 0) observer.observe({ kind: 'staging.swept', count: unneeded.length })
  return unneeded.length
}

/** Of staged keys that are old those that nothing needs. */
export async function unneededOf({ database, limits }: Pick<World, 'database' | 'limits'>, old: readonly string[]) {
  const needed = await database.ingests.stagedInUse(old, limits.failedBytesMsMax)
  const ofRows = await database.imports.stagedInUse(old)
  return old.filter((key) => !needed.has(key) && !ofRows.has(key))
}

/** Removes what was kept for a time that is over: idempotency keys, issued keys, nonces, events, uploads, removals. Returns the most that it removed of one kind. */
export async function forgetOld({ database, limits }: World): Promise<number> {
  const keys = await database.idempotency.forget(limits.idempotencyMsMax, limits.sweepBatchMax)
  const issued = await database.tokens.forgetExpired(limits.sweepBatchMax)
  const urls = await database.urlSources.forget(limits.urlSourcesKeptMs, limits.sweepBatchMax)
  const events = await database.hooks.forget(limits.hookEventsKeptMs, limits.sweepBatchMax)
  const uploads = await database.uploads.forget(limits.uploadsKeptMs, limits.sweepBatchMax)
  const imports = await database.imports.forgetIdle(limits.importIdleMsMax, limits.importKeptMs, limits.sweepBatchMax)
  const deliveries = await database.webhooks.forget(limits.webhookDeliveriesKeptMs, limits.sweepBatchMax)
  const removals = await database.blobs.forgetRemovals(limits.removalsKeptMs, limits.sweepBatchMax)
  await database.nonces.forget()
  await database.ingests.tally()
  return Math.max(keys, issued, urls, events, uploads, imports, deliveries, removals)
}
