import * as fc from 'fast-check'
import { expect, test } from 'vitest'
import type { ProductId, TenantId } from '../../ids.ts'
import type { Ingest } from '../../ingest.ts'
import type { Database, Waiting } from '../../ports.ts'
import { aCommit, aNewIngest, aPlacement, newId } from '../builders.ts'
import { type Catalogue, eventually, LIMITS, LONG_MS, present, range, roomFor, SHORT_MS, type Subject } from './catalogue.ts'

export function parkingTests({ catalogue, openOwn, propertyRuns }: Subject): void {
  const ingests = () => catalogue().database.ingests
  const home = () => catalogue().home
  const newSku = () => `parked ${newId()}`
  const park = (sku: string, waitMs = LONG_MS, tenantId = home()) =>
    ingests().accept(aNewIngest({ tenantId, park: { sku, waitMs, placement: aPlacement({ label: sku }) } }))
  const create = (sku: string, change: { tenantId?: TenantId; kind?: 'model' } = {}) =>
    catalogue().database.products.create({ id: newId() as ProductId, tenantId: home(), sku, title: null, ...change })
  const find = async ({ tenantId, id }: Ingest) => present(await ingests().find(tenantId, id))
  const stepsOf = async ({ tenantId, id }: Ingest) => (await ingests().timeline(tenantId, id)).map(({ step }) => step)

  test('an image whose product is not there is parked, and runs for nobody', async () => {
    const sku = newSku()
    const ingest = await park(sku)
    const placement = aPlacement({ label: sku })
    expect(ingest).toMatchObject({ state: 'parked', target: null, parking: { sku, placement, until: expect.any(Date) } })
    expect(await find(ingest)).toEqual(ingest)
    expect(await stepsOf(ingest)).toEqual(['accept', 'park'])
    expect(await ingests().start(ingest.id, ingest.epoch)).toBeNull()
    expect(await ingests().requeueIdle(0, 1_000)).not.toContain(ingest.id)
  })

  test('an image whose product is there does not wait', async () => {
    const sku = newSku()
    const { id: productId } = await create(sku)
    const ingest = await park(sku)
    const target = { kind: 'attach', productId, placement: aPlacement({ label: sku }) }
    expect(ingest).toMatchObject({ state: 'received', target, parking: null })
    expect(await stepsOf(ingest)).toEqual(['accept'])
  })

  test('it goes on when its product is made, and is queued', async () => {
    await using own = await openOwn()
    const { database } = own
    const waiting = aNewIngest({ tenantId: own.home, park: { sku: 's', waitMs: LONG_MS, placement: aPlacement() } })
    const parked = await database.ingests.accept(waiting)
    expect(await database.outbox.claim(roomFor(9), LONG_MS)).toEqual([])
    const { id: productId } = await database.products.create({
      id: newId() as ProductId,
      tenantId: own.home,
      sku: 's',
      title: null,
    })
    const goesOn = present(await database.ingests.find(own.home, parked.id))
    expect(goesOn).toMatchObject({ state: 'received', parking: null, target: { kind: 'attach', productId } })
    expect(await database.outbox.claim(roomFor(9), LONG_MS)).toMatchObject([{ job: { ingestId: parked.id, epoch: 0 } }])
    const steps = (await database.ingests.timeline(own.home, parked.id)).map(({ step }) => step)
    expect(steps).toEqual(['accept', 'park', 'unpark'])
    expect(await database.ingests.start(parked.id, 0)).toMatchObject({ state: 'running' })
    expect(await database.ingests.commit(aCommit(goesOn), LIMITS)).toBe('committed')
  })

  test('the same ingest again is the same, parked or not', async () => {
    const sku = newSku()
    const wanted = aNewIngest({ tenantId: home(), park: { sku, waitMs: LONG_MS, placement: aPlacement() } })
    const parked = await ingests().accept(wanted)
    expect(await ingests().accept(wanted)).toEqual(parked)
    await create(sku)
    expect((await ingests().accept(wanted)).state).toBe('received')
    expect(await stepsOf(parked)).toEqual(['accept', 'park', 'unpark'])
  })

  test('a product of another tenant, another SKU, or a model wakes nobody', async () => {
    const sku = newSku()
    const ingest = await park(sku)
    await create(sku, { tenantId: catalogue().stranger })
    await create(sku, { kind: 'model' })
    await create(`${sku}x`)
    expect((await find(ingest)).state).toBe('parked')
    await create(sku)
    expect((await find(ingest)).state).toBe('received')
  })

  test('its time ends: rejected, as its product is unknown', async () => {
    const [late, early] = [await park(newSku(), 0), await park(newSku())]
    await eventually(async () => {
      await ingests().settleParked(1_000)
      expect(await find(late)).toMatchObject({
        state: 'rejected',
        problem: { code: 'product_unknown', detail: expect.stringContaining(late.parking?.sku ?? '') },
        finishedAt: expect.any(Date),
      })
    })
    expect(await stepsOf(late)).toEqual(['accept', 'park', 'finish'])
    expect((await find(early)).state).toBe('parked')
    await create(late.parking?.sku ?? '')
    expect((await find(late)).state).toBe('rejected')
  })

  test('its bytes are kept while it waits, and it may be ended before', async () => {
    const ingest = await park(newSku())
    const key = ingest.source.kind === 'staged' ? ingest.source.key : ''
    expect(await ingests().stagedInUse([key], 0)).toEqual(new Set([key]))
    expect(await ingests().end(ingest.id, 'rejected', { code: 'product_unknown', detail: '' }, [])).toBe(true)
    expect(await ingests().stagedInUse([key], LONG_MS)).toEqual(new Set())
  })

  test('the census counts it, and does not call it late; the load leaves it out of what waits, and counts its bytes', async () => {
    await using own = await openOwn()
    const placement = aPlacement()
    await own.accept({ park: { sku: 's', waitMs: LONG_MS, placement } })
    expect(await own.database.ingests.census()).toMatchObject({ states: { parked: 1, received: 0 }, oldestOpenMs: 0, outbox: 0 })
    const theLoad = (amount: Waiting) => ({ ...amount, ofTenants: new Map([[own.home, amount]]) })
    const running = await own.accept()
    const failed = await own.accept()
    const committed = await own.accept()
    await own.database.ingests.start(running.id, 0)
    await own.database.ingests.end(failed.id, 'failed', { code: 'attempts_exhausted', detail: '' }, [])
    await own.commit(committed)
    expect(await own.database.ingests.load(LONG_MS)).toEqual(theLoad({ waiting: 1, stagedBytes: 3_000 }))
    await eventually(async () =>
      expect(await own.database.ingests.load(SHORT_MS)).toEqual(theLoad({ waiting: 1, stagedBytes: 2_000 })),
    )
    await own.database.ingests.tally()
    await own.database.ingests.tally()
    expect((await own.database.ingests.census()).states).toMatchObject({ parked: 1, running: 1, failed: 1, committed: 1 })
  })

  test('an image and its product that come at the same moment meet, whoever is first', async () => {
    const rounds = range(12).map(async () => {
      const sku = newSku()
      const [, ...images] = await Promise.all([create(sku), park(sku), park(sku), park(sku)])
      for (const image of images) expect(await find(image)).toMatchObject({ state: 'received', parking: null })
    })
    await Promise.all(rounds)
  })

  test('products and images end in the same state in whatever order they come', async () => {
    const events = fc.shuffledSubarray([...EVENTS], { minLength: EVENTS.length })
    await fc.assert(
      fc.asyncProperty(events, fc.integer({ min: 1, max: 4 }), async (order, width) => {
        await using own = await openOwn()
        expect(await endOf(own, order, width)).toEqual(EXPECTED)
      }),
      { numRuns: Math.min(propertyRuns, 8) },
    )
  }, 120_000)
}

/** Two products with their images, an image of a product that never comes, and workers between them. */
const EVENTS = ['make a', 'make b', 'a 10', 'a 20', 'a 30', 'b 20', 'b 10', 'never 1', 'work', 'work', 'upkeep'] as const

const EXPECTED = { a: ['a 10', 'a 20', 'a 30'], b: ['b 10', 'b 20'], parked: ['never 1'] }

/** So many events happen at once. */
async function endOf(own: Catalogue, order: readonly (typeof EVENTS)[number][], width: number): Promise<unknown> {
  const { database, home } = own
  for (let n = 0; n < order.length; n += width) {
    await Promise.all(order.slice(n, n + width).map((event) => happen(database, home, event)))
  }
  await work(database, home)
  const labelsOf = async (sku: string) =>
    present(await database.images.list(home, { kind: 'sku', sku })).images.map(({ label }) => label)
  const parked = await database.ingests.list(home, { states: ['parked', 'received', 'running'] }, { before: null, limit: 100 })
  return { a: await labelsOf('a'), b: await labelsOf('b'), parked: parked.map(({ parking }) => parking?.placement.label) }
}

async function happen(database: Database, tenantId: TenantId, event: (typeof EVENTS)[number]): Promise<void> {
  if (event === 'work') return work(database, tenantId)
  if (event === 'upkeep') return void (await database.ingests.settleParked(10))
  const [verb = '', rest = ''] = event.split(' ')
  if (verb === 'make') {
    await database.products.create({ id: newId() as ProductId, tenantId, sku: rest, title: null })
    return
  }
  const placement = aPlacement({ label: event, position: Number(rest) })
  await database.ingests.accept(aNewIngest({ tenantId, park: { sku: verb, waitMs: LONG_MS, placement } }))
}

/** Takes what the outbox has, and runs it to its end. */
async function work(database: Database, tenantId: TenantId): Promise<void> {
  const entries = await database.outbox.claim(roomFor(100), LONG_MS)
  for (const { id, job } of entries) {
    await database.outbox.remove([id])
    const ingest = await database.ingests.start(job.ingestId, job.epoch)
    if (ingest) await database.ingests.commit(aCommit(present(await database.ingests.find(tenantId, ingest.id))), LIMITS)
  }
}
