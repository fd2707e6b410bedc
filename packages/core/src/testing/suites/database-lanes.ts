import * as fc from 'fast-check'
import { expect, test } from 'vitest'
import type { TenantId } from '../../ids.ts'
import type { Ingest, Lane } from '../../ingest.ts'
import { type OutboxEntry, TURNS_SAVED_MAX } from '../../ports.ts'
import { newId } from '../builders.ts'
import { type Catalogue, eventually, expectRefusal, LONG_MS, range, roomFor, SHORT_MS, type Subject } from './catalogue.ts'

export function laneTests({ openOwn, propertyRuns }: Subject): void {
  const acceptAll = async ({ accept }: Catalogue, tenantId: TenantId, count: number, lane?: Lane) => {
    const ids: string[] = []
    for (const _ of range(count)) ids.push((await accept({ tenantId, ...(lane && { lane }) })).id)
    return ids
  }
  /** Whose rows come, in which order, where each claim asks for so many. */
  const turnsOf = async ({ database }: Catalogue, owners: Map<string, string>, rooms: readonly number[]) => {
    const entries: OutboxEntry[] = []
    for (const room of rooms) entries.push(...(await database.outbox.claim(roomFor(room), LONG_MS)))
    return entries.map(({ job }) => owners.get(job.ingestId)).join('')
  }
  /** A tenant for each letter, with so many ingests. */
  const fill = async (
    own: Catalogue,
    lines: Readonly<Record<string, number>>,
    weights: Readonly<Record<string, number>> = {},
  ) => {
    const owners = new Map<string, string>()
    const tenants = new Map<string, TenantId>()
    for (const [letter, count] of Object.entries(lines)) {
      const tenantId = await own.newTenant()
      tenants.set(letter, tenantId)
      if (weights[letter]) expect(await own.database.tenants.setWeight(tenantId, weights[letter])).toBe(true)
      for (const id of await acceptAll(own, tenantId, count)) owners.set(id, letter)
    }
    return { owners, tenants }
  }
  const countOf = (text: string, letter: string) => text.split(letter).length - 1

  test('an ingest keeps its lane; where nobody says so it is interactive', async () => {
    await using own = await openOwn()
    const imported = await own.accept({ lane: 'import' })
    expect(await own.database.ingests.find(own.home, imported.id)).toMatchObject({ lane: 'import' })
    expect((await own.accept()).lane).toBe('interactive')
  })

  test('what is interactive comes first, whoever brought it and however long the rest has waited', async () => {
    await using own = await openOwn()
    const imported = await acceptAll(own, own.home, 3, 'import')
    const interactive = await acceptAll(own, own.stranger, 2)
    const entries = await own.database.outbox.claim(roomFor(2), LONG_MS)
    expect(entries.map(({ lane, job }) => [lane, job.ingestId])).toEqual([
      ...interactive.map((id) => ['interactive', id]),
      ...imported.slice(0, 2).map((id) => ['import', id]),
    ])
  })

  test('each lane has room of its own', async () => {
    await using own = await openOwn()
    await acceptAll(own, own.home, 3, 'import')
    await acceptAll(own, own.home, 3)
    const lanesOf = async (interactive: number, imported: number) =>
      (await own.database.outbox.claim({ interactive, import: imported }, LONG_MS)).map(({ lane }) => lane)
    expect(await lanesOf(0, 1)).toEqual(['import'])
    expect(await lanesOf(2, 0)).toEqual(['interactive', 'interactive'])
    expect(await lanesOf(0, 0)).toEqual([])
    expect(await lanesOf(-1, 9)).toEqual(['import', 'import'])
  })

  test.for([
    ['one by one', range(12).map(() => 1)],
    ['in small steps', [3, 4, 5]],
    ['at once', [12]],
  ] as const)('tenants take turns, claimed %s', async ([, rooms]) => {
    await using own = await openOwn()
    const { owners } = await fill(own, { a: 30, b: 4, c: 30 })
    const turns = await turnsOf(own, owners, rooms)
    expect(['a', 'b', 'c'].map((letter) => countOf(turns, letter))).toEqual([4, 4, 4])
    for (const n of range(4)) expect(new Set(turns.slice(3 * n - 3, 3 * n))).toEqual(new Set('abc'))
  })

  test('a tenant alone has all of it; ten that come later do not wait for them, and thirty share when the first have gone', async () => {
    await using own = await openOwn()
    const { owners } = await fill(own, { a: 90 })
    expect(await turnsOf(own, owners, [20, 1])).toBe('a'.repeat(21))
    const ten = await fill(own, { b: 10 })
    for (const [id, letter] of ten.owners) owners.set(id, letter)
    expect(countOf(await turnsOf(own, owners, [2, 9, 1]), 'b')).toBe(10)
    expect(await turnsOf(own, owners, [5])).toBe('aaaaa')
    const thirty = await fill(own, { c: 30 })
    for (const [id, letter] of thirty.owners) owners.set(id, letter)
    const before = countOf(await turnsOf(own, owners, [10, 10]), 'c')
    expect(before).toBeGreaterThanOrEqual(TURNS_SAVED_MAX)
    expect(before).toBeLessThanOrEqual(TURNS_SAVED_MAX + 3)
    expect(countOf(await turnsOf(own, owners, [3, 5, 4]), 'c')).toBe(6)
  })

  test('however long a tenant was away, it has saved up no more than some turns', async () => {
    await using own = await openOwn()
    const { owners, tenants } = await fill(own, { a: 120, b: 1 })
    expect(countOf(await turnsOf(own, owners, [70]), 'b')).toBe(1)
    for (const id of await acceptAll(own, tenants.get('b')!, 50)) owners.set(id, 'b')
    const turns = countOf(await turnsOf(own, owners, [40]), 'b')
    expect(turns).toBeGreaterThanOrEqual(TURNS_SAVED_MAX)
    expect(turns).toBeLessThanOrEqual(TURNS_SAVED_MAX + (40 - TURNS_SAVED_MAX) / 2 + 1)
  })

  test('a tenant of three times the weight has three turns of four', async () => {
    await using own = await openOwn()
    const { owners } = await fill(own, { a: 40, b: 40 }, { b: 3 })
    const turns = await turnsOf(own, owners, [1, 3, 8, 12])
    expect(countOf(turns, 'b')).toBeGreaterThanOrEqual(17)
    expect(countOf(turns, 'a')).toBeGreaterThanOrEqual(5)
  })

  test('a weight is a whole number from 1 to 1000, of a tenant that there is', async () => {
    await using own = await openOwn()
    const { tenants } = own.database
    for (const weight of [0, -1, 1.5, 1_001, Number.NaN])
      await expectRefusal(tenants.setWeight(own.home, weight), 'request_invalid')
    expect(await tenants.setWeight(newId() as TenantId, 2)).toBe(false)
    expect(await tenants.setWeight(own.home, 1_000)).toBe(true)
  })

  test('what is queued again has the place that it had, before all that came later', async () => {
    await using own = await openOwn()
    const { outbox, ingests } = own.database
    const first = await own.accept()
    await outbox.remove((await outbox.claim(roomFor(1), LONG_MS)).map(({ id }) => id))
    const later: Ingest[] = []
    await eventually(async () => {
      later.push(await own.accept())
      expect(later.at(-1)?.createdAt.getTime()).toBeGreaterThan(first.createdAt.getTime())
    })
    await eventually(async () => expect(await ingests.requeueIdle(SHORT_MS, 10)).toEqual([first.id]))
    const entries = await outbox.claim(roomFor(1_000), LONG_MS)
    expect(entries).toHaveLength(1 + later.length)
    expect(entries.filter(({ again }) => again)).toMatchObject([{ job: { ingestId: first.id, epoch: 0 } }])
    // Those of the same millisecond may be either side of it.
    expect(entries.at(-1)?.job.ingestId).toBe(later.at(-1)?.id)
  })

  test('whatever waits is served: no claim leaves room while there are rows, and none is given twice', async () => {
    const line = fc.integer({ min: 0, max: 12 })
    const scenario = fc.record({
      lines: fc.record({ a: line, b: line, c: line }),
      rooms: fc.array(fc.integer({ min: 1, max: 9 }), { minLength: 40, maxLength: 40 }),
    })
    await fc.assert(
      fc.asyncProperty(scenario, async ({ lines, rooms }) => {
        await using own = await openOwn()
        const { owners } = await fill(own, lines)
        const seen = new Set<string>()
        for (const room of rooms) {
          const left = owners.size - seen.size
          const entries = await own.database.outbox.claim(roomFor(room), LONG_MS)
          expect(entries).toHaveLength(Math.min(room, left))
          for (const { job } of entries) seen.add(job.ingestId)
          expect(seen.size).toBe(owners.size - left + entries.length)
        }
        expect(seen.size).toBe(owners.size)
      }),
      { numRuns: Math.min(propertyRuns, 5) },
    )
  }, 120_000)
}
