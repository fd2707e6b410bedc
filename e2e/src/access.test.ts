import { randomUUID } from 'node:crypto'
import postgres from 'postgres'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { hashToken } from '@sluice/core'
import { drawSample } from '@sluice/images/samples'
import type { Json } from './api.ts'
import { newImport, planned } from './import-api.ts'
import { openStack, type Stack } from './stack.ts'

let stack: Stack
let image: Json
let ingest: string
let source: string
let webhook: string
let delivery: string
let event: string
let upload: string
let bulk: string
/** Of an attribute, a channel and a store view. */
const CODE = 'default'
const TOKENS = {
  reader: randomUUID(),
  writer: randomUUID(),
  revoked: randomUUID(),
  expired: randomUUID(),
  stranger: randomUUID(),
}

beforeAll(async () => {
  stack = await openStack('embedded')
  const product = await stack.api.newProduct()
  image = (await stack.api.addImage(product, await drawSample({ seed: 1, width: 64, height: 64, format: 'png' }))).body
  await stack.api.call('PUT', `/v1/attributes/${CODE}`, {})
  await stack.api.call('PUT', `/v1/channels/${CODE}`, { locales: [] })
  await stack.api.call('PUT', `/v1/stores/${CODE}`, { name: 'Default', website: 'base' })
  ingest = (await stack.api.call('GET', '/v1/ingests')).body['items'][0].id
  upload = (await stack.api.call('POST', '/v1/uploads', { bytes: 100 })).body['id']
  await receiveEvent()
  bulk = await newImport(stack.api)
  await planned(stack.api, bulk)
  await subscribe()
  await addTokens()
})
afterAll(async () => stack?.[Symbol.asyncDispose]())

async function receiveEvent(): Promise<void> {
  const mapping = { product: { sku: '/sku' }, source: { url: '/url' } }
  const given = { name: 'Bucket', verifier: { kind: 's3' }, secrets: ['a-token-for-events'], mapping }
  source = (await stack.api.call('POST', '/v1/hook-sources', given)).body['id']
  const sent = await stack.api.send('POST', `/v1/hooks/${source}`, { token: 'a-token-for-events', body: '{}' })
  expect(sent.status).toBe(200)
  event = (await stack.api.call('GET', `/v1/hook-sources/${source}/events`)).body['items'][0].id
}

async function subscribe(): Promise<void> {
  const given = { url: 'https://example.com/', events: ['ingest.failed'] }
  webhook = (await stack.api.call('POST', '/v1/webhooks', given)).body['id']
  delivery = (await stack.api.call('POST', `/v1/webhooks/${webhook}/test`)).body['id']
}

/** Rows that no API makes yet: another tenant, and tokens of every condition. */
async function addTokens(): Promise<void> {
  const sql = postgres(stack.databaseUrl, { max: 1 })
  try {
    const [own] = await sql`select id from tenants where name = 'default'`
    const [other] = await sql`insert into tenants (id, name) values (${randomUUID()}, 'other') returning id`
    const add = (tenant: unknown, role: string, secret: string, more: object = {}) =>
      sql`insert into tokens ${sql({ id: randomUUID(), tenant_id: tenant as string, name: role, role, sha256: hashToken(secret), prefix: 'x', ...more })}`
    await add(own?.['id'], 'reader', TOKENS.reader)
    await add(own?.['id'], 'writer', TOKENS.writer)
    await add(own?.['id'], 'admin', TOKENS.revoked, { revoked_at: new Date() })
    await add(own?.['id'], 'admin', TOKENS.expired, { expires_at: new Date(Date.now() - 1000) })
    await add(other?.['id'], 'admin', TOKENS.stranger)
  } finally {
    await sql.end()
  }
}

/** Every route of the OpenAPI document, so that none can be forgotten, with its parameters filled in from what exists. */
async function routes(): Promise<{ method: string; path: string }[]> {
  const { body } = await stack.api.call('GET', '/v1/openapi.json')
  const parameters: Record<string, string> = {
    ref: image['product_id'],
    image: image['id'],
    file: image['file'].id,
    ingest,
    code: CODE,
    source,
    upload,
    event,
    import: bulk,
    webhook,
    delivery,
  }
  return Object.entries(body['paths'] as Record<string, Record<string, Json>>).flatMap(([path, methods]) =>
    Object.entries(methods)
      // Those without a token have a permission of another kind, which their own tests try.
      .filter(([, { security }]) => !isEmpty(security))
      .map(([method]) => ({
        method: method.toUpperCase(),
        path: path.replace(/\{(\w+)\}/g, (_, name: string) => parameters[name] ?? ''),
      })),
  )
}

const isEmpty = (list: unknown) => Array.isArray(list) && list.length === 0

describe('who may do what', () => {
  test('every route asks for a token that is known and good', async () => {
    const all = await routes()
    expect(all.length).toBeGreaterThan(15)
    for (const { method, path } of all) {
      for (const token of [null, 'wrong', TOKENS.revoked, TOKENS.expired]) {
        const answer = await stack.api.send(method, path, { token })
        expect([method, path, answer.status]).toEqual([method, path, 401])
        expect(answer.headers.get('www-authenticate')).toContain('Bearer')
        await answer.body?.cancel()
      }
      const basic = await stack.api.send(method, path, { token: null, headers: { authorization: `Basic ${stack.token}` } })
      expect(basic.status).toBe(401)
      await basic.body?.cancel()
    }
  })

  test('a reader reads and changes nothing', async () => {
    for (const { method, path } of await routes()) {
      const answer = await stack.api.send(method, path, { token: TOKENS.reader })
      expect([method, path, answer.status]).toEqual([method, path, method === 'GET' ? 200 : 403])
      await answer.body?.cancel()
    }
  })

  test('nothing of another tenant is there, whatever its id', async () => {
    for (const { method, path } of await routes()) {
      if (!/[0-9a-f]{8}-/.test(path)) continue
      const body = {
        POST: {},
        PUT: path.endsWith('order') ? { images: [] } : { image_id: null },
        PATCH: path.includes('/images/')
          ? { label: 'x' }
          : path.includes('/hook-sources/')
            ? { name: 'x' }
            : path.includes('/webhooks/')
              ? { enabled: true }
              : { title: 'x' },
      }[method]
      const sent = body && { body: JSON.stringify(body), headers: { 'content-type': 'application/json', 'if-match': '*' } }
      const answer = await stack.api.send(method, path, { token: TOKENS.stranger, ...sent })
      expect([method, path, answer.status]).toEqual([method, path, 404])
      await answer.body?.cancel()
    }
    const listed = await stack.api.send('GET', '/v1/ingests', { token: TOKENS.stranger })
    expect(((await listed.json()) as Json)['items']).toEqual([])
  })

  test("another tenant's file cannot be attached by its id", async () => {
    const headers = { 'content-type': 'application/json', prefer: 'wait=30' }
    const made = await stack.api.send('POST', '/v1/products', {
      token: TOKENS.stranger,
      body: JSON.stringify({ sku: 'mine' }),
      headers,
    })
    const product = made.headers.get('location') ?? ''
    await made.body?.cancel()
    const attach = await stack.api.send('POST', `${product}/images`, {
      token: TOKENS.stranger,
      body: JSON.stringify({ file_id: image['file'].id }),
      headers,
    })
    expect(((await attach.json()) as Json)['code']).toBe('file_reference_unknown')
  })

  test('no secret was logged', () => {
    const log = stack.log()
    expect(log.length).toBeGreaterThan(0)
    for (const secret of [stack.token, ...Object.values(TOKENS)]) expect(log).not.toContain(secret)
  })

  test("operators' addresses are not on the public port", async () => {
    for (const path of ['/metrics', '/health', '/ready', '/queues', '/login']) {
      expect([path, (await stack.api.send('GET', path)).status]).toEqual([path, 404])
    }
  })
})
