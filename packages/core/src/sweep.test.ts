import { expect, test } from 'vitest'
import type { IngestId, TokenId } from './ids.ts'
import { DEFAULT_LIMITS } from './limits.ts'
import { forgetOld, sweepStaging } from './sweep.ts'
import { memoryWorld } from './testing/memory-world.ts'
import { aNewIngest, aStagedSource, newDigest, newId } from './testing/builders.ts'

const HOUR_MS = 3_600_000

test('what was kept for a time is forgotten when the time is over, and not before', async () => {
  await using world = memoryWorld()
  const { database, clock, limits } = world
  const tenantId = await database.newTenant()
  const id = newId() as TokenId
  const token = { id, tenantId, name: 'n', role: 'writer', sha256Hex: newDigest(), prefix: 'p', expiresAt: null } as const
  await database.tokens.create(token)
  await database.tokens.issue(id, [
    { sha256Hex: newDigest(), kind: 'access', ttlMs: HOUR_MS },
    { sha256Hex: newDigest(), kind: 'refresh', ttlMs: HOUR_MS },
  ])
  await database.idempotency.reserve(tenantId, 'key', newId() as IngestId, HOUR_MS, limits.idempotencyMsMax)
  expect(await forgetOld(world)).toBe(0)
  clock.advance(HOUR_MS)
  expect(await forgetOld(world)).toBe(2)
  clock.advance(limits.idempotencyMsMax)
  expect(await forgetOld(world)).toBe(1)
  expect(await forgetOld(world)).toBe(0)
})

test('what has just come stays, however far the clock of the worker is ahead', async () => {
  await using world = memoryWorld()
  const { objects, clock, limits } = world
  await objects.stage('a/1', chunks(), new AbortController().signal)
  const ahead = { ...world, now: () => new Date(clock.now().getTime() + 2 * limits.stagedMsMax) }
  expect(await sweepStaging(ahead)).toBe(0)
  clock.advance(limits.stagedMsMax + 1)
  expect(await sweepStaging(ahead)).toBe(1)
})

test('what is old and needed does not keep the sweeper from what is behind it', async () => {
  await using world = memoryWorld({ limits: { ...DEFAULT_LIMITS, sweepBatchMax: 2 } })
  const { database, objects, clock } = world
  const tenantId = await database.newTenant()
  const signal = new AbortController().signal
  const stage = async (key: string) => {
    await objects.stage(key, chunks(), signal)
    return key
  }
  for (const n of [1, 2, 3]) {
    const { id } = await database.ingests.accept(aNewIngest({ tenantId, source: aStagedSource({ key: await stage(`a/${n}`) }) }))
    await database.ingests.end(id, 'failed', { code: 'attempts_exhausted', detail: '' }, [])
  }
  const nobodys = await stage('b/1')
  clock.advance(world.limits.stagedMsMax + 1)
  const place = { after: null }
  expect([await sweepStaging(world, place), place.after]).toEqual([0, 'a/2'])
  expect([await sweepStaging(world, place), place.after]).toEqual([1, nobodys])
  expect([await sweepStaging(world, place), place.after]).toEqual([0, null])
  // Nobody replays them any more.
  clock.advance(world.limits.failedBytesMsMax)
  expect(await sweepStaging(world, place)).toBe(2)
  expect(await sweepStaging(world, place)).toBe(1)
  expect(await objects.listStaged(clock.now(), 10)).toEqual([])
})

async function* chunks() {
  yield new Uint8Array(1)
}
