import { describe, expect, test } from 'vitest'
import { Webhook as Verifier } from 'standardwebhooks'
import { type Deliverer, type DeliveryWorld, openDeliverer } from './deliver.ts'
import { SluiceError } from './errors.ts'
import type { ProductId, WebhookId } from './ids.ts'
import type { Fetcher, Posted, PostRequest } from './ports.ts'
import { newId } from './testing/builders.ts'
import { type MemoryWorld, memoryWorld } from './testing/memory-world.ts'
import { type Webhook, WEBHOOK_EVENTS, type WebhookDelivery } from './webhook.ts'
import { webhookSecret } from './webhook-signature.ts'

const HOUR_MS = 3_600_000
const NO: Posted = { status: 500, retryAfter: null, body: 'no' }

interface Scene extends AsyncDisposable {
  readonly world: MemoryWorld
  readonly webhook: Webhook
  readonly deliverer: Deliverer
  readonly sent: PostRequest[]
  /** A turn, and the ends of what it began. */
  readonly turn: () => Promise<void>
  readonly log: () => Promise<readonly WebhookDelivery[]>
  readonly happen: () => Promise<void>
}

async function open(post: Fetcher['post'], parts: { readonly random?: () => number } = {}): Promise<Scene> {
  const world = memoryWorld(parts)
  const { database, clock, fetcher } = world
  const tenantId = await database.newTenant()
  const sent: PostRequest[] = []
  const given = { tenantId, url: 'https://example.com/', description: null, events: WEBHOOK_EVENTS, enabled: true, salt: 'salt' }
  const webhook = await database.webhooks.create({ id: newId() as WebhookId, ...given }, 1)
  const outgoing: DeliveryWorld = {
    ...world,
    now: clock.now,
    fetcher: {
      ...fetcher,
      post: (url, request, signal) => {
        sent.push(request)
        return post(url, request, signal)
      },
    },
  }
  const deliverer = openDeliverer(outgoing, 10)
  return {
    world,
    webhook,
    deliverer,
    sent,
    async turn() {
      const ended = Promise.withResolvers<void>()
      using _listening = deliverer.onEnd(ended.resolve)
      if (await deliverer.turn()) await ended.promise
    },
    log: () => database.webhooks.listDeliveries(tenantId, webhook.id, {}, { before: null, limit: 100 }),
    async happen() {
      const id = newId() as ProductId
      await database.products.create({ id, tenantId, sku: id, title: null })
      await database.images.reorder(tenantId, { kind: 'id', id }, [], null)
    },
    async [Symbol.asyncDispose]() {
      await deliverer[Symbol.asyncDispose]()
      await world[Symbol.asyncDispose]()
    },
  }
}

describe('a delivery', () => {
  test('is signed as the library of the standard asks for', async () => {
    await using scene = await open(async () => ({ status: 200, retryAfter: null, body: '' }))
    await scene.happen()
    await scene.turn()
    const [delivery] = await scene.log()
    const [request] = scene.sent
    const headers: Readonly<Record<string, string>> = request?.headers ?? {}
    const body = request?.body ?? ''
    expect(headers).toMatchObject({ 'content-type': 'application/json', 'webhook-id': delivery?.eventId })
    expect(body).toBe(delivery?.body)
    const secret = webhookSecret(scene.world.secretKey, scene.webhook, { salt: 'salt' })
    expect(secret).toMatch(/^whsec_[A-Za-z0-9+/]{43}=$/)
    const { 'webhook-id': id, 'webhook-timestamp': seconds, 'webhook-signature': signature } = headers
    // The clock of this world stands still in another year than the library's, which would find it too old.
    expect(Number(seconds)).toBe(Math.floor(scene.world.now().getTime() / 1000))
    expect(signature).toBe(new Verifier(secret).sign(id ?? '', scene.world.now(), body))
    expect(delivery).toMatchObject({ state: 'delivered', attempts: 1 })
  })

  test('is tried eight times, after the waits that are published, and then given up', async () => {
    await using scene = await open(async () => NO)
    await scene.happen()
    const waits: number[] = []
    for (let attempt = 1; attempt <= 8; attempt += 1) {
      await scene.turn()
      const [delivery] = await scene.log()
      expect(delivery?.attempts).toBe(attempt)
      if (delivery?.state === 'pending') waits.push(delivery.dueAt.getTime() - scene.world.now().getTime())
      scene.world.clock.advance(11 * HOUR_MS)
    }
    expect(waits).toEqual([5_000, 300_000, 1_800_000, 7_200_000, 18_000_000, 36_000_000, 36_000_000])
    await scene.turn()
    expect(scene.sent).toHaveLength(8)
    expect(await scene.log()).toMatchObject([
      { state: 'failed', log: Array.from({ length: 8 }, () => ({ status: 500, response: 'no' })) },
    ])
  })

  test.each([0, 0.999])('waits a fifth more or less, by chance: %d', async (chance) => {
    await using scene = await open(async () => NO, { random: () => chance })
    await scene.happen()
    await scene.turn()
    const [delivery] = await scene.log()
    expect((delivery?.dueAt.getTime() ?? 0) - scene.world.now().getTime()).toBe(Math.round(5_000 * (0.8 + 0.4 * chance)))
  })

  test.each([
    ['120', 120_000],
    ['Thu, 01 Jan 1970 00:00:00 GMT', 5_000],
    ['soon', 5_000],
    ['99999999999', 10 * HOUR_MS],
  ])('waits as long as Retry-After says, within reason: %s', async (retryAfter, waitMs) => {
    await using scene = await open(async () => ({ status: 503, retryAfter, body: '' }))
    await scene.happen()
    await scene.turn()
    const [delivery] = await scene.log()
    expect((delivery?.dueAt.getTime() ?? 0) - scene.world.now().getTime()).toBe(waitMs)
  })

  test('tells why there was no answer, and nothing of a fault that is not the endpoint’s', async () => {
    const errors = [new SluiceError('source_unavailable', 'It did not answer in time.'), new Error('a fault of ours')]
    await using scene = await open(async () => {
      throw errors.shift() ?? new Error('asked too often')
    })
    await scene.happen()
    await scene.turn()
    expect(await scene.log()).toMatchObject([{ state: 'pending', log: [{ status: null, error: 'It did not answer in time.' }] }])
    scene.world.clock.advance(HOUR_MS)
    await scene.turn()
    expect((await scene.log())[0]?.log).toHaveLength(1)
    expect(scene.world.observed).toContainEqual({ kind: 'background.failed', task: 'delivery', cause: expect.any(Error) })
  })
})

describe('many of them', () => {
  test('a turn does not wait for an endpoint, and none has more than its places', async () => {
    await using scene = await open((_url, _request, signal) => new Promise((_, fail) => signal.addEventListener('abort', fail)))
    for (let n = 0; n < 10; n += 1) await scene.happen()
    expect(await scene.deliverer.turn()).toBe(true)
    expect(await scene.deliverer.turn()).toBe(false)
    expect(scene.sent).toHaveLength(scene.world.limits.webhookSendsPerEndpointMax)
  })

  test('what is cut off by a shutdown was not begun, and is sent again under the same id', async () => {
    const scene = await open((_url, _request, signal) => new Promise((_, fail) => signal.addEventListener('abort', fail)))
    await scene.happen()
    await scene.deliverer.turn()
    await scene.deliverer[Symbol.asyncDispose]()
    expect(await scene.log()).toMatchObject([{ state: 'pending', attempts: 0, log: [] }])
    await scene.world[Symbol.asyncDispose]()
  })

  test('an endpoint that is gone is disabled, and that is said', async () => {
    await using scene = await open(async () => ({ status: 410, retryAfter: null, body: '' }))
    await scene.happen()
    await scene.turn()
    expect(scene.world.observed).toContainEqual({ kind: 'webhook.disabled', webhookId: scene.webhook.id, because: 'gone' })
    const webhook = await scene.world.database.webhooks.find(scene.webhook.tenantId, scene.webhook.id)
    expect(webhook).toMatchObject({ enabled: false, disabledBecause: 'gone' })
  })
})
