import { once } from 'node:events'
import { connect } from 'node:net'
import { text } from 'node:stream/consumers'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { drawSample } from '@sluice/images/samples'
import { type Answer, answerOf } from './api.ts'
import { openStack, type Stack } from './stack.ts'

let stack: Stack
let product: string
let image: string
let png: Buffer

beforeAll(async () => {
  stack = await openStack('embedded')
  png = await drawSample({ seed: 3, width: 40, height: 30, format: 'png' })
  product = await stack.api.newProduct()
  image = (await stack.api.addImage(product, png)).headers.get('location') ?? ''
})
afterAll(async () => stack?.[Symbol.asyncDispose]())

const call = (method: string, path: string, body?: object, headers?: Record<string, string>) =>
  stack.api.call(method, path, body, headers)
const raw = async (method: string, path: string, body: RequestInit['body'], headers: Record<string, string>) =>
  answerOf(await stack.api.send(method, path, { body: body ?? null, headers }))
const codeOf = ({ status, body }: Answer) => [status, body['code']]

/** What the server says to bytes that need not be HTTP, until it closes. */
async function onTheWire(bytes: string): Promise<{ status: number; body: any }> {
  const socket = connect(Number(new URL(stack.api.url).port), '127.0.0.1')
  await once(socket, 'connect')
  socket.write(Buffer.from(bytes, 'latin1'))
  const [head = '', body = ''] = (await text(socket)).split('\r\n\r\n')
  expect(head).toMatch(/content-type: application\/problem\+json/i)
  return { status: Number(head.split(' ')[1]), body: JSON.parse(body) }
}

describe('a body is taken as it is', () => {
  const WRONG: [what: string, method: string, path: () => string, body: object, field: string][] = [
    ['a number for a SKU', 'POST', () => '/v1/products', { sku: 1 }, 'sku'],
    ['a list for a SKU', 'POST', () => '/v1/products', { sku: ['a'] }, 'sku'],
    ['no SKU', 'POST', () => '/v1/products', { title: 'a' }, 'sku'],
    ['half of a surrogate pair in a SKU', 'POST', () => '/v1/products', { sku: 'a\ud800' }, 'sku'],
    ['NUL in a title', 'POST', () => '/v1/products', { sku: 'a', title: '\0' }, 'title'],
    ['a field that nobody knows', 'POST', () => '/v1/products', { sku: 'a', tittle: 'b' }, 'tittle'],
    ['null for a label', 'PATCH', () => image, { label: null }, 'label'],
    ['half of a surrogate pair in a label', 'PATCH', () => image, { label: '\udc00' }, 'label'],
    ['a text for a position', 'PATCH', () => image, { position: '1' }, 'position'],
    ['a text for a truth', 'PATCH', () => image, { excluded: 'true' }, 'excluded'],
    ['the name, which is given once', 'PATCH', () => image, { name: 'front' }, 'name'],
    ['main and not main', 'PATCH', () => image, { roles: ['image'], main: false }, 'main'],
    ['a misspelt image_id', 'PUT', () => `${product}/main_image`, { image: null }, 'image_id'],
    ['no id in an order', 'PUT', () => `${product}/images/order`, { images: ['x'] }, 'images.0'],
  ]

  test.each(WRONG)('%s is refused by the name of the field', async (_what, method, path, body, field) => {
    const answer = await call(method, path(), body, { 'if-match': '*' })
    expect(codeOf(answer)).toEqual([400, 'request_invalid'])
    expect(answer.body['errors'][0].field).toBe(field)
    expect(answer.body['detail']).toContain(field)
  })

  test('a product without a title has none, and not an empty one', async () => {
    expect((await call('POST', '/v1/products', { sku: 'untitled', title: null })).body['title']).toBeNull()
  })

  test('an upload that is main and not main is refused, in any form', async () => {
    const answer = await stack.api.addImage(product, png, { roles: 'thumbnail,image', main: 'false' })
    expect(answer.body['errors'][0].field).toBe('main')
  })

  test('what is not UTF-8 is refused, and not kept otherwise', async () => {
    const sku = Buffer.from('{"sku":"caf\xe9"}', 'latin1')
    const answer = await raw('POST', '/v1/products', sku, { 'content-type': 'application/json' })
    expect(codeOf(answer)).toEqual([400, 'json_invalid'])
    expect(answer.body['detail']).toContain('UTF-8')
    expect(codeOf(await call('GET', '/v1/ingests?q=%ff'))).toEqual([400, 'request_invalid'])
    expect(codeOf(await call('GET', '/v1/products/sku:%ff'))).toEqual([400, 'request_invalid'])
  })

  test('what is not JSON is not taken for it', async () => {
    const code = async (type: string, more = {}) =>
      codeOf(await raw('POST', '/v1/products', '{"sku":"zipped"}', { 'content-type': type, ...more }))
    expect(await code('text/plain')).toEqual([415, 'content_type_unsupported'])
    expect(await code('application/json', { 'content-encoding': 'gzip' })).toEqual([415, 'content_type_unsupported'])
  })

  test('where no body is wanted an empty one may be of any type', async () => {
    for (const type of ['application/json', 'application/x-www-form-urlencoded']) {
      const answer = await raw('POST', `/v1/ingests/${crypto.randomUUID()}/replay`, '', { 'content-type': type })
      expect(codeOf(answer)).toEqual([404, 'ingest_unknown'])
    }
  })
})

describe('filters', () => {
  test.each([
    ['a leap second', 'from=2016-12-31T23:59:60Z', 'from'],
    ['a time after the year 9999', 'to=9999-12-31T23:59:59-23:59', 'to'],
    ['the year 0', 'from=0000-01-01T00:00:00Z', 'from'],
    ['text that names no product', 'product=x', 'product'],
    ['a filter that nobody knows', 'states=failed', 'states'],
    ['a state that is none', 'state=done', 'state.0'],
  ])('%s is refused by the name of the parameter', async (_what, query, field) => {
    const answer = await call('GET', `/v1/ingests?${query}`)
    expect(codeOf(answer)).toEqual([400, 'request_invalid'])
    expect(answer.body['errors'][0].field).toBe(field)
  })
})

describe('addresses', () => {
  test.each([
    ['GET', () => '/v1/products', 'POST'],
    ['OPTIONS', () => '/v1/ingests?limit=1', 'GET, HEAD'],
    ['DELETE', () => product, 'GET, HEAD, PATCH'],
    ['PUT', () => `${product}/images/`, 'GET, HEAD, POST'],
    ['POST', () => image, 'DELETE, GET, HEAD, PATCH'],
  ])('%s where it means nothing is told what does', async (method, path, allow) => {
    const answer = await call(method, path())
    expect(codeOf(answer)).toEqual([405, 'method_not_allowed'])
    expect(answer.headers.get('allow')).toBe(allow)
  })

  test('an address that is not there is 404 whatever is sent to it', async () => {
    for (const type of ['text/xml', 'application/json']) {
      expect(codeOf(await raw('POST', '/v1/nowhere', '<', { 'content-type': type }))).toEqual([404, 'route_unknown'])
    }
  })

  test('is never our fault, however long or crooked', async () => {
    expect((await call('GET', `/v1/products/sku:${'a'.repeat(5_000)}`)).status).toBe(404)
    const crooked = await onTheWire('GET /docs/static/%2e%2e/%2e%2e/x HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n')
    expect([crooked.status, crooked.body.code]).toEqual([404, 'route_unknown'])
  })
})

describe('what is not a request', () => {
  test.each([
    ['no HTTP', '\x16\x03\x01\r\n\r\n', 400, 'request_invalid'],
    ['a method that HTTP does not have', 'FOO / HTTP/1.1\r\nhost: x\r\n\r\n', 400, 'request_invalid'],
    ['two lengths', 'POST / HTTP/1.1\r\nhost: x\r\ncontent-length: 1\r\ncontent-length: 2\r\n\r\n', 400, 'request_invalid'],
    ['too many headers', `GET / HTTP/1.1\r\nhost: x\r\nx: ${'a'.repeat(20_000)}\r\n\r\n`, 431, 'headers_too_large'],
  ])('%s is answered with a problem document', async (_what, bytes, status, code) => {
    const answer = await onTheWire(bytes)
    expect([answer.status, answer.body.status, answer.body.code]).toEqual([status, status, code])
  })
})

test('If-None-Match may be a list, weak, or a star; and keeps no writer from seeing what was written', async () => {
  const etag = (await call('GET', `${product}/images`)).headers.get('etag') ?? ''
  for (const tags of [etag, `W/${etag}`, `"x", ${etag}`, '*']) {
    expect((await call('GET', `${product}/images`, undefined, { 'if-none-match': tags })).status).toBe(304)
  }
  const order = { images: [image.split('/').at(-1)] }
  expect((await call('PUT', `${product}/images/order`, order, { 'if-match': '*', 'if-none-match': '*' })).status).toBe(200)
})

test('null for a file_id is the same as none', async () => {
  const file = { base64: png.toString('base64'), media_type: 'image/png' }
  expect((await call('POST', `${product}/images`, { file, file_id: null }, { prefer: 'wait=60' })).status).toBe(201)
})
