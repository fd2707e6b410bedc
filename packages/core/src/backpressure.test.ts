import { expect, test } from 'vitest'
import { openBackpressure, withBackpressure } from './backpressure.ts'
import { DEFAULT_LIMITS } from './limits.ts'
import { aNewIngest, aStagedSource, newId } from './testing/builders.ts'
import { memoryWorld } from './testing/memory-world.ts'
import type { FileId, TenantId } from './ids.ts'
import type { Lane } from './ingest.ts'
import type { Waiting } from './ports.ts'

const BUSY = { code: 'service_busy', status: 503 }
const signal = new AbortController().signal

async function* someBytes() {
  yield new Uint8Array(10)
}

test.each([
  ['ingests', { ingestsWaitingMax: 4 }],
  ['bytes', { stagedBytesMax: 4_000 }],
])('takes uploads up to a bound of %s, and again when there is room', async (_, bound) => {
  await using world = memoryWorld({ limits: { ...DEFAULT_LIMITS, ...bound } })
  const { database, objects } = withBackpressure(world)
  const tenantId = await world.database.newTenant()
  const accepted = []
  for (let n = 1; n <= 4; n += 1) {
    await objects.stage(`${tenantId}/${n}`, someBytes(), signal)
    accepted.push(await database.ingests.accept(aNewIngest({ tenantId, source: aStagedSource({ bytes: 1_000 }) })))
    world.clock.advance(world.limits.loadMsMax)
  }
  await expect(objects.stage(`${tenantId}/5`, someBytes(), signal)).rejects.toMatchObject(BUSY)
  const byFile = aNewIngest({ tenantId, source: { kind: 'file', fileId: newId() as FileId } })
  await expect(database.ingests.accept(byFile)).rejects.toMatchObject(BUSY)
  // What was staged before the bound was reached is promised.
  expect(await database.ingests.accept(aNewIngest({ tenantId }))).toMatchObject({ state: 'received' })

  const problem = { code: 'image_corrupt', detail: '' } as const
  for (const { id } of accepted) await database.ingests.end(id, 'rejected', problem, [])
  await expect(objects.stage(`${tenantId}/5`, someBytes(), signal)).rejects.toMatchObject(BUSY)
  world.clock.advance(world.limits.loadMsMax)
  await objects.stage(`${tenantId}/5`, someBytes(), signal)
})

test('imports leave half of the room to others', async () => {
  await using world = memoryWorld({ limits: { ...DEFAULT_LIMITS, ingestsWaitingMax: 4 } })
  const backpressure = openBackpressure(world)
  const tenantId = await world.database.newTenant()
  await world.database.ingests.accept(aNewIngest({ tenantId }))
  await backpressure.admit(tenantId, 'import')
  await world.database.ingests.accept(aNewIngest({ tenantId }))
  world.clock.advance(world.limits.loadMsMax)
  await expect(backpressure.admit(tenantId, 'import')).rejects.toMatchObject(BUSY)
  await backpressure.admit(tenantId, 'interactive')
})

test('a burst between two measures ends at the bound', async () => {
  await using world = memoryWorld({ limits: { ...DEFAULT_LIMITS, ingestsWaitingMax: 5 } })
  const { objects } = withBackpressure(world)
  const tenantId = await world.database.newTenant()
  const burst = Array.from({ length: 50 }, (_, n) => objects.stage(`${tenantId}/${n}`, someBytes(), signal))
  const outcomes = await Promise.allSettled(burst)
  expect(outcomes.filter(({ status }) => status === 'fulfilled')).toHaveLength(5)
  const reasons = outcomes.flatMap((outcome) => (outcome.status === 'rejected' ? [outcome.reason] : []))
  expect(reasons).toEqual(reasons.map(() => expect.objectContaining(BUSY)))
})

test.each([
  ['ingests', { tenantIngestsWaitingMax: 2 }],
  ['bytes', { tenantStagedBytesMax: 2_000 }],
])('one tenant has a bound of %s of its own, and the others go on', async (_, bound) => {
  await using world = memoryWorld({ limits: { ...DEFAULT_LIMITS, ...bound } })
  const { objects } = withBackpressure(world)
  const [greedy, modest] = [await world.database.newTenant(), await world.database.newTenant()]
  for (let n = 0; n < 2; n += 1) {
    await world.database.ingests.accept(aNewIngest({ tenantId: greedy, source: aStagedSource({ bytes: 1_000 }) }))
  }
  await expect(objects.stage(`${greedy}/1`, someBytes(), signal)).rejects.toMatchObject({ code: 'tenant_busy', status: 429 })
  await objects.stage(`${modest}/1`, someBytes(), signal)
})

test('so many uploads are under way at once, so many of one tenant, and those that end make room, however they end', async () => {
  await using world = memoryWorld({ limits: { ...DEFAULT_LIMITS, uploadsAtOnceMax: 3, tenantUploadsAtOnceMax: 2 } })
  const { objects } = withBackpressure(world)
  const [one, other] = [await world.database.newTenant(), await world.database.newTenant()]
  const arrive = Promise.withResolvers<void>()
  async function* slowBytes() {
    yield new Uint8Array(10)
    await arrive.promise
  }
  let keys = 0
  const stage = (tenantId: string, bytes: AsyncIterable<Uint8Array>) => objects.stage(`${tenantId}/${++keys}`, bytes, signal)
  const slow = [stage(one, slowBytes()), stage(one, slowBytes()), stage(other, slowBytes())]
  await expect(stage(one, someBytes())).rejects.toMatchObject({ code: 'tenant_busy' })
  await expect(stage(other, someBytes())).rejects.toMatchObject(BUSY)
  arrive.reject(new Error('cut'))
  await Promise.allSettled(slow)
  await stage(one, someBytes())
  await stage(other, someBytes())
})

test('events of a source wait up to a bound, and those of others do not count', async () => {
  await using world = memoryWorld({ limits: { ...DEFAULT_LIMITS, hookEventsWaitingMax: 2 } })
  const asked: string[] = []
  const hooks = {
    ...world.database.hooks,
    receive: async () => true,
    countWaiting: async (sourceId: string) => (asked.push(sourceId), sourceId === 'full' ? 2 : 1),
  }
  const { database } = withBackpressure({ ...world, database: { ...world.database, hooks } })
  const receive = (sourceId: string) => database.hooks.receive({ sourceId } as never)
  await expect(receive('full')).rejects.toMatchObject({ code: 'tenant_busy' })
  expect(await receive('half')).toBe(true)
  await expect(receive('half')).rejects.toMatchObject({ code: 'tenant_busy' })
  world.clock.advance(world.limits.loadMsMax)
  expect(await receive('half')).toBe(true)
  expect(asked).toEqual(['full', 'half', 'half'])
})

test('measures once for all who ask at the same time, and again after a failure', async () => {
  await using world = memoryWorld()
  const tenantId = await world.database.newTenant()
  let measured = 0
  const load = async () => {
    if (++measured === 2) throw new Error('away')
    return { waiting: 0, stagedBytes: 0, ofTenants: new Map() }
  }
  const backpressure = openBackpressure({
    ...world,
    database: { ...world.database, ingests: { ...world.database.ingests, load } },
  })
  const admit = (lane: Lane) => backpressure.admit(tenantId, lane)
  await Promise.all([admit('interactive'), admit('import'), admit('interactive')])
  expect(measured).toBe(1)
  world.clock.advance(world.limits.loadMsMax)
  await expect(admit('interactive')).rejects.toThrow('away')
  await admit('interactive')
  expect(measured).toBe(3)
})

test('does not ask again while an answer is outstanding, however long it takes', async () => {
  await using world = memoryWorld()
  const tenantId = await world.database.newTenant()
  const answer = Promise.withResolvers<{ waiting: number; stagedBytes: number; ofTenants: ReadonlyMap<TenantId, Waiting> }>()
  let measured = 0
  const load = () => (measured++, answer.promise)
  const ingests = { ...world.database.ingests, load }
  const backpressure = openBackpressure({ ...world, database: { ...world.database, ingests } })
  const first = backpressure.admit(tenantId, 'interactive')
  world.clock.advance(10 * world.limits.loadMsMax)
  const second = backpressure.admit(tenantId, 'interactive')
  answer.resolve({ waiting: 0, stagedBytes: 0, ofTenants: new Map() })
  await Promise.all([first, second])
  expect(measured).toBe(1)
})
