import type { World } from './ports.ts'

/** Removes staged bytes that no ingest needs: uploads that were cut off, and what a crash left behind. Returns how many. */
export async function sweepStaging({ database, objects, limits, observer, now }: World): Promise<number> {
  const before = new Date(now().getTime() - limits.stagedMsMax)
  const old = await objects.listStaged(before, limits.sweepBatchMax)
  if (old.length === 0) return 0
  const needed = await database.ingests.stagedInUse(old, limits.failedBytesMsMax)
  const unneeded = old.filter((key) => !needed.has(key))
  for (const key of unneeded) await objects.unstage(key)
  if (unneeded.length > 0) observer.observe({ kind: 'staging.swept', count: unneeded.length })
  return unneeded.length
}

/** Removes what was kept for a time that is over: idempotency keys, issued keys, nonces, events. Returns the most that it removed of one kind. */
export async function forgetOld({ database, limits }: World): Promise<number> {
  const keys = await database.idempotency.forget(limits.idempotencyMsMax, limits.sweepBatchMax)
  const issued = await database.tokens.forgetExpired(limits.sweepBatchMax)
  const urls = await database.urlSources.forget(limits.urlSourcesKeptMs, limits.sweepBatchMax)
  const events = await database.hooks.forget(limits.hookEventsKeptMs, limits.sweepBatchMax)
  await database.nonces.forget()
  await database.ingests.tally()
  return Math.max(keys, issued, urls, events)
}
