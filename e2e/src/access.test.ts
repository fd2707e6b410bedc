/** Who may do what: every route that our own API has, by Fastify's word, asked by everybody who should not. */
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest'
import { memoryWorld } from '@sluice/core/testing'
import { dialectRoutes } from '@sluice/http/testing'
import { drawSample } from '@sluice/images/samples'
import { type Answer, type Api, answerOf, apiOf, type Json } from './api.ts'
import { newImport, planned } from './import-api.ts'
import { openReceiver, type Receiver } from './receiver.ts'
import { type ServedRoute, watchServers } from './served-routes.ts'
import { openStack, type Stack } from './stack.ts'
import { addTokens } from './token-conditions.ts'

let receiver: Receiver
let stack: Stack
/** Of the public port. */
let served: readonly ServedRoute[]
let ours: Things
let theirs: Things
let tokens: Awaited<ReturnType<typeof addTokens>>

beforeAll(async () => {
  using watch = watchServers()
  receiver = await openReceiver()
  stack = await openStack('embedded', { SLUICE_FETCH_ALLOW: receiver.host })
  served = watch.servers.find(({ origin }) => origin() === stack.api.url)?.routes ?? []
  tokens = await addTokens(stack.databaseUrl)
  ours = await makeThings(stack.api, 1)
  theirs = await makeThings(apiOf(stack.api.url, tokens.stranger), 2)
})
afterAll(async () => {
  await stack?.[Symbol.asyncDispose]()
  await receiver?.[Symbol.asyncDispose]()
})

// ── What there is ───────────────────────────────────────────────────────────────────────────────────────────────────

/** By the names of the parameters that stand for them. */
type Things = Readonly<Record<'ref' | 'image' | 'file' | 'ingest' | 'import' | 'upload' | 'source' | 'event', string>> &
  Readonly<Record<'webhook' | 'delivery' | 'code' | 'tus' | 'digest', string>>

/** One of everything, in the tenant of the token. */
async function makeThings(api: Api, seed: number): Promise<Things> {
  const made = async (method: string, path: string, body: object = {}) => {
    const answer = await api.call(method, path, body)
    expect([path, answer.status < 300, answer.body]).toEqual([path, true, answer.body])
    return answer.body
  }
  const code = `code-${seed}`
  await made('PUT', `/v1/attributes/${code}`)
  await made('PUT', `/v1/channels/${code}`, { locales: [] })
  await made('PUT', `/v1/stores/${code}`, { name: 'English', website: 'base' })
  const image = (await api.addImage(await api.newProduct(), await drawSample({ seed, width: 64, height: 64, format: 'png' })))
    .body
  const ingest = (await api.call('GET', '/v1/ingests')).body['items'][0].id
  const upload = (await made('POST', '/v1/uploads', { bytes: 100 }))['id']
  const tus = await api.send('POST', '/v1/tus', { headers: { ...TUS, 'upload-length': '10' } })
  const { source, event } = await receiveEvent(api, made)
  const bulk = await newImport(api)
  await planned(api, bulk)
  const webhook = (await made('POST', '/v1/webhooks', { url: receiver.url('/'), events: ['ingest.failed'] }))['id']
  const delivery = (await made('POST', `/v1/webhooks/${webhook}/test`))['id']
  // What goes on by itself is over before anybody compares.
  await settled(api, `/v1/hook-sources/${source}/events/${event}`, 'quarantined')
  await settled(api, `/v1/webhooks/${webhook}/deliveries/${delivery}`, 'delivered')
  return {
    ref: image['product_id'],
    image: image['id'],
    file: image['file'].id,
    digest: image['file'].sha256,
    import: bulk,
    ingest,
    upload,
    source,
    event,
    webhook,
    delivery,
    code,
    tus: tus.headers.get('location')?.split('/').at(-1) ?? '',
  }
}

function settled(api: Api, path: string, state: string): Promise<void> {
  const look = async () => expect((await api.call('GET', path)).body).toMatchObject({ state })
  return vi.waitFor(look, { timeout: 60_000, interval: 100 })
}

const TUS = { 'tus-resumable': '1.0.0' }

async function receiveEvent(api: Api, made: (method: string, path: string, body: object) => Promise<Json>) {
  const mapping = { product: { sku: '/sku' }, source: { url: '/url' } }
  const given = { name: 'Bucket', verifier: { kind: 's3' }, secrets: ['a-token-for-events'], mapping }
  const source = (await made('POST', '/v1/hook-sources', given))['id']
  const sent = await api.send('POST', `/v1/hooks/${source}`, { token: 'a-token-for-events', body: '{}' })
  expect(sent.status).toBe(200)
  const event = (await api.call('GET', `/v1/hook-sources/${source}/events`)).body['items'][0].id
  return { source, event }
}

/** All that can be seen of ours. */
async function everything(): Promise<unknown> {
  const paths = routes()
    .filter(({ method, url }) => method === 'GET' && !url.endsWith('/events') && !/content|thumbnail/.test(url))
    .map((route) => pathOf(route, ours))
  return Promise.all(paths.map(async (path) => [path, (await stack.api.call('GET', path)).body]))
}

// ── Requests ────────────────────────────────────────────────────────────────────────────────────────────────────────

/** Ours, but for those that a permission of another kind opens, which their own tests try. */
function routes(): readonly ServedRoute[] {
  return served.filter(({ url, access }) => url.startsWith('/v1/') && access !== 'public')
}

/** A parameter that is not known here is a route that this test must learn. */
function pathOf({ url }: ServedRoute, things: Things): string {
  return url.replace(/:(\w+)/g, (parameter, name: string) => {
    const value = { ...things, ...(url.startsWith('/v1/tus') && { upload: things.tus }) }[name as keyof Things]
    if (!value) throw new Error(`what stands for ${parameter} in ${url}?`)
    return value
  })
}

/** Bodies that are right, so that nothing but who asks can be wrong. */
function bodyOf({ method, url }: ServedRoute): object | undefined {
  if (url.startsWith('/v1/tus')) return undefined
  if (method === 'POST') return {}
  if (method === 'PUT') return url.endsWith('order') ? { images: [] } : { image_id: null }
  if (method !== 'PATCH') return undefined
  const fields = { images: { label: 'x' }, 'hook-sources': { name: 'x' }, webhooks: { enabled: true } }
  return Object.entries(fields).find(([part]) => url.includes(`/${part}/`))?.[1] ?? { title: 'x' }
}

async function ask(route: ServedRoute, token: string | null, things: Things, more: Record<string, string> = {}): Promise<Answer> {
  const body = token === null ? undefined : bodyOf(route)
  const json = { 'content-type': 'application/json', 'if-match': '*' }
  const tus = { ...TUS, 'content-type': 'application/offset+octet-stream', 'upload-offset': '0' }
  const headers = { ...(route.url.startsWith('/v1/tus') ? tus : body && json), ...more }
  const path = pathOf(route, things)
  return answerOf(await stack.api.send(route.method, path, { token, headers, ...(body && { body: JSON.stringify(body) }) }))
}

const isRead = ({ method }: ServedRoute) => method === 'GET' || method === 'HEAD'

// ── Who asks ────────────────────────────────────────────────────────────────────────────────────────────────────────

describe('who may do what', () => {
  test('no route of the public port is left out: each is tried here, with the dialects, or is for everybody', async () => {
    await using world = memoryWorld()
    const dialects = await dialectRoutes({ ...world, secretKey: 'not used' })
    const nameOf = ({ method, url }: { method: string; url: string }) => `${method} ${url}`
    const tried = new Set([...routes(), ...dialects].map(nameOf))
    expect(served.length).toBeGreaterThan(150)
    const open = served.map(nameOf).filter((name) => !tried.has(name) && !/^(GET|HEAD) \/docs(\/|$)/.test(name))
    expect(open).toEqual([
      'GET /v1/openapi.json',
      'HEAD /v1/openapi.json',
      'PUT /v1/uploads/:upload/content',
      'POST /v1/hooks/:source',
      'GET /media/:key/*',
      'HEAD /media/:key/*',
    ])
    expect(served.filter(({ url, access }) => access === null && !url.startsWith('/docs'))).toEqual([])
  })

  test('every route asks for a token that is known and good', async () => {
    const before = await everything()
    for (const route of routes()) {
      for (const token of [null, 'wrong', tokens.revoked, tokens.expired]) {
        const answer = await ask(route, token, ours)
        expect([route.method, route.url, answer.status]).toEqual([route.method, route.url, 401])
        expect(answer.headers.get('www-authenticate')).toContain('Bearer')
      }
      expect((await ask(route, null, ours, { authorization: `Basic ${stack.token}` })).status).toBe(401)
    }
    expect(await everything()).toEqual(before)
  })

  test('a reader reads and changes nothing, a writer administers nothing', async () => {
    const before = await everything()
    for (const route of routes()) {
      const { status } = await ask(route, tokens.reader, ours)
      expect([route.method, route.url, status]).toEqual([route.method, route.url, route.access === 'reader' ? 200 : 403])
      expect([route.method, route.url, route.access === 'reader']).toEqual([
        route.method,
        route.url,
        isRead(route) && !isTus(route),
      ])
    }
    for (const route of routes().filter(({ access }) => access === 'admin')) {
      const { status } = await ask(route, tokens.writer, ours)
      expect([route.method, route.url, status]).toEqual([route.method, route.url, 403])
    }
    expect(await everything()).toEqual(before)
  })

  test('what a route does not have it tells nobody more of, and no other site may ask', async () => {
    for (const url of new Set(served.map((route) => route.url))) {
      const path = url.startsWith('/v1/') ? pathOf({ method: '', url, access: null }, ours) : url.replace(/[:*]\w*/g, 'x')
      const headers = { origin: 'https://evil.example', 'access-control-request-method': 'PUT' }
      const { status, headers: said } = await answerOf(await stack.api.send('OPTIONS', path, { token: null, headers }))
      // OpenMage has a status of its own for it.
      const expected = url.startsWith('/v1/tus') ? 401 : url.startsWith('/api/rest/products') ? 400 : 405
      expect([url, status]).toEqual([url, expected])
      expect([...said.keys()].filter((name) => name.startsWith('access-control-'))).toEqual([])
    }
  })

  test("operators' addresses are not on the public port", async () => {
    for (const path of ['/metrics', '/health', '/ready', '/queues', '/login']) {
      expect([path, (await stack.api.send('GET', path)).status]).toEqual([path, 404])
    }
  })
})

const isTus = ({ url }: ServedRoute) => url.startsWith('/v1/tus')

describe('another tenant', () => {
  test('finds nothing of ours, whatever it is called', async () => {
    const before = await everything()
    for (const route of routes().filter(({ url }) => url.includes(':'))) {
      // A code is whoever's that defines it, and one that is not there is as good as removed; these two of tus are about no upload.
      if (route.url.endsWith(':code') ? /PUT|DELETE/.test(route.method) : isTus(route) && /POST|OPTIONS/.test(route.method))
        continue
      const { status, body } = await ask(route, tokens.stranger, ours)
      expect([route.method, route.url, status, body]).toEqual([route.method, route.url, 404, body])
    }
    expect(await everything()).toEqual(before)
  })

  test('finds nothing of ours below what is its own', async () => {
    const before = await everything()
    const nested = routes().filter(({ url }) => url.split(':').length > 2)
    expect(nested.length).toBeGreaterThan(8)
    const mixed = { ...ours, ref: theirs.ref, source: theirs.source, webhook: theirs.webhook }
    for (const route of nested) {
      const { status, body } = await ask(route, tokens.stranger, mixed)
      expect([route.method, route.url, status, body]).toEqual([route.method, route.url, 404, body])
    }
    expect(await everything()).toEqual(before)
  })

  test('sees nothing of ours in any list', async () => {
    const ids = new Set(Object.values(ours))
    for (const route of routes().filter(({ method, url }) => method === 'GET' && !url.endsWith('/content'))) {
      const { status, body } = await ask(route, tokens.stranger, theirs)
      expect([route.url, status]).toEqual([route.url, 200])
      for (const id of ids) expect([route.url, JSON.stringify(body)]).not.toEqual([route.url, expect.stringContaining(id)])
    }
  })

  test('can name nothing of ours in what it asks for', async () => {
    const before = await everything()
    const { ref, image, file, digest, event } = ours
    const product = `/v1/products/${theirs.ref}`
    const refused = [
      ['POST', `${product}/images`, { file_id: file }, 'file_reference_unknown'],
      ['PATCH', `${product}/images/${theirs.image}`, { file_id: file }, 'request_invalid'],
      ['PUT', `${product}/images/order`, { images: [image] }, 'order_incomplete'],
      ['PUT', `${product}/images/order`, { images: [theirs.image, image] }, 'order_incomplete'],
      ['PUT', `${product}/main_image`, { image_id: image }, 'image_unknown'],
      ['POST', '/v1/uploads', { bytes: 10, product: ref }, 'product_unknown'],
    ] as const
    const as = apiOf(stack.api.url, tokens.stranger)
    for (const [method, path, body, code] of refused) {
      const answer = await as.call(method, path, body, { 'if-match': '*', prefer: 'wait=60' })
      expect([method, path, body, answer.body['code']]).toEqual([method, path, body, code])
    }
    expect((await as.call('POST', '/v1/files/check', { digests: [digest] })).body['files']).toEqual({ [digest]: null })
    const redriven = await as.call('POST', `/v1/hook-sources/${theirs.source}/redrive`, { events: [event] })
    expect(redriven.body).toEqual({ events: 0 })
    const metadata = `filename ${Buffer.from('x.png').toString('base64')},product ${Buffer.from(ref).toString('base64')}`
    const resumable = await as.send('POST', '/v1/tus', {
      headers: { ...TUS, 'upload-length': '10', 'upload-metadata': metadata },
    })
    expect([resumable.status, (await resumable.text()).includes('product_unknown')]).toEqual([404, true])
    expect(await everything()).toEqual(before)
  })
})

test('no secret was logged', () => {
  const log = stack.log()
  expect(log.length).toBeGreaterThan(0)
  for (const secret of [stack.token, ...Object.values(tokens)]) expect(log).not.toContain(secret)
})
