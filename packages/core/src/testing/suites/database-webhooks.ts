import { expect, test } from 'vitest'
import type { TenantId, WebhookDeliveryId, WebhookId } from '../../ids.ts'
import type { Product } from '../../product-image.ts'
import {
  ATTEMPTS_KEPT,
  type Breaker,
  type ClaimedDelivery,
  type DeliveryEnd,
  type NewWebhook,
  type Webhook,
} from '../../webhook.ts'
import { WEBHOOK_EVENTS } from '../../webhook.ts'
import { newId } from '../builders.ts'
import { type Catalogue, eventually, expectRefusal, LONG_MS, present, refOf, SHORT_MS, type Subject } from './catalogue.ts'

const ATTEMPT = { at: '2026-01-01T00:00:00.000Z', durationMs: 3, status: 500, response: 'no\0 ü', error: null }
const TAKEN: DeliveryEnd = { state: 'delivered', waitMs: 0, attempt: { ...ATTEMPT, status: 200 }, isGone: false, pauseMs: 0 }
const FAILED: DeliveryEnd = { ...TAKEN, state: 'pending', attempt: ATTEMPT }
const GIVEN_UP: DeliveryEnd = { ...FAILED, state: 'failed' }
/** Never opens, never disables. */
const PATIENT: Breaker = { failuresMax: 1_000, pauseMsMin: 1, pauseMsMax: 1, failingMsMax: LONG_MS }
const EACH = 100

export function webhookTests({ catalogue, openOwn }: Subject): void {
  const newWebhook = (tenantId: TenantId, change: Partial<NewWebhook> = {}): NewWebhook => ({
    id: newId() as WebhookId,
    tenantId,
    url: 'https://example.com/hook?a="b"',
    description: 'the "shop", ü',
    events: WEBHOOK_EVENTS,
    enabled: true,
    salt: 'salt-1',
    ...change,
  })
  const hooksOf = ({ database }: Catalogue) => database.webhooks
  const create = async (own: Catalogue, change: Partial<NewWebhook> = {}) =>
    hooksOf(own).create(newWebhook(change.tenantId ?? own.home, change), 100)
  const claim = (own: Catalogue, each = EACH, limit = 1_000, leaseMs = LONG_MS) => hooksOf(own).claim(limit, each, leaseMs)
  const log = (own: Catalogue, { tenantId, id }: Pick<Webhook, 'tenantId' | 'id'>) =>
    hooksOf(own).listDeliveries(tenantId, id, {}, { before: null, limit: 1_000 })
  /** What has been said to an endpoint, oldest first. */
  const told = async (own: Catalogue, webhook: Webhook) =>
    (await log(own, webhook))
      .map(({ body }) => JSON.parse(body) as { type: string; timestamp: string; data: object })
      .toReversed()
  const change = (own: Catalogue, product: Product) => own.database.images.reorder(product.tenantId, refOf(product), [], null)
  const finish = (own: Catalogue, { delivery }: ClaimedDelivery, end: DeliveryEnd, breaker = PATIENT) =>
    hooksOf(own).finish(delivery, end, breaker)
  const only = <T>(items: readonly T[]): T => {
    expect(items).toHaveLength(1)
    return present(items[0])
  }

  test('a webhook is kept as it was given, changed, listed and removed', async () => {
    const { home, stranger, database } = catalogue()
    const { webhooks } = database
    const given = newWebhook(home)
    const created = await webhooks.create(given, 100)
    const { salt, ...rest } = given
    expect(created).toMatchObject({ ...rest, salts: [{ salt, until: null }], failures: 0, disabledBecause: null })
    expect(await webhooks.create({ ...given, url: 'https://other.example' }, 0)).toEqual(created)
    expect(await webhooks.find(home, given.id)).toEqual(created)
    const later = await create(catalogue())
    const listed = (await webhooks.list(home)).map(({ id }) => id)
    expect(listed.indexOf(later.id)).toBeLessThan(listed.indexOf(given.id))

    const change = { url: 'https://x.example/', description: null, events: ['ingest.failed'], enabled: false } as const
    expect(await webhooks.update(home, given.id, change)).toMatchObject(change)
    expect(await webhooks.find(home, given.id)).toMatchObject({ ...change, createdAt: created.createdAt })
    await expectRefusal(webhooks.create(newWebhook(home), listed.length), 'webhooks_exceeded')

    await expectRefusal(webhooks.update(stranger, given.id, {}), 'webhook_unknown')
    await expectRefusal(webhooks.rotate(stranger, given.id, 'x', LONG_MS, 5), 'webhook_unknown')
    await expectRefusal(webhooks.test(stranger, given.id), 'webhook_unknown')
    expect(await webhooks.find(stranger, given.id)).toBeNull()
    expect(await webhooks.find(home, 'nonsense' as WebhookId)).toBeNull()
    expect(await webhooks.remove(stranger, given.id)).toBe(false)
    expect([await webhooks.remove(home, given.id), await webhooks.remove(home, given.id)]).toEqual([true, false])
    expect(await webhooks.find(home, given.id)).toBeNull()
  })

  test('a rotated secret stays for its time, and no more of them than may be', async () => {
    const { home, database } = catalogue()
    const { id } = await create(catalogue())
    const rotate = (salt: string, keepMs = LONG_MS) => database.webhooks.rotate(home, id, salt, keepMs, 2)
    const rotated = await rotate('salt-2')
    expect(rotated.salts.map(({ salt }) => salt)).toEqual(['salt-2', 'salt-1'])
    expect(rotated.salts.map(({ until }) => until === null)).toEqual([true, false])
    const [, old] = rotated.salts
    expect(present(old?.until).getTime() - rotated.updatedAt.getTime()).toBeGreaterThan(LONG_MS - 60_000)
    expect((await database.webhooks.find(home, id))?.salts).toEqual(rotated.salts)
    await expectRefusal(rotate('salt-3'), 'webhook_rotations_exceeded')

    const other = await create(catalogue())
    await database.webhooks.rotate(home, other.id, 'salt-2', 0, 2)
    await eventually(async () => {
      const { salts } = await database.webhooks.rotate(home, other.id, 'salt-3', LONG_MS, 2)
      expect(salts.map(({ salt }) => salt)).toEqual(['salt-3', 'salt-2'])
    })
  })

  test('every change of images and every end of an ingest is told once, in the order of the product', async () => {
    await using own = await openOwn()
    const { database, home } = own
    const product = await own.newProduct()
    const webhook = await create(own)
    const first = await own.attach(product)
    const second = await own.attach(product)
    const ref = refOf(product)
    await database.images.edit(home, ref, first, { label: 'x' }, null)
    await database.images.reorder(home, ref, [second, first], null)
    await database.images.setMain(home, ref, second, null)
    await database.images.keepOnly(home, ref, [second, first], null)
    await database.images.remove(home, ref, second, 'promote', null)
    const [image] = (await own.imagesOf(product)).images
    await database.files.remove(home, present(image).file.id)

    const events = await told(own, webhook)
    const committed = ['product.images_changed', 'ingest.committed']
    expect(events.map(({ type }) => type)).toEqual([...committed, ...committed, ...Array.from({ length: 6 }, () => committed[0])])
    const changes = events.filter(({ type }) => type === 'product.images_changed').map(({ data }) => data)
    const images = [1, 2, 2, 2, 2, 2, 1, 0]
    expect(changes).toEqual(
      images.map((count, index) => ({ product_id: product.id, sku: product.sku, version: index + 2, images: count })),
    )
    expect(events[1]?.data).toMatchObject({ product_id: product.id, image_id: first, error: null })
    for (const { timestamp } of events) expect(new Date(timestamp).toISOString()).toBe(timestamp)
    expect(new Set((await log(own, webhook)).map(({ eventId }) => eventId)).size).toBe(events.length)
  })

  test('a rejected and a failed ingest say why, and one that was over already says nothing', async () => {
    await using own = await openOwn()
    const webhook = await create(own)
    const { ingests } = own.database
    const [rejected, failed] = [await own.accept(), await own.accept()]
    const problem = { code: 'image_corrupt', detail: 'not\0 "this"' } as const
    for (let twice = 0; twice < 2; twice += 1) {
      await ingests.end(rejected.id, 'rejected', problem, [])
      await ingests.end(failed.id, 'failed', { code: 'attempts_exhausted', detail: '' }, [])
    }
    const events = await told(own, webhook)
    expect(events.map(({ type }) => type)).toEqual(['ingest.rejected', 'ingest.failed'])
    expect(events[0]?.data).toMatchObject({ ingest_id: rejected.id, error: { code: 'image_corrupt' }, image_id: null })
  })

  test('who does not want it, is disabled, or is of another tenant, is told nothing; all others of one event', async () => {
    await using own = await openOwn()
    const [one, two] = [await create(own), await create(own, { events: ['product.images_changed'] })]
    const deaf = [
      await create(own, { events: ['ingest.failed'] }),
      await create(own, { enabled: false }),
      await create(own, { tenantId: own.stranger }),
      await create(own, { events: [] }),
    ]
    await change(own, await own.newProduct())
    const [toOne, toTwo] = [only(await log(own, one)), only(await log(own, two))]
    expect(toOne.eventId).toBe(toTwo.eventId)
    expect(toOne.body).toBe(toTwo.body)
    expect(toOne.id).not.toBe(toTwo.id)
    for (const webhook of deaf) expect(await log(own, webhook)).toEqual([])
  })

  test('a change that fails tells nothing', async () => {
    await using own = await openOwn()
    const webhook = await create(own)
    const product = await own.newProduct()
    await expectRefusal(own.database.images.reorder(own.home, refOf(product), [], 77), 'version_mismatched')
    expect(await log(own, webhook)).toEqual([])
  })

  test('deliveries of one product wait for the earlier one, whatever becomes of it; others do not', async () => {
    await using own = await openOwn()
    const webhook = await create(own)
    const [a, b] = [await own.newProduct(), await own.newProduct()]
    for (const product of [a, a, b, a]) await change(own, product)
    const claimed = await claim(own)
    const subjects = claimed.map(
      ({ delivery }) => (JSON.parse(delivery.body) as { data: { product_id: string } }).data.product_id,
    )
    expect(subjects).toEqual([a.id, b.id])
    expect(claimed.every(({ delivery, webhook: { id } }) => delivery.attempts === 1 && id === webhook.id)).toBe(true)
    expect(await claim(own)).toEqual([])
    const [ofA, ofB] = claimed.map((one) => present(one))
    await finish(own, present(ofB), TAKEN)
    await finish(own, present(ofA), { ...FAILED, waitMs: SHORT_MS })
    let again: readonly ClaimedDelivery[] = []
    await eventually(async () => expect((again = await claim(own))).toHaveLength(1))
    expect(only(again).delivery).toMatchObject({ id: present(ofA).delivery.id, attempts: 2 })
    await finish(own, only(again), GIVEN_UP)
    const next = only(await claim(own))
    expect(JSON.parse(next.delivery.body)).toMatchObject({ data: { product_id: a.id, version: 3 } })
  })

  test('an attempt that failed is made again after its wait, with what came of it in the log', async () => {
    await using own = await openOwn()
    const webhook = await create(own)
    await change(own, await own.newProduct())
    for (let attempt = 1; attempt <= ATTEMPTS_KEPT + 1; attempt += 1) {
      let claimed: readonly ClaimedDelivery[] = []
      await eventually(async () => expect((claimed = await claim(own))).toHaveLength(1))
      const one = only(claimed)
      expect(one.delivery.attempts).toBe(attempt)
      await finish(own, one, { ...FAILED, waitMs: SHORT_MS, attempt: { ...ATTEMPT, durationMs: attempt } })
      expect(await finish(own, one, TAKEN)).toBe(false)
    }
    const delivery = only(await log(own, webhook))
    expect(delivery).toMatchObject({ state: 'pending', finishedAt: null })
    expect(delivery.log.map(({ durationMs }) => durationMs)).toEqual(Array.from({ length: ATTEMPTS_KEPT }, (_, n) => n + 2))
    expect(delivery.log[0]).toMatchObject({ status: 500, error: null })
  })

  test('one whose worker has died is claimed again, the dead one says nothing any more, and a start can be taken back', async () => {
    await using own = await openOwn()
    const webhook = await create(own)
    await change(own, await own.newProduct())
    const dead = only(await claim(own, EACH, 10, SHORT_MS))
    let again: readonly ClaimedDelivery[] = []
    await eventually(async () => expect((again = await claim(own))).toHaveLength(1))
    const alive = only(again)
    expect(alive.delivery).toMatchObject({ id: dead.delivery.id, eventId: dead.delivery.eventId, attempts: 2 })
    await finish(own, dead, GIVEN_UP)
    await hooksOf(own).release(dead.delivery)
    expect(only(await log(own, webhook))).toMatchObject({ state: 'pending', attempts: 2 })
    await hooksOf(own).release(alive.delivery)
    const third = only(await claim(own))
    expect(third.delivery.attempts).toBe(2)
    await finish(own, third, TAKEN)
    expect(only(await log(own, webhook))).toMatchObject({ state: 'delivered', attempts: 2, log: [{ status: 200 }] })
  })

  test('an endpoint has no more under way than it may, one that fails a single one, and all take turns', async () => {
    await using own = await openOwn()
    const [slow, good] = [await create(own), await create(own)]
    for (let n = 0; n < 6; n += 1) await change(own, await own.newProduct())
    const to = (claimed: readonly ClaimedDelivery[]) => claimed.map(({ webhook }) => webhook.id)
    const first = await claim(own, 2, 3)
    expect(new Set(to(first))).toEqual(new Set([slow.id, good.id]))
    const rest = await claim(own, 2, 100)
    expect([...to(first), ...to(rest)].filter((id) => id === slow.id)).toHaveLength(2)
    expect([...to(first), ...to(rest)].filter((id) => id === good.id)).toHaveLength(2)
    expect(await claim(own, 2)).toEqual([])

    for (const one of [...first, ...rest])
      await finish(own, one, one.webhook.id === slow.id ? { ...FAILED, waitMs: LONG_MS } : TAKEN)
    const next = to(await claim(own, 2))
    expect(next.filter((id) => id === slow.id)).toHaveLength(1)
    expect(next.filter((id) => id === good.id)).toHaveLength(2)
  })

  test('after some failures in a row the circuit opens, longer each time, and closes with the first success', async () => {
    await using own = await openOwn()
    const webhook = await create(own)
    const breaker = { ...PATIENT, failuresMax: 2, pauseMsMin: SHORT_MS, pauseMsMax: LONG_MS }
    await change(own, await own.newProduct())
    const fail = async () => {
      let claimed: readonly ClaimedDelivery[] = []
      await eventually(async () => expect((claimed = await claim(own))).toHaveLength(1))
      await finish(own, only(claimed), FAILED, breaker)
      const now = present(await hooksOf(own).find(own.home, webhook.id))
      return { failures: now.failures, pauseMs: now.pausedUntil ? Number(now.pausedUntil) - Number(now.failingSince) : 0 }
    }
    expect((await fail()).failures).toBe(1)
    const second = await fail()
    const third = await fail()
    expect([second.failures, third.failures]).toEqual([2, 3])
    expect(third.pauseMs).toBeGreaterThan(second.pauseMs)

    let probe: readonly ClaimedDelivery[] = []
    await eventually(async () => expect((probe = await claim(own))).toHaveLength(1))
    await finish(own, only(probe), TAKEN, breaker)
    expect(await hooksOf(own).find(own.home, webhook.id)).toMatchObject({ failures: 0, failingSince: null, pausedUntil: null })
  })

  test('an endpoint that asks to be left alone is, until it is given another address', async () => {
    await using own = await openOwn()
    const [asking, sibling] = [await create(own), await create(own)]
    await change(own, await own.newProduct())
    await change(own, await own.newProduct())
    for (const one of await claim(own, 1)) {
      await finish(own, one, one.webhook.id === asking.id ? { ...FAILED, pauseMs: LONG_MS } : TAKEN)
    }
    expect(only(await claim(own)).webhook.id).toBe(sibling.id)
    await hooksOf(own).update(own.home, asking.id, { url: 'https://new.example/' })
    const claimed = await claim(own)
    expect(claimed).toHaveLength(2)
    expect(claimed.every(({ webhook }) => webhook.url === 'https://new.example/')).toBe(true)
  })

  test('an endpoint that is gone, or has failed for too long, is disabled, and takes up again where it is enabled', async () => {
    await using own = await openOwn()
    const [gone, failing] = [await create(own), await create(own)]
    for (let n = 0; n < 2; n += 1) await change(own, await own.newProduct())
    const breaker = { ...PATIENT, failingMsMax: SHORT_MS }
    for (const one of await claim(own, 1)) {
      const isGone = one.webhook.id === gone.id
      expect(await finish(own, one, isGone ? { ...GIVEN_UP, isGone } : FAILED, breaker)).toBe(isGone)
    }
    await eventually(async () => {
      for (const one of await claim(own, 1)) await finish(own, one, FAILED, breaker)
      expect(await hooksOf(own).find(own.home, failing.id)).toMatchObject({ enabled: false, disabledBecause: 'failing' })
    })
    expect(await hooksOf(own).find(own.home, gone.id)).toMatchObject({ enabled: false, disabledBecause: 'gone' })
    await change(own, await own.newProduct())
    expect(await claim(own)).toEqual([])
    expect((await log(own, gone)).map(({ state }) => state).sort()).toEqual(['failed', 'pending'])

    const enabled = await hooksOf(own).update(own.home, gone.id, { enabled: true })
    expect(enabled).toMatchObject({ enabled: true, disabledBecause: null, failures: 0, failingSince: null })
    expect(only(await claim(own)).webhook.id).toBe(gone.id)
  })

  test('the log is read newest first, by state, in pages, and by nobody else', async () => {
    await using own = await openOwn()
    const webhook = await create(own)
    for (let n = 0; n < 3; n += 1) await change(own, await own.newProduct())
    await finish(own, present((await claim(own, 1))[0]), TAKEN)
    const tested = await hooksOf(own).test(own.home, webhook.id)
    expect(JSON.parse(tested.body)).toMatchObject({ type: 'webhook.test', data: { webhook_id: webhook.id } })
    const list = (filter = {}, before: WebhookDeliveryId | null = null, limit = 2) =>
      hooksOf(own).listDeliveries(own.home, webhook.id, filter, { before, limit })
    const all = await log(own, webhook)
    expect(all[0]).toEqual(tested)
    expect(all).toHaveLength(4)
    expect(await list()).toEqual(all.slice(0, 2))
    expect(await list({}, present(all[1]).id)).toEqual(all.slice(2))
    expect((await list({ states: ['delivered', 'failed'] })).map(({ state }) => state)).toEqual(['delivered'])
    expect(await list({ event: 'webhook.test' })).toEqual([tested])
    expect(await hooksOf(own).findDelivery(own.home, webhook.id, tested.id)).toEqual(tested)
    expect(await hooksOf(own).findDelivery(own.stranger, webhook.id, tested.id)).toBeNull()
    expect(await hooksOf(own).findDelivery(own.home, newId() as WebhookId, tested.id)).toBeNull()
    expect(await log(own, { tenantId: own.stranger, id: webhook.id })).toEqual([])
    await hooksOf(own).remove(own.home, webhook.id)
    expect(await log(own, webhook)).toEqual([])
    expect(await claim(own)).toEqual([])
  })

  test('one is delivered again under the same event, at the end of the line, and not twice at a time', async () => {
    await using own = await openOwn()
    const webhook = await create(own)
    const product = await own.newProduct()
    await change(own, product)
    const first = only(await claim(own)).delivery
    await hooksOf(own).finish(first, TAKEN, PATIENT)
    await change(own, product)
    const again = await hooksOf(own).redeliver(own.home, webhook.id, first.id)
    expect(again).toMatchObject({ eventId: first.eventId, body: first.body, state: 'pending', attempts: 0, log: [] })
    expect(again.id).not.toBe(first.id)
    const repeats = await Promise.all([1, 2, 3].map(() => hooksOf(own).redeliver(own.home, webhook.id, first.id)))
    expect(repeats).toEqual([again, again, again])
    expect((await log(own, webhook)).map(({ eventId }) => eventId === first.eventId)).toEqual([true, false, true])
    const next = only(await claim(own))
    expect(next.delivery.eventId).not.toBe(first.eventId)
    await finish(own, next, TAKEN)
    expect(only(await claim(own)).delivery.id).toBe(again.id)
    await expectRefusal(hooksOf(own).redeliver(own.home, webhook.id, newId() as WebhookDeliveryId), 'webhook_delivery_unknown')
    await expectRefusal(hooksOf(own).redeliver(own.home, webhook.id, 'x' as WebhookDeliveryId), 'webhook_delivery_unknown')
    await expectRefusal(hooksOf(own).redeliver(own.stranger, webhook.id, first.id), 'webhook_unknown')
  })

  test('the events of a time are delivered again, each once and in their order', async () => {
    await using own = await openOwn()
    const webhook = await create(own)
    const products = [await own.newProduct(), await own.newProduct(), await own.newProduct()]
    for (const product of products) await change(own, product)
    const [last, middle, first] = await log(own, webhook)
    for (const one of await claim(own)) await finish(own, one, one.delivery.id === middle?.id ? GIVEN_UP : TAKEN)
    const again = (range = {}, limit = 10) =>
      hooksOf(own).redeliverRange(
        own.home,
        webhook.id,
        { from: present(first).createdAt, to: new Date(present(last).createdAt.getTime() + LONG_MS), ...range },
        limit,
      )
    expect(await again({ to: present(first).createdAt })).toBe(0)
    expect(await again({ states: ['failed'] })).toBe(1)
    expect(await again({}, 1)).toBe(1)
    expect(await again()).toBe(1)
    expect(await again()).toBe(0)
    const pending = (await log(own, webhook)).filter(({ state }) => state === 'pending').toReversed()
    expect(pending.map(({ eventId }) => eventId)).toEqual([middle, first, last].map((one) => one?.eventId))
    await expectRefusal(
      hooksOf(own).redeliverRange(own.stranger, webhook.id, { from: new Date(0), to: new Date() }, 10),
      'webhook_unknown',
    )
  })

  test('what failed and has arrived since is not sent again with what failed, nor is another type', async () => {
    await using own = await openOwn()
    const webhook = await create(own)
    await change(own, await own.newProduct())
    for (const one of await claim(own)) await finish(own, one, GIVEN_UP)
    const { event } = present((await log(own, webhook))[0])
    const other = present(webhook.events.find((type) => type !== event))
    const range = { from: new Date(0), to: new Date(Date.now() + LONG_MS), states: ['failed'] as const }
    const again = (more: object = {}) => hooksOf(own).redeliverRange(own.home, webhook.id, { ...range, ...more }, 10)
    expect(await again({ event: other })).toBe(0)
    expect(await again({ event })).toBe(1)
    for (const one of await claim(own)) await finish(own, one, TAKEN)
    expect(await again()).toBe(0)
    expect(await again({ states: ['delivered'] })).toBe(1)
  })

  test('old deliveries are removed, some at a time', async () => {
    await using own = await openOwn()
    const webhook = await create(own)
    for (let n = 0; n < 3; n += 1) await change(own, await own.newProduct())
    expect(await hooksOf(own).forget(LONG_MS, 10)).toBe(0)
    const removed: number[] = []
    await eventually(async () => {
      removed.push(await hooksOf(own).forget(SHORT_MS, 2))
      expect(removed.reduce((sum, count) => sum + count)).toBe(3)
    })
    expect(Math.max(...removed)).toBeLessThanOrEqual(2)
    expect(await log(own, webhook)).toEqual([])
  })

  test('whoever makes an event true wakes who delivers', async () => {
    await using own = await openOwn()
    await create(own)
    let calls = 0
    using _listening = own.database.signals.onDelivery(() => void calls++)
    const product = await own.newProduct()
    // Whoever listens may not do so yet when the first comes.
    await eventually(async () => {
      await change(own, product)
      expect(calls).toBeGreaterThan(0)
    })
    const before = calls
    await own.attach(product)
    await eventually(() => expect(calls).toBeGreaterThan(before))
  })

  test('of many workers at once none gets what another has, and commits go on while endpoints come and go', async () => {
    await using own = await openOwn()
    await create(own)
    for (let n = 0; n < 12; n += 1) await change(own, await own.newProduct())
    const claims = await Promise.all(Array.from({ length: 6 }, () => claim(own, 3, 3)))
    const ids = claims.flat().map(({ delivery }) => delivery.id)
    expect(new Set(ids).size).toBe(ids.length)
    expect(ids.length).toBeGreaterThan(0)

    const product = await own.newProduct()
    const fleeting = await Promise.all(Array.from({ length: 5 }, () => create(own)))
    const removals = fleeting.map(({ id }) => hooksOf(own).remove(own.home, id))
    await Promise.all([...Array.from({ length: 10 }, () => change(own, product)), ...removals])
    expect((await own.imagesOf(product)).version).toBe(11)
  })
}
