import { expect, test } from 'vitest'
import { openBackpressure, withBackpressure } from './backpressure.ts'
import { DEFAULT_LIMITS } from './limits.ts'
import { aNewIngest, aStagedSource, newId } from './testing/builders.ts'
import { memoryWorld } from './testing/memory-world.ts'
import type { FileId } from './ids.ts'

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
  await backpressure.admit('import')
  await world.database.ingests.accept(aNewIngest({ tenantId }))
  world.clock.advance(world.limits.loadMsMax)
  await expect(backpressure.admit('import')).rejects.toMatchObject(BUSY)
  await backpressure.admit('interactive')
})

test('measures once for all who ask at the same time, and again after a failure', async () => {
  await using world = memoryWorld()
  let measured = 0
  const load = async () => {
    if (++measured === 2) throw new Error('away')
    return { waiting: 0, stagedBytes: 0 }
  }
  const backpressure = openBackpressure({
    ...world,
    database: { ...world.database, ingests: { ...world.database.ingests, load } },
  })
  await Promise.all([backpressure.admit('interactive'), backpressure.admit('import'), backpressure.admit('interactive')])
  expect(measured).toBe(1)
  world.clock.advance(world.limits.loadMsMax)
  await expect(backpressure.admit('interactive')).rejects.toThrow('away')
  await backpressure.admit('interactive')
  expect(measured).toBe(3)
})
