/** Webhooks out, from the receiver's side: docs/webhooks-out.md. */
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest'
import { drawSample } from '@sluice/images/samples'
import type { Json } from './api.ts'
import { openReceiver, type Receiver, type Received, verify } from './receiver.ts'
import { openStack, RUNNABLE, type Stack } from './stack.ts'

const EVENTS = ['ingest.committed', 'ingest.rejected', 'ingest.failed', 'product.images_changed']
const SOON = { timeout: 30_000, interval: 50 }

let receiver: Receiver
let stack: Stack
let opened: AsyncDisposableStack

beforeEach(async () => {
  opened = new AsyncDisposableStack()
  receiver = opened.use(await openReceiver())
})
afterEach(() => opened.disposeAsync())

async function start(limits: Record<string, string> = {}, wiring: Parameters<typeof openStack>[0] = 'embedded'): Promise<void> {
  stack = opened.use(
    await openStack(wiring, {
      SLUICE_FETCH_ALLOW: receiver.host,
      // The published waits, but none longer than this.
      SLUICE_LIMIT_WEBHOOK_RETRY_MS_MAX: '100',
      SLUICE_LIMIT_WEBHOOK_PAUSE_MS_MIN: '100',
      SLUICE_LIMIT_WEBHOOK_PAUSE_MS_MAX: '200',
      SLUICE_LIMIT_WEBHOOK_SEND_MS_MAX: '3000',
      SLUICE_LIMIT_WEBHOOK_IDLE_MS: '100',
      ...limits,
    }),
  )
}

async function subscribe(path: string, events: readonly string[] = EVENTS): Promise<Json> {
  const { status, body } = await stack.api.call('POST', '/v1/webhooks', { url: receiver.url(path), events })
  expect(status).toBe(201)
  return body
}

const jpeg = (seed: number) => drawSample({ seed, width: 60, height: 40, format: 'jpeg' })
const read = async (webhook: Json) => (await stack.api.call('GET', webhook['links'].self)).body
const deliveries = async (webhook: Json, query = '') =>
  (await stack.api.call('GET', `${webhook['links'].deliveries}?limit=100${query}`)).body['items'] as Json[]
const settled = (webhook: Json) =>
  vi.waitFor(async () => expect((await deliveries(webhook)).filter(({ state }) => state === 'pending')).toEqual([]), SOON)
const eventIds = async (webhook: Json) => (await deliveries(webhook)).map((one) => String(one['event_id'])).toSorted()
const ids = (all: readonly Received[]) => all.map(({ id }) => id)
const dataOf = (all: readonly Received[], type: string) =>
  all.filter(({ event }) => event.type === type).map(({ event }) => event.data)
/** A change of the order, which is an event and needs no image. */
const change = (product: string) =>
  stack.api
    .call('PUT', `${product}/images/order`, { images: [] }, { 'if-match': '*' })
    .then(({ status }) => expect(status).toBe(200))

describe.each(RUNNABLE)('what is told, %s', (wiring) => {
  test('every event reaches its receiver, signed, and in the order of its product', async () => {
    await start({}, wiring)
    const webhook = await subscribe('/all')
    const [product, other] = [await stack.api.newProduct(), await stack.api.newProduct()]
    for (let seed = 1; seed <= 3; seed += 1) {
      expect((await stack.api.addImage(product, await jpeg(seed))).status).toBe(201)
      expect((await stack.api.addImage(other, await jpeg(seed))).status).toBe(201)
    }
    const broken = (await jpeg(9)).subarray(0, 200)
    expect((await stack.api.addImage(product, broken)).status).toBe(422)

    await vi.waitFor(() => expect(dataOf(receiver.received('/all'), 'ingest.rejected')).toHaveLength(1), SOON)
    await settled(webhook)
    const all = receiver.received('/all')
    for (const one of all) {
      verify(webhook['secret'], one)
      expect(() => verify(webhook['secret'], { ...one, body: `${one.body} ` })).toThrow(/signature/)
    }
    expect(new Set(ids(all)).size).toBe(all.length)
    expect(ids(all).toSorted()).toEqual(await eventIds(webhook))

    const productId = product.split('/').at(-1)
    const versions = dataOf(all, 'product.images_changed').filter((data) => data['product_id'] === productId)
    expect(versions.map((data) => data['version'])).toEqual([2, 3, 4])
    expect(dataOf(all, 'ingest.committed')).toHaveLength(6)
    expect(dataOf(all, 'ingest.rejected')[0]).toMatchObject({
      product_id: productId,
      error: { code: expect.stringMatching(/^image_/) },
    })
    const { body } = await stack.api.call('GET', `${product}/images`)
    expect(body['version']).toBe(versions.at(-1)?.['version'])
  })
})

describe('an endpoint that does not take it', () => {
  test('is asked again after a 500, with the same id, and what comes later waits for its turn', async () => {
    await start()
    receiver.behave('/moody', (_received, response, times) => void response.writeHead(times <= 3 ? 500 : 200).end('no'))
    const webhook = await subscribe('/moody')
    const product = await stack.api.newProduct()
    for (let seed = 1; seed <= 2; seed += 1) await stack.api.addImage(product, await jpeg(seed))
    await vi.waitFor(() => expect(receiver.received('/moody').length).toBeGreaterThanOrEqual(7), SOON)
    await settled(webhook)
    const [first, ...rest] = ids(receiver.received('/moody'))
    expect(rest.slice(0, 3)).toEqual([first, first, first])
    expect(new Set(rest.slice(3)).size).toBe(3)
    const log = (await deliveries(webhook)).at(-1)
    expect(log).toMatchObject({ state: 'delivered', attempts: 4, event_id: first })
    expect(log?.['log'].map((attempt: Json) => [attempt['status'], attempt['response']])).toEqual([
      ...Array.from({ length: 3 }, () => [500, 'no']),
      [200, 'no'],
    ])
  })

  test('is given up after the eighth attempt, and the next event of the product goes on', async () => {
    await start()
    const product = await stack.api.newProduct()
    receiver.behave('/deaf', ({ event }, response) => void response.writeHead(event.data['version'] === 2 ? 500 : 204).end())
    const webhook = await subscribe('/deaf', ['product.images_changed'])
    for (let seed = 1; seed <= 2; seed += 1) await stack.api.addImage(product, await jpeg(seed))
    await vi.waitFor(async () => expect(await deliveries(webhook, '&state=delivered')).toHaveLength(1), SOON)
    expect(await deliveries(webhook, '&state=failed')).toMatchObject([{ attempts: 8, next_attempt_at: null }])
    expect(receiver.received('/deaf').map(({ event }) => event.data['version'])).toEqual([2, 2, 2, 2, 2, 2, 2, 2, 3])
  })

  test('is left alone as long as it asks for, and its sibling is not', async () => {
    await start()
    receiver.behave(
      '/busy',
      (_received, response, times) => void response.writeHead(times === 1 ? 429 : 204, { 'retry-after': '2' }).end(),
    )
    const [busy, calm] = [await subscribe('/busy'), await subscribe('/calm')]
    for (let n = 0; n < 4; n += 1) await change(await stack.api.newProduct())
    await vi.waitFor(() => expect(receiver.received('/calm')).toHaveLength(4), SOON)
    await settled(calm)
    await settled(busy)
    // Whoever was told to wait has a second line, and it is that much later.
    const waited = (await deliveries(busy)).filter(({ log }) => log.length > 1)
    expect(waited.length).toBeGreaterThan(0)
    for (const { log } of waited) expect(Date.parse(log[1].at) - Date.parse(log[0].at)).toBeGreaterThanOrEqual(2000)
    expect(new Set(ids(receiver.received('/busy')))).toEqual(new Set(ids(receiver.received('/calm'))))
  })

  test('is disabled when it says that it is gone, and takes up again when it is enabled', async () => {
    await start()
    receiver.behave('/gone', (_received, response, times) => void response.writeHead(times === 1 ? 410 : 204).end())
    const webhook = await subscribe('/gone')
    const product = await stack.api.newProduct()
    await change(product)
    await vi.waitFor(async () => expect(await read(webhook)).toMatchObject({ enabled: false, disabled_because: 'gone' }), SOON)
    expect(stack.log()).toContain('webhook.disabled')
    await change(product)
    expect(await deliveries(webhook)).toMatchObject([{ state: 'failed' }])
    const enabled = await stack.api.call('PATCH', webhook['links'].self, { enabled: true })
    expect(enabled.body).toMatchObject({ enabled: true, disabled_because: null, failures: 0 })
    await change(product)
    await vi.waitFor(() => expect(receiver.received('/gone')).toHaveLength(2), SOON)
  })

  test('leads nowhere by a redirect, and what it answers is kept only in its beginning', async () => {
    await start()
    const location = receiver.url('/elsewhere')
    receiver.behave('/moved', (_received, response) => void response.writeHead(307, { location }).end('x'.repeat(100_000)))
    const webhook = await subscribe('/moved')
    await change(await stack.api.newProduct())
    await vi.waitFor(async () => expect((await deliveries(webhook))[0]?.['log']).not.toEqual([]), SOON)
    const [delivery] = await deliveries(webhook)
    expect(delivery?.['log'][0]).toMatchObject({ status: 307, response: 'x'.repeat(4096), error: null })
    expect(receiver.received('/elsewhere')).toEqual([])
  })

  test('holds up nobody else while it hangs: the good one beside it gets everything', async () => {
    await start({ SLUICE_LIMIT_WEBHOOK_SENDS_MAX: '8' })
    receiver.behave('/hangs', () => undefined)
    const [hanging, good] = [await subscribe('/hangs'), await subscribe('/good')]
    for (let n = 0; n < 30; n += 1) await change(await stack.api.newProduct())
    await vi.waitFor(() => expect(receiver.received('/good')).toHaveLength(30), SOON)
    await settled(good)
    expect(ids(receiver.received('/good')).toSorted()).toEqual(await eventIds(good))
    await vi.waitFor(async () => {
      const failed = (await deliveries(hanging)).find((one) => one['log'].length > 0)
      expect(failed?.['log'][0]).toMatchObject({ status: null, error: 'It did not answer in time.' })
    }, SOON)
    expect((await read(hanging))['failures']).toBeGreaterThan(0)
    expect((await read(good))['failures']).toBe(0)
  })
})

describe('what is said again', () => {
  test('one delivery, and those of a time, under the ids that they had', async () => {
    await start()
    const webhook = await subscribe('/again')
    const product = await stack.api.newProduct()
    for (let n = 0; n < 3; n += 1) await change(product)
    await vi.waitFor(() => expect(receiver.received('/again')).toHaveLength(3), SOON)
    await settled(webhook)
    const first = (await deliveries(webhook)).at(-1)
    const again = await stack.api.call('POST', `${first?.['links'].self}/redeliver`)
    expect([again.status, again.body['event_id'], again.headers.get('location')]).toEqual([
      202,
      first?.['event_id'],
      again.body['links'].self,
    ])
    await vi.waitFor(() => expect(receiver.received('/again')).toHaveLength(4), SOON)
    await settled(webhook)
    const range = await stack.api.call('POST', `${webhook['links'].self}/redeliver`, { from: first?.['created_at'] })
    expect([range.status, range.body]).toEqual([202, { deliveries: 3 }])
    await vi.waitFor(() => expect(receiver.received('/again')).toHaveLength(7), SOON)
    const [a, b, c] = ids(receiver.received('/again'))
    expect(ids(receiver.received('/again'))).toEqual([a, b, c, a, a, b, c])
    for (const one of receiver.received('/again')) verify(webhook['secret'], one)
  })

  test('a test event comes whatever is subscribed to', async () => {
    await start()
    const webhook = await subscribe('/test', ['ingest.failed'])
    const sent = await stack.api.call('POST', `${webhook['links'].self}/test`)
    expect(sent).toMatchObject({ status: 202, body: { type: 'webhook.test' } })
    await vi.waitFor(() => expect(receiver.received('/test')).toHaveLength(1), SOON)
    expect(receiver.received('/test')[0]).toMatchObject({ id: sent.body['event_id'], body: sent.body['body'] })
    await vi.waitFor(async () =>
      expect((await stack.api.call('GET', sent.body['links'].self)).body).toMatchObject({ state: 'delivered' }),
    )
  })
})

describe('secrets', () => {
  test('a rotated one is beside the new one for its time, and then void; neither is shown again, or logged', async () => {
    await start({ SLUICE_LIMIT_WEBHOOK_ROTATION_MS_MAX: '4000' })
    const webhook = await subscribe('/rotated')
    const rotated = await stack.api.call('POST', `${webhook['links'].self}/rotate`)
    const [old, next] = [webhook['secret'], rotated.body['secret']] as [string, string]
    expect(next).toMatch(/^whsec_[A-Za-z0-9+/]{43}=$/)
    expect(next).not.toBe(old)
    expect(rotated.body['secrets']).toBe(2)

    await stack.api.call('POST', `${webhook['links'].self}/test`)
    await vi.waitFor(() => expect(receiver.received('/rotated')).toHaveLength(1), SOON)
    const [both] = receiver.received('/rotated') as [Received]
    for (const secret of [old, next]) verify(secret, both)

    await vi.waitFor(async () => expect((await read(webhook))['secrets']).toBe(1), SOON)
    await stack.api.call('POST', `${webhook['links'].self}/test`)
    await vi.waitFor(() => expect(receiver.received('/rotated')).toHaveLength(2), SOON)
    const one = receiver.received('/rotated')[1] as Received
    verify(next, one)
    expect(() => verify(old, one)).toThrow(/signature/)

    const listed = await stack.api.send('GET', '/v1/webhooks').then((answer) => answer.text())
    for (const secret of [old, next]) expect(listed + stack.log()).not.toContain(secret.slice('whsec_'.length))
  })
})

test('addresses that are not of the public internet are refused', async () => {
  await start()
  const webhook = await subscribe('/fine')
  for (const url of [
    'http://example.com/',
    'https://127.0.0.1/',
    'https://[::1]/',
    'https://169.254.169.254/latest',
    'https://example.com:22/',
    'https://user:pass@example.com/',
    'file:///etc/passwd',
    'javascript:alert(1)',
    'example.com',
  ]) {
    const refusal = { status: 400, body: { code: 'request_invalid', errors: [{ field: 'url' }] } }
    expect(await stack.api.call('POST', '/v1/webhooks', { url, events: EVENTS })).toMatchObject(refusal)
    expect(await stack.api.call('PATCH', webhook['links'].self, { url })).toMatchObject(refusal)
  }
  expect((await stack.api.call('GET', '/v1/webhooks')).body['items']).toMatchObject([{ url: webhook['url'] }])
})
