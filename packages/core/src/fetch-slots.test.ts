import { expect, test } from 'vitest'
import { openFetchSlots, type Slot } from './fetch-slots.ts'
import type { TenantId } from './ids.ts'
import { DEFAULT_LIMITS } from './limits.ts'
import { manualClock } from './testing/index.ts'

const [mine, theirs] = ['mine', 'theirs'] as TenantId[] as [TenantId, TenantId]
const limits = { ...DEFAULT_LIMITS, fetchPerHostMax: 2 }

function scene(max = 100) {
  const clock = manualClock()
  const slots = openFetchSlots({ limits, max, hasRoom: async () => true, now: clock.now })
  const take = (host = 'a.example', tenantId = mine) => slots.take(host, tenantId)
  const taken = async (host?: string, tenantId?: TenantId): Promise<Slot> => {
    const slot = await take(host, tenantId)
    if (slot.waitMs !== undefined) throw new Error('there is no slot')
    return slot
  }
  const waitMs = async (host?: string, tenantId?: TenantId) => (await take(host, tenantId)).waitMs ?? 0
  return { clock, slots, taken, waitMs }
}

test('gives each host so many, and one back for each that is disposed of, however often', async () => {
  const { taken, waitMs } = scene()
  const first = await taken()
  await taken()
  expect(await waitMs()).toBeGreaterThan(0)
  await taken('b.example')
  first[Symbol.dispose]()
  first[Symbol.dispose]()
  await taken()
  expect(await waitMs()).toBeGreaterThan(0)
})

test('gives no more than so many in all', async () => {
  const { taken, waitMs } = scene(3)
  const held = [await taken('a'), await taken('b'), await taken('c')]
  expect(await waitMs('d')).toBeGreaterThan(0)
  held[0]?.[Symbol.dispose]()
  await taken('d')
})

test('sends those who wait away to moments of their own, at the pace at which slots become free', async () => {
  const { clock, taken, waitMs } = scene()
  for (let round = 0; round < 30; round += 1) {
    const slot = await taken()
    clock.advance(10_000)
    slot[Symbol.dispose]()
  }
  await taken()
  await taken()
  const waits = await Promise.all(Array.from({ length: 5 }, () => waitMs()))
  for (const [index, wait] of waits.entries()) expect(wait / 5_000).toBeCloseTo(index + 1, 1)
})

test('never sends anybody away for longer than the bound', async () => {
  const { taken, waitMs } = scene()
  await taken()
  await taken()
  const waits = await Promise.all(Array.from({ length: 2_000 }, () => waitMs()))
  expect(Math.max(...waits)).toBe(limits.sourceRetryMsMax)
})

test('leaves a host alone that asked for it, and only for the tenant that was asked', async () => {
  const { clock, slots, taken, waitMs } = scene()
  slots.rest('a.example', mine, 30_000)
  expect(await waitMs()).toBeGreaterThan(30_000)
  await taken('a.example', theirs)
  await taken('b.example')
  clock.advance(30_001)
  await taken()
})

test('never forgets a host that is being fetched from, however many others there were', async () => {
  const { clock, taken, waitMs } = scene(2_000)
  await taken('busy')
  await taken('busy')
  for (let index = 0; index < 3_000; index += 1) {
    const slot = await taken(`${index}.example`)
    slot[Symbol.dispose]()
    clock.advance(1)
  }
  expect(await waitMs('busy')).toBeGreaterThan(0)
})
