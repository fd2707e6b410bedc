import type { Observed, TenantId } from '@sluice/core'
import { aNewIngest, manualClock, memoryDatabase, memoryObjects, memoryQueue, scriptedDecoder } from '@sluice/core/testing'
import { openFetcher } from '@sluice/fetch'
import { expect, it, vi } from 'vitest'
import { readConfig } from './config.ts'
import { createObserver } from './observer.ts'
import { openWorker } from './worker.ts'

/** A worker that takes no job, among so many idle ingests of which the queue holds the first, when all have been found idle. */
async function seenAsIdle(ingests: number, waiting: number) {
  const clock = manualClock()
  await using database = memoryDatabase(clock)
  const tenantId = (await database.tenants.findByName('default')) as TenantId
  const jobs = []
  for (let n = 0; n < ingests; n += 1) {
    const { id } = await database.ingests.accept(aNewIngest({ tenantId }))
    jobs.push({ ingestId: id, epoch: 0 })
  }
  await database.outbox.remove((await database.outbox.claim({ interactive: ingests, import: ingests }, 1)).map(({ id }) => id))
  await using queue = memoryQueue()
  await queue.add(jobs.slice(0, waiting))

  const config = readConfig({
    SLUICE_WORKER_CONCURRENCY: '20',
    SLUICE_LIMIT_RECONCILE_BATCH_MAX: '3',
    SLUICE_LIMIT_UPKEEP_EVERY_MS: '3600000',
  })
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
  const worker = await openWorker(parts, { ...queue, consume: () => ({ stop: async () => undefined }) }, 'a-secret-key-for-tests')
  await vi.waitFor(() => expect(requeued()).toBe(ingests))
  const depth = config.limits.queueDepthMax
  await vi.waitFor(async () => expect((await queue.counts()).waiting).toBe(Math.max(waiting, Math.min(depth, ingests))))
  await worker[Symbol.asyncDispose]()
  const { outbox } = await database.ingests.census()
  return { inQueue: (await queue.counts()).waiting, inOutbox: outbox }
}

it('queues all idle ingests again at once when the queue has lost them', async () => {
  expect(await seenAsIdle(20, 0)).toEqual({ inQueue: 20, inOutbox: 0 })
})

it('does not double what waits in the queue when it takes that for lost', async () => {
  expect(await seenAsIdle(25, 25)).toMatchObject({ inQueue: 25 })
})

it('leaves to the outbox what the queue has no room for', async () => {
  expect(await seenAsIdle(60, 0)).toEqual({ inQueue: 32, inOutbox: 28 })
})
