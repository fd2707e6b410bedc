import { expect, test } from 'vitest'
import { openFetchSlots, type Slot } from './fetch-slots.ts'
import type { TenantId } from './ids.ts'
import { DEFAULT_LIMITS } from './limits.ts'
import { manualClock } from './testing/index.ts'

const [mine, theirs] = ['mine', 'theirs'] as TenantId[] as [TenantId, TenantId]
const limits = { ...DEFAULT_LIMITS, fetchPerHostMax: 2 }

function scene(max = 100) {
  const clock = manualClock()
  const slots = openFetchSlots({ limits, max, now: clock.now })
  const take = (host = 'a.example', tenantId = mine) => slots.take(host, tenantId)
  const taken = (host?: string, tenantId?: TenantId): Slot => {
    const slot = take(host, tenantId)
    if (slot.waitMs !== undefined) throw new Error('there is no slot')
    return slot
  }
  const waitMs = (host?: string, tenantId?: TenantId) => take(host, tenantId).waitMs ?? 0
  return { clock, slots, taken, waitMs }
}

test('gives each host so many, and one back for each that is disposed of, however often', () => {
  const { taken, waitMs } = scene()
  const first = taken()
  taken()
  expect(waitMs()).toBeGreaterThan(0)
  taken('b.example')
  first[Symbol.dispose]()
  first[Symbol.dispose]()
  taken()
  expect(waitMs()).toBeGreaterThan(0)
})

test('gives no more than so many in all', () => {
  const { taken, waitMs } = scene(3)
  const held = ['a', 'b', 'c'].map((host) => taken(host))
  expect(waitMs('d')).toBeGreaterThan(0)
  held[0]?.[Symbol.dispose]()
  taken('d')
})

test('sends those who wait away to moments of their own, at the pace at which slots become free', () => {
  const { clock, taken, waitMs } = scene()
  for (let round = 0; round < 30; round += 1) {
    const slot = taken()
    clock.advance(10_000)
    slot[Symbol.dispose]()
  }
  taken()
  taken()
  const waits = Array.from({ length: 5 }, () => waitMs())
  for (const [index, wait] of waits.entries()) expect(wait / 5_000).toBeCloseTo(index + 1, 1)
})

test('never sends anybody away for longer than the bound', () => {
  const { taken, waitMs } = scene()
  taken()
  taken()
  const waits = Array.from({ length: 2_000 }, () => waitMs())
  expect(Math.max(...waits)).toBe(limits.sourceRetryMsMax)
})

test('leaves a host alone that asked for it, and only for the tenant that was asked', () => {
  const { clock, slots, taken, waitMs } = scene()
  slots.rest('a.example', mine, 30_000)
  expect(waitMs()).toBeGreaterThan(30_000)
  taken('a.example', theirs)
  taken('b.example')
  clock.advance(30_001)
  taken()
})

test('does not remember hosts at which nothing happens', () => {
  const { clock, taken, waitMs } = scene(2_000)
  taken('busy')
  taken('busy')
  for (let index = 0; index < 3_000; index += 1) {
    taken(`${index}.example`)[Symbol.dispose]()
    clock.advance(1)
  }
  expect(waitMs('busy')).toBeGreaterThan(0)
})
