/** Who may do what: each route that a dialect has, asked by everybody who should not. */
import { randomUUID } from 'node:crypto'
import postgres from 'postgres'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { hashToken } from '@sluice/core'
import { memoryWorld } from '@sluice/core/testing'
import { type DialectRoute, dialectRoutes } from '@sluice/http/testing'
import { drawSample } from '@sluice/images/samples'
import { answerOf, type Answer, type Json } from '../api.ts'
import { openStack, type Stack } from '../stack.ts'

let stack: Stack
let routes: readonly DialectRoute[]
let png: Buffer
/** What there is, and what a stranger has. */
let ours: Things
let theirs: Things
const SECRETS = {
  reader: randomUUID(),
  revoked: randomUUID(),
  expired: randomUUID(),
  stranger: randomUUID(),
  leaver: randomUUID(),
}
/** Bought with a token that was revoked afterwards. */
let issued: string

beforeAll(async () => {
  stack = await openStack('embedded', { SLUICE_GUEST_TENANT: 'default' })
  await using world = memoryWorld()
  routes = await dialectRoutes({ ...world, secretKey: 'not used' })
  png = await drawSample({ seed: 1, width: 24, height: 16, format: 'png' })
  const leaver = await addTokens()
  ours = await makeThings(stack.token)
  theirs = await makeThings(SECRETS.stranger)
  issued = (await buy(leaver, SECRETS.leaver)).body['access_token']
  const { status } = await ask({ method: 'GET', path: '/v2/files' }, { authorization: `Bearer ${issued}` })
  expect(status).toBe(200)
  await sql((query) => query`update tokens set revoked_at = now() where id = ${leaver}`)
})
afterAll(async () => stack?.[Symbol.asyncDispose]())

async function sql<Result>(act: (query: postgres.Sql) => Promise<Result>): Promise<Result> {
  const query = postgres(stack.databaseUrl, { max: 1 })
  try {
    return await act(query)
  } finally {
    await query.end()
  }
}

/** Rows that no API makes: another tenant, and tokens of every condition. Answers the id of the one that is to be revoked. */
function addTokens(): Promise<string> {
  return sql(async (query) => {
    const [own] = await query`select id from tenants where name = 'default'`
    const [other] = await query`insert into tenants (id, name) values (${randomUUID()}, 'other') returning id`
    const add = async (tenant: unknown, role: string, secret: string, more: object = {}) => {
      const id = randomUUID()
      const row = { id, tenant_id: tenant as string, name: role, role, sha256: hashToken(secret), prefix: 'x', ...more }
      await query`insert into tokens ${query(row)}`
      return id
    }
    await add(own?.['id'], 'reader', SECRETS.reader)
    await add(own?.['id'], 'admin', SECRETS.revoked, { revoked_at: new Date() })
    await add(own?.['id'], 'admin', SECRETS.expired, { expires_at: new Date(Date.now() - 1_000) })
    await add(other?.['id'], 'admin', SECRETS.stranger)
    return add(own?.['id'], 'admin', SECRETS.leaver)
  })
}

async function buy(id: string, secret: string): Promise<Answer> {
  const body = new URLSearchParams({ grant_type: 'client_credentials', client_id: id, client_secret: secret })
  return answerOf(await stack.api.send('POST', '/oauth/access_token', { token: null, body }))
}

// ── What there is ───────────────────────────────────────────────────────────────────────────────────────────────────

interface Things {
  readonly product: Json
  readonly image: Json
  readonly code: string
  readonly hierarchy: string
  readonly node: string
  readonly other: string
}

/** One of everything, in the tenant of the token. */
async function makeThings(token: string): Promise<Things> {
  const call = async (method: string, path: string, body?: object) => {
    const sent = body && { body: JSON.stringify(body), headers: { 'content-type': 'application/json' } }
    const answer = await answerOf(await stack.api.send(method, path, { token, ...sent }))
    expect([path, answer.status < 300, answer.body]).toEqual([path, true, answer.body])
    return answer.body
  }
  await call('PUT', '/v1/attributes/picture', {})
  await call('PUT', '/v1/stores/english', { name: 'English', website: 'base' })
  const product = await call('POST', '/v1/products', { sku: randomUUID() })
  const form = await stack.api.send('POST', '/api/rest/v1/media-files', { token, body: mediaFile(product['sku']) })
  const code = /media-files\/(.+)$/.exec(form.headers.get('location') ?? '')?.[1] ?? ''
  expect(code).not.toBe('')
  const { images } = await call('GET', `/v1/products/${product['id']}/images`)
  const made = (type: string, name: string) => ({ data: { type, attributes: { name } } })
  const hierarchy = (await call('POST', '/pcm/hierarchies', made('hierarchy', 'H')))['data'].id
  const node = async (name: string) => (await call('POST', `/pcm/hierarchies/${hierarchy}/nodes`, made('node', name)))['data'].id
  return { product, image: images[0], code, hierarchy, node: await node('A'), other: await node('B') }
}

function mediaFile(sku: string): FormData {
  const body = new FormData()
  body.set('product', JSON.stringify({ identifier: sku, attribute: 'picture', scope: null, locale: null }))
  body.set('file', new Blob([new Uint8Array(png)], { type: 'image/png' }), 'photo.png')
  return body
}

/** All that can be seen of it. */
async function everything(): Promise<unknown> {
  const { product, hierarchy } = ours
  const paths = [
    `/v1/products/${product['id']}`,
    `/v1/products/${product['id']}/images`,
    '/v2/files?page[limit]=100',
    '/pcm/products',
    '/pcm/hierarchies',
    `/pcm/hierarchies/${hierarchy}/nodes`,
  ]
  return Promise.all(paths.map(async (path) => (await stack.api.call('GET', path)).body))
}

// ── Requests ────────────────────────────────────────────────────────────────────────────────────────────────────────

interface Ask {
  readonly method: string
  readonly path: string
  readonly body?: object
}

/** The address of a route, filled in. A parameter that is not known here is a route that this test must learn. */
function addressOf(url: string, { product, image, code, hierarchy, node }: Things): string {
  const values: Readonly<Record<string, string>> = {
    id: String(product['number']),
    product: String(product['number']),
    productID: product['id'],
    image: String(image['number']),
    fileID: image['file'].id,
    hierarchyID: hierarchy,
    nodeID: node,
    store: '1',
    '*': code,
  }
  return url.replace(/:(\w+)|\*/g, (parameter, name?: string) => {
    const value = values[name ?? '*']
    if (value === undefined) throw new Error(`what stands for ${parameter} in ${url}?`)
    return value
  })
}

/** Bodies that are right, so that nothing but who asks can be wrong. */
function bodyOf({ method, url }: DialectRoute, things: Things): object | undefined {
  if (method === 'GET' || method === 'HEAD' || method === 'DELETE') return url.endsWith('/files') ? filesOf(things) : undefined
  const file = { type: 'file', id: things.image['file'].id }
  const node = { type: 'node', id: things.other }
  const found = Object.entries({
    '/api/rest/products/': { file_mime_type: 'image/png', file_content: png.toString('base64'), label: 'x' },
    '/api/rest/v1/media-files': mediaFile(things.product['sku']),
    '/api/products/': method === 'PATCH' ? { alt_text: 'x' } : imageForm(),
    '/v2/files': imageForm('file'),
    '/pcm/products$': { data: { type: 'product', attributes: { name: 'x' } } },
    '/main_image$': { data: file },
    '/relationships/files$': filesOf(things),
    '/pcm/hierarchies$': { data: { type: 'hierarchy', attributes: { name: 'x' } } },
    '/pcm/hierarchies/:hierarchyID$': { data: { type: 'hierarchy', attributes: { name: 'x' } } },
    '/nodes$': { data: { type: 'node', attributes: { name: 'x' } } },
    '/nodes/:nodeID$': { data: { type: 'node', id: things.node, attributes: { name: 'x' } } },
    '/relationships/children$': { data: [node] },
    '/relationships/parent$': { data: node },
  }).find(([pattern]) => new RegExp(pattern).test(url))
  if (!found) throw new Error(`what does ${method} ${url} take?`)
  return found[1]
}

function filesOf({ image }: Things): object {
  return { data: [{ type: 'file', id: image['file'].id }] }
}

function imageForm(part = 'image'): FormData {
  const body = new FormData()
  body.set(part, new Blob([new Uint8Array(png)], { type: 'image/png' }), 'photo.png')
  return body
}

function guarded(): readonly DialectRoute[] {
  return routes.filter(({ access }) => access !== 'public')
}

function asking(route: DialectRoute, things: Things): Ask {
  const body = route.method === 'GET' || route.method === 'HEAD' ? undefined : bodyOf(route, things)
  return { method: route.method, path: addressOf(route.url, things), ...(body && { body }) }
}

async function ask({ method, path, body }: Ask, headers: Record<string, string>): Promise<Answer> {
  const isForm = body instanceof FormData
  const sent = body && {
    body: isForm ? body : JSON.stringify(body),
    headers: { ...headers, ...(!isForm && { 'content-type': 'application/json' }) },
  }
  return answerOf(await stack.api.send(method, path, { token: null, headers, ...sent }))
}

const bearer = (secret: string) => ({ authorization: `Bearer ${secret}` })
const isRead = ({ method }: DialectRoute) => method === 'GET' || method === 'HEAD'
/** Its own way of saying that it has no such method here. */
const isMissing = ({ dialect, method, url }: DialectRoute) =>
  dialect === 'openmage' && (url.includes('/:image') ? method === 'POST' : method === 'PUT' || method === 'DELETE')
/** What is said to somebody for whom nothing of it is there; lists are then empty, and what is new is their own. */
function strangersStatus(route: DialectRoute): number {
  if (isMissing(route)) return 405
  if (!isCollection(route)) return 404
  if (isRead(route)) return 200
  return route.dialect === 'akeneo' ? 422 : 201
}

/** Addresses of nothing in particular. */
const isCollection = ({ url }: DialectRoute) => !/[:*]/.test(url)

// ── Who asks ────────────────────────────────────────────────────────────────────────────────────────────────────────

describe('each route of each dialect', () => {
  test('says who may call it, and few are for everybody', () => {
    expect(routes.length).toBeGreaterThan(60)
    expect(routes.filter(({ access }) => access === 'public').map(({ method, url }) => `${method} ${url}`)).toEqual([
      'POST /api/oauth/v1/token',
      'POST /oauth/access_token',
    ])
    for (const { method, url, access } of guarded()) {
      const expected = method === 'GET' || method === 'HEAD' ? 'reader' : 'writer'
      expect([method, url, access]).toEqual([method, url, expected])
    }
  })

  test('turns away who has no token, or one that is good no more', async () => {
    const wrong = [
      { authorization: 'Bearer wrong' },
      { authorization: 'Bearer' },
      { authorization: `Basic ${stack.token}` },
      { authorization: stack.token },
      bearer(SECRETS.revoked),
      bearer(SECRETS.expired),
      bearer(issued),
    ]
    const before = await everything()
    for (const route of guarded()) {
      for (const headers of route.dialect === 'openmage' ? wrong : [{}, ...wrong]) {
        const { status, headers: said, body } = await ask(asking(route, ours), headers)
        expect([route.method, route.url, headers, status]).toEqual([route.method, route.url, headers, 401])
        expect(said.get('www-authenticate')).not.toBeNull()
        expect(JSON.stringify(body)).not.toContain(ours.image['file'].id)
      }
    }
    expect(await everything()).toEqual(before)
  })

  test('lets a reader read, and change nothing', async () => {
    const before = await everything()
    for (const route of guarded()) {
      const schemes = route.dialect === 'token-images' ? ['Bearer', 'Token', 'token'] : ['Bearer', 'bearer']
      for (const scheme of schemes) {
        const { status } = await ask(asking(route, ours), { authorization: `${scheme} ${SECRETS.reader}` })
        expect([route.method, route.url, status]).toEqual([route.method, route.url, isRead(route) ? 200 : 403])
      }
    }
    expect(await everything()).toEqual(before)
  })

  test('knows guests in OpenMage alone, and lets them look', async () => {
    const before = await everything()
    for (const route of guarded().filter(({ dialect }) => dialect === 'openmage')) {
      const { status } = await ask(asking(route, ours), {})
      expect([route.method, route.url, status]).toEqual([route.method, route.url, isRead(route) ? 200 : 403])
    }
    expect(await everything()).toEqual(before)
  })

  test('has nothing for another tenant, whatever it is called', async () => {
    const before = await everything()
    for (const route of guarded()) {
      const { status, body } = await ask(asking(route, ours), bearer(SECRETS.stranger))
      expect([route.method, route.url, status, body]).toEqual([route.method, route.url, strangersStatus(route), body])
      // Akeneo says again what was asked for.
      const said = route.dialect === 'akeneo' && status >= 400 ? '' : JSON.stringify(body)
      const { product, image, hierarchy, node, code } = ours
      for (const name of [image['file'].id, product['sku'], hierarchy, node, code]) expect(said).not.toContain(name)
    }
    expect(await everything()).toEqual(before)
  })

  test('takes nothing of ours for a thing of theirs', async () => {
    const mixed: Things = { ...theirs, image: { ...theirs.image, file: ours.image['file'] }, other: ours.other }
    const before = await everything()
    const taking = ['/main_image', '/relationships/files', '/relationships/children', '/relationships/parent']
    const some = guarded().filter(({ method, url }) => /POST|PUT/.test(method) && taking.some((end) => url.endsWith(end)))
    expect(some.length).toBe(7)
    for (const route of some) {
      const { status, body } = await ask(asking(route, mixed), bearer(SECRETS.stranger))
      expect([route.method, route.url, status, body]).toEqual([route.method, route.url, 422, body])
      expect(body['errors'][0].meta.missing_ids).toHaveLength(1)
    }
    const curated = { type: 'node', attributes: { name: 'C', curated_products: [ours.product['id']] } }
    const path = `/pcm/hierarchies/${theirs.hierarchy}/nodes`
    expect((await ask({ method: 'POST', path, body: { data: curated } }, bearer(SECRETS.stranger))).status).toBe(422)
    const attach = { file_id: ours.image['file'].id }
    const image = { method: 'POST', path: `/v1/products/${theirs.product['id']}/images`, body: attach }
    const answer = await ask(image, { ...bearer(SECRETS.stranger), prefer: 'wait=30' })
    expect(answer.body['code']).toBe('file_reference_unknown')
    expect(await everything()).toEqual(before)
  })
})

describe('an address of an image', () => {
  const linkOf = async () =>
    new URL(
      (await ask({ method: 'GET', path: `/v2/files/${ours.image['file'].id}` }, bearer(stack.token))).body['data'].link.href,
    ).pathname

  test('opens that image, and forged it opens nothing', async () => {
    const link = await linkOf()
    const [, , key = '', name = ''] = link.split('/')
    expect((await stack.api.send('GET', link, { token: null })).status).toBe(200)
    const bytes = Buffer.from(key, 'base64url')
    const forged = [
      ...[0, 15, 16, 31, 32, 47].map((at) => Buffer.from(bytes.map((byte, index) => (index === at ? byte ^ 1 : byte)))),
      bytes.subarray(0, 32),
      bytes.subarray(0, 47),
      Buffer.concat([bytes, Buffer.from('x')]),
      Buffer.concat([bytes.subarray(16, 32), bytes.subarray(0, 16), bytes.subarray(32)]),
      Buffer.alloc(48),
      Buffer.alloc(0),
    ]
    for (const other of forged) {
      const { status } = await stack.api.send('GET', `/media/${other.toString('base64url')}/${name}`, { token: null })
      expect([other.toString('hex'), status]).toEqual([other.toString('hex'), 404])
    }
  })
})

test('no secret was logged', async () => {
  const canaries = ['canary-header', 'canary-secret', 'canary-password', 'canary-signature', 'canary-refresh']
  const oauth =
    'oauth_consumer_key="x",oauth_token="canary-header",oauth_signature_method="PLAINTEXT",oauth_signature="canary-signature",oauth_timestamp="1",oauth_nonce="x"'
  for (const authorization of ['Bearer canary-header', 'Token canary-header', `OAuth ${oauth}`, 'canary-header'])
    for (const route of guarded()) await ask(asking(route, ours), { authorization })
  const token = { grant_type: 'password', username: 'x', password: 'canary-password', refresh_token: 'canary-refresh' }
  for (const fields of [token, { ...token, grant_type: 'refresh_token' }, { ...token, grant_type: 'client_credentials' }]) {
    const authorization = `Basic ${Buffer.from('x:canary-secret').toString('base64')}`
    const client = { client_id: 'x', client_secret: 'canary-secret' }
    await ask({ method: 'POST', path: '/api/oauth/v1/token', body: fields }, { authorization })
    await ask({ method: 'POST', path: '/oauth/access_token', body: { ...fields, ...client } }, {})
  }
  const log = stack.log()
  expect(log.length).toBeGreaterThan(0)
  for (const secret of [stack.token, ...Object.values(SECRETS), issued, ...canaries]) expect(log).not.toContain(secret)
  const { data } = (await stack.api.call('GET', `/v2/files/${ours.image['file'].id}`)).body
  expect(stack.log()).not.toContain(new URL(data.link.href).pathname.split('/')[2])
})
