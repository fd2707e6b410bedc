import { expect, test } from 'vitest'
import { POSTPONED_BECAUSE, type Ingest } from './ingest.ts'
import { DEFAULT_LIMITS } from './limits.ts'
import { aNewIngest, aPlacement } from './testing/builders.ts'
import { memoryDatabase } from './testing/memory-database.ts'
import { whyWaiting } from './why-waiting.ts'

const NOW = new Date('2026-01-01T12:00:00Z')
const database = memoryDatabase({ now: () => NOW })
const tenantId = await database.newTenant()
const received = await database.ingests.accept(
  aNewIngest({ tenantId, source: { kind: 'url', url: 'https://user:secret@shop.example/a.jpg?key=secret', fileName: null } }),
)
const why = (change: Partial<Ingest>, afterMs = 0) =>
  whyWaiting({ ...received, ...change }, new Date(NOW.getTime() + afterMs), DEFAULT_LIMITS)
const until = new Date(NOW.getTime() + 5_000)

test('what is over waits for nothing', () => {
  for (const state of ['committed', 'rejected', 'failed'] as const) expect(why({ state })).toBeNull()
})

test('whatever is not over has a reason', () => {
  const parking = { sku: 'chair', until, placement: aPlacement() }
  expect(why({})).toMatchObject({ reason: 'queue', until: null })
  expect(why({ attempts: 2 })).toMatchObject({ reason: 'queue' })
  expect(why({ state: 'parked', parking })).toEqual({ reason: 'product', detail: expect.stringContaining('"chair"'), until })
  expect(why({ state: 'running' })).toMatchObject({ reason: 'running' })
  for (const because of POSTPONED_BECAUSE)
    expect(why({ postponed: { because, until } })).toMatchObject({ reason: because, until })
})

test('a run that takes longer than runs may is interrupted, until it is queued again', () => {
  const requeuedAt = new Date(NOW.getTime() + DEFAULT_LIMITS.reconcileAfterMs)
  expect(why({ state: 'running' }, DEFAULT_LIMITS.ingestMsMax)).toMatchObject({ reason: 'running' })
  expect(why({ state: 'running' }, DEFAULT_LIMITS.ingestMsMax + 1)).toMatchObject({ reason: 'interrupted', until: requeuedAt })
  const postponed = { because: 'outage', until } as const
  expect(why({ postponed }, DEFAULT_LIMITS.reconcileAfterMs + 1)).toMatchObject({ reason: 'queue' })
})

test('the last error is told, and of an address its host only', () => {
  const problem = { code: 'service_unavailable', detail: 'The object store is not available' } as const
  expect(why({ postponed: { because: 'outage', until }, problem })?.detail).toContain('The object store is not available')
  const turn = why({ postponed: { because: 'turn', until } })
  expect(turn?.detail).toContain('shop.example')
  expect(turn?.detail).not.toContain('secret')
})
