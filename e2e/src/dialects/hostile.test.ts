/** Bodies that are no bodies, to every route of every dialect that takes one: refused in its own words, or taken as they are. */
import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { resolve } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { drawSample } from '@sluice/images/samples'
import { type Answer, answerOf, type Json } from '../api.ts'
import { openStack, type Stack } from '../stack.ts'
import { describeCatalogue, newSharedProduct, type SharedProduct } from './clients.ts'

const CORPORA = resolve(import.meta.dirname, '../../../../shared/corpora')
const HAS_CORPORA = existsSync(CORPORA)

let stack: Stack
let product: SharedProduct
let hierarchy: string
let node: string
let image: Json
let png: Buffer

beforeAll(async () => {
  stack = await openStack('embedded')
  await describeCatalogue(stack)
  product = await newSharedProduct(stack)
  png = await drawSample({ seed: 7, width: 20, height: 20, format: 'png' })
  image = (await stack.api.addImage(product.path, png)).body
  hierarchy = (await create('/pcm/hierarchies', 'hierarchy')).id
  node = (await create(`/pcm/hierarchies/${hierarchy}/nodes`, 'node')).id
})
afterAll(async () => stack?.[Symbol.asyncDispose]())

async function create(path: string, type: string): Promise<Json> {
  const { status, body } = await stack.api.call('POST', path, { data: { type, attributes: { name: 'one', slug: 'one' } } })
  expect([status, body]).toEqual([201, body])
  return body['data']
}

/** How each API says that something is wrong. */
const ENVELOPES: Readonly<Record<string, (answer: Answer) => boolean>> = {
  'Elastic Path': ({ body }) =>
    Array.isArray(body['errors']) && body['errors'].every((error: Json) => error['title'] && error['status']),
  OpenMage: ({ body, headers }) =>
    headers.get('content-type')?.startsWith('application/json')
      ? Array.isArray(body['messages']?.error)
      : String(body['text']).includes('<magento_api><messages>') || /<magento_api>\s*<messages>/.test(String(body['text'])),
  Akeneo: ({ body, status }) => body['code'] === status && typeof body['message'] === 'string',
  'token product images': ({ body }) => Object.keys(body).length > 0 && !('text' in body),
}

interface Route {
  readonly api: string
  readonly method: string
  readonly path: () => string
  readonly authorization?: 'Token'
}

const JSON_ROUTES: readonly Route[] = [
  { api: 'Elastic Path', method: 'POST', path: () => '/pcm/products' },
  { api: 'Elastic Path', method: 'POST', path: () => `/pcm/products/${product.id}/relationships/main_image` },
  { api: 'Elastic Path', method: 'PUT', path: () => `/pcm/products/${product.id}/relationships/main_image` },
  { api: 'Elastic Path', method: 'POST', path: () => `/pcm/products/${product.id}/relationships/files` },
  { api: 'Elastic Path', method: 'PUT', path: () => `/pcm/products/${product.id}/relationships/files` },
  { api: 'Elastic Path', method: 'DELETE', path: () => `/pcm/products/${product.id}/relationships/files` },
  { api: 'Elastic Path', method: 'POST', path: () => '/pcm/hierarchies' },
  { api: 'Elastic Path', method: 'POST', path: () => `/pcm/hierarchies/${hierarchy}/nodes` },
  { api: 'Elastic Path', method: 'PUT', path: () => `/pcm/hierarchies/${hierarchy}/nodes/${node}` },
  { api: 'Elastic Path', method: 'POST', path: () => `/pcm/hierarchies/${hierarchy}/nodes/${node}/relationships/children` },
  { api: 'Elastic Path', method: 'PUT', path: () => `/pcm/hierarchies/${hierarchy}/nodes/${node}/relationships/parent` },
  { api: 'Elastic Path', method: 'POST', path: () => '/oauth/access_token' },
  { api: 'OpenMage', method: 'POST', path: () => `/api/rest/products/${product.number}/images` },
  { api: 'OpenMage', method: 'PUT', path: () => `/api/rest/products/${product.number}/images/${image['number']}` },
  { api: 'Akeneo', method: 'POST', path: () => '/api/oauth/v1/token' },
  { api: 'Akeneo', method: 'POST', path: () => '/api/rest/v1/media-files' },
  { api: 'token product images', method: 'POST', path: () => `/api/products/${product.number}/images`, authorization: 'Token' },
  {
    api: 'token product images',
    method: 'PATCH',
    path: () => `/api/products/${product.number}/images/${image['number']}`,
    authorization: 'Token',
  },
]
const named = JSON_ROUTES.map((route) => [`${route.method} ${route.path.toString().replace(/^\(\) => /, '')}`, route] as const)

async function send(route: Route, body: RequestInit['body'], contentType: string): Promise<Answer> {
  const authorization = `${route.authorization ?? 'Bearer'} ${stack.token}`
  const headers = { 'content-type': contentType, authorization, accept: 'application/json' }
  return answerOf(await stack.api.send(route.method, route.path(), { body: body ?? null, headers }))
}

/** Taken, or refused by a fault of the request in the words of the API. */
function expectRefusedOrTaken(route: Route, what: string, answer: Answer): void {
  const { status, body } = answer
  const isFine = status < 300 || (status >= 400 && status < 500 && ENVELOPES[route.api]?.(answer))
  expect([what, status, isFine ? '' : body]).toEqual([what, status, ''])
}

describe.skipIf(!HAS_CORPORA)('malformed JSON (skipped without ../shared/corpora)', () => {
  const files = HAS_CORPORA ? readdirSync(`${CORPORA}/json`).filter((name) => name.endsWith('.json')) : []

  test.each(named)('%s', async (_name, route) => {
    expect(files.length).toBeGreaterThan(300)
    for (let from = 0; from < files.length; from += 16) {
      await Promise.all(
        files.slice(from, from + 16).map(async (file) => {
          const answer = await send(route, readFileSync(`${CORPORA}/json/${file}`), 'application/json')
          expectRefusedOrTaken(route, file, answer)
          // A form may be anything, and the token's route takes one.
          const mayBeTaken = !file.startsWith('n_') || route.path() === '/oauth/access_token'
          expect([file, mayBeTaken || answer.status >= 400]).toEqual([file, true])
        }),
      )
    }
  })
})

describe('deep, wide and strange JSON', () => {
  const STRANGE: Readonly<Record<string, string>> = {
    'a list in a list, 100,000 deep': `${'['.repeat(100_000)}${']'.repeat(100_000)}`,
    'objects, 20,000 deep': `${'{"data":'.repeat(20_000)}1${'}'.repeat(20_000)}`,
    __proto__: '{"__proto__":{"admin":true},"data":{"type":"file","id":"x"}}',
    'constructor.prototype': '{"constructor":{"prototype":{"admin":true}}}',
    'the same member twice': '{"data":{"type":"file","id":"a"},"data":{"type":"file","id":"b"}}',
    'NUL in every text':
      '{"data":{"type":"fi\\u0000le","id":"\\u0000","attributes":{"name":"\\u0000"}},"label":"\\u0000","alt_text":"\\u0000"}',
    'half of a surrogate pair':
      '{"data":{"type":"node","id":"\\ud800","attributes":{"name":"\\ud800"}},"label":"\\udc00","alt_text":"\\udc00"}',
    'a number beyond all columns':
      '{"data":[{"type":"node","id":"x","meta":{"sort_order":1e400}}],"position":1e300,"order":1e300}',
    'a number beyond 32 bits':
      '{"data":{"type":"node","attributes":{"name":"a"},"meta":{"sort_order":99999999999}},"position":99999999999,"order":99999999999}',
    'all null': '{"data":null,"label":null,"position":null,"types":null,"alt_text":null,"order":null,"grant_type":null}',
    'nothing at all': '',
  }
  test.each(named)('%s', async (_name, route) => {
    for (const [what, body] of Object.entries(STRANGE))
      expectRefusedOrTaken(route, what, await send(route, body, 'application/json'))
  })
})

describe('malformed forms', () => {
  const FORM_ROUTES: readonly (Route & { readonly part: string })[] = [
    { api: 'Elastic Path', method: 'POST', path: () => '/v2/files', part: 'file' },
    { api: 'Akeneo', method: 'POST', path: () => '/api/rest/v1/media-files', part: 'file' },
    {
      api: 'token product images',
      method: 'POST',
      path: () => `/api/products/${product.number}/images`,
      authorization: 'Token',
      part: 'image',
    },
  ]
  const B = 'boundary'
  const head = (disposition: string) => `--${B}\r\nContent-Disposition: ${disposition}\r\n\r\n`
  const bodies = (part: string): Readonly<Record<string, { type?: string; body: string }>> => ({
    'no boundary': { type: 'multipart/form-data', body: 'x' },
    'an empty boundary': { type: 'multipart/form-data; boundary=', body: 'x' },
    'a boundary of 5,000': { type: `multipart/form-data; boundary=${'b'.repeat(5_000)}`, body: 'x' },
    nothing: { body: '' },
    'no part': { body: `--${B}--\r\n` },
    'a part without an end': { body: `${head(`form-data; name="${part}"; filename="a.png"`)}abc` },
    'a part without a name': { body: `${head('form-data')}abc\r\n--${B}--\r\n` },
    'a part with a header called __proto__': {
      body: `--${B}\r\n__proto__: x\r\nContent-Disposition: form-data; name="a"\r\n\r\nabc\r\n--${B}--\r\n`,
    },
    'a header without an end': { body: `--${B}\r\nContent-Disposition: ${'x'.repeat(100_000)}` },
    'a field called __proto__': { body: `${head('form-data; name="__proto__"')}abc\r\n--${B}--\r\n` },
    '5,000 fields': {
      body: `${Array.from({ length: 5_000 }, (_, n) => `${head(`form-data; name="f${n}"`)}x\r\n`).join('')}--${B}--\r\n`,
    },
    'the file as a text': { body: `${head(`form-data; name="${part}"`)}abc\r\n--${B}--\r\n` },
    'two files': { body: `${`${head(`form-data; name="${part}"; filename="a.png"`)}abc\r\n`.repeat(2)}--${B}--\r\n` },
    'a file that is none': { body: `${head(`form-data; name="${part}"; filename="a.png"`)}<script>\r\n--${B}--\r\n` },
    'an empty file': { body: `${head(`form-data; name="${part}"; filename="a.png"`)}\r\n--${B}--\r\n` },
    'a path for a name': {
      body: `${head(`form-data; name="${part}"; filename="../../etc/passwd\u202egpj.exe"`)}abc\r\n--${B}--\r\n`,
    },
  })
  test.each(FORM_ROUTES.map((route) => [route.api, route] as const))('%s', async (_api, route) => {
    for (const [what, { type, body }] of Object.entries(bodies(route.part))) {
      const answer = await send(route, body, type ?? `multipart/form-data; boundary=${B}`)
      expect([what, answer.status >= 400]).toEqual([what, true])
      expectRefusedOrTaken(route, what, answer)
    }
  })
})

describe.skipIf(!HAS_CORPORA)('naughty strings (skipped without ../shared/corpora)', () => {
  const strings = HAS_CORPORA ? (JSON.parse(readFileSync(`${CORPORA}/strings/blns.json`, 'utf8')) as string[]) : []

  /** A text that was taken reads back as it was given. */
  async function expectKept(use: (text: string) => Promise<Answer & { readonly kept?: unknown }>): Promise<void> {
    expect(strings.length).toBeGreaterThan(400)
    for (let from = 0; from < strings.length; from += 16) {
      await Promise.all(
        strings.slice(from, from + 16).map(async (text) => {
          const { status, kept, body } = await use(text)
          expect([text, status < 500 ? '' : body]).toEqual([text, ''])
          expect(status < 300 ? kept : text).toBe(text)
        }),
      )
    }
  }

  test('as labels in OpenMage, in JSON', async () => {
    const { number } = (await stack.api.addImage(product.path, png)).body
    const path = `/api/rest/products/${product.number}/images/${number}`
    for (const text of strings.slice(0, 120)) {
      const put = await stack.api.call('PUT', path, { label: text }, { accept: 'application/json' })
      expect([text, put.status < 500]).toEqual([text, true])
      if (put.status >= 300) continue
      expect([text, (await stack.api.call('GET', path, undefined, { accept: 'application/json' })).body['label']]).toEqual([
        text,
        text,
      ])
    }
  })

  test('as alternative texts of token product images', async () => {
    const headers = { authorization: `Token ${stack.token}` }
    const made = new FormData()
    made.set('image', new Blob([new Uint8Array(png)]), 'a.png')
    const { id } = (
      await answerOf(await stack.api.send('POST', `/api/products/${product.number}/images`, { body: made, headers }))
    ).body
    const path = `/api/products/${product.number}/images/${id}`
    for (const text of strings.slice(0, 120)) {
      const answer = await stack.api.call('PATCH', path, { alt_text: text }, headers)
      expect([text, answer.status < 500]).toEqual([text, true])
      expect(answer.status < 300 ? answer.body['description'] : text).toBe(text)
    }
  })

  test('as names of nodes and products of Elastic Path', async () => {
    const path = `/pcm/hierarchies/${hierarchy}/nodes`
    await expectKept(async (text) => {
      const answer = await stack.api.call('POST', path, { data: { type: 'node', attributes: { name: text, description: text } } })
      return { ...answer, kept: answer.body['data']?.attributes.name }
    })
    await expectKept(async (text) => {
      const answer = await stack.api.call('POST', '/pcm/products', { data: { type: 'product', attributes: { name: text } } })
      return { ...answer, kept: answer.body['data']?.attributes.name }
    })
  })

  test('as file names, everywhere a file is sent by form', async () => {
    await expectKept(async (text) => {
      const body = new FormData()
      body.set('file', new Blob([new Uint8Array(png)], { type: 'image/png' }), text)
      return answerOf(await stack.api.send('POST', '/v2/files', { body })).then((answer) => ({ ...answer, kept: text }))
    })
  })

  test('as identifiers in addresses, which nobody has', async () => {
    for (const text of strings) {
      const part = encodeURIComponent(text.toWellFormed())
      // An integer may well be somebody's.
      if (part === '' || part === '.' || part === '..' || /^\d+$/.test(part)) continue
      const answers = await Promise.all(
        [
          `/pcm/products/${part}/relationships/main_image`,
          `/api/rest/products/${part}/images`,
          `/api/rest/products/${product.number}/images/${part}`,
          `/api/rest/v1/media-files/${part}`,
          `/v2/files/${part}`,
          `/pcm/hierarchies/${part}`,
        ].map(async (path) => [path, await stack.api.call('GET', path, undefined, { accept: 'application/json' })] as const),
      )
      for (const [path, { status }] of answers) expect([path, status >= 400 && status < 500]).toEqual([path, true])
    }
  })
})
