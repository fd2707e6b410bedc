import type { Observed, TenantId } from '@sluice/core'
import { aNewIngest, manualClock, memoryDatabase, memoryObjects, memoryQueue, scriptedDecoder } from '@sluice/core/testing'
import { openFetcher } from '@sluice/fetch'
import { expect, it, vi } from 'vitest'
import { readConfig } from './config.ts'
import { createObserver } from './observer.ts'
import { openWorker } from './worker.ts'

/** How many of so many idle ingests a worker has queued again when it is stopped, which is after the first `least` of them. */
async function requeuedOf(ingests: number, { waiting, least }: { waiting: number; least: number }): Promise<number> {
  const clock = manualClock()
  await using database = memoryDatabase(clock)
  const tenantId = (await database.tenants.findByName('default')) as TenantId
  const jobs = []
  for (let n = 0; n < ingests; n += 1) {
    const { id } = await database.ingests.accept(aNewIngest({ tenantId }))
    jobs.push({ ingestId: id, epoch: 0 })
  }
  await database.outbox.remove((await database.outbox.claim(ingests, 1)).map(({ id }) => id))
  await using queue = memoryQueue()
  await queue.add(jobs.slice(0, waiting))

  const config = readConfig({ SLUICE_LIMIT_RECONCILE_BATCH_MAX: '3', SLUICE_LIMIT_UPKEEP_EVERY_MS: '3600000' })
  clock.advance(config.limits.reconcileAfterMs + 1)
  const observed: Observed[] = []
  const requeued = () => observed.flatMap((event) => (event.kind === 'ingest.requeued' ? event.ingestIds : [])).length
  const observability = {
    ...createObserver({ level: 'silent' }),
    observer: { observe: (event: Observed) => void observed.push(event) },
  }
  await using objects = memoryObjects(clock.now)
  await using fetcher = openFetcher({ limits: config.limits })
  const parts = { config, observability, databaseUrl: '', database, objects, decoder: scriptedDecoder(), fetcher }
  const worker = await openWorker(parts, { ...queue, consume: () => ({ stop: async () => undefined }) })
  await vi.waitFor(() => expect(requeued()).toBeGreaterThanOrEqual(least))
  await worker[Symbol.asyncDispose]()
  return requeued()
}

it('queues all idle ingests again at once when the queue has lost them', async () => {
  expect(await requeuedOf(20, { waiting: 0, least: 20 })).toBe(20)
})

it('does not take a long line for a loss: those who wait in it are not all sent to its end', async () => {
  expect(await requeuedOf(60, { waiting: 60, least: 1 })).toBe(3)
})
