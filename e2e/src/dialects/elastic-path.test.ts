/** Elastic Path's main images, files and products on the wire: a test for each row of docs/dialects/elastic-path.md. */
import { execFile } from 'node:child_process'
import { randomUUID } from 'node:crypto'
import { once } from 'node:events'
import { createServer } from 'node:http'
import { promisify } from 'node:util'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { hashToken } from '@sluice/core'
import { type Answer, answerOf, formOf, type Json } from '../api.ts'
import { openStack, type Stack } from '../stack.ts'
import { draw, openShop, query, type Shop, whileLocked } from './elastic-path.ts'

let stack: Stack
let shop: Shop
const WRITER = randomUUID()
const READER = randomUUID()
const elsewhere = createServer((request, response) => {
  if (request.url === '/page.html') response.setHeader('content-type', 'text/html').end('<p>')
  else response.writeHead(404).end()
})

beforeAll(async () => {
  elsewhere.listen(0, '127.0.0.1')
  await once(elsewhere, 'listening')
  stack = await openStack('embedded', { SLUICE_FETCH_ALLOW: new URL(elsewhereUrl()).host, SLUICE_LIMIT_FILE_BYTES_MAX: '65536' })
  shop = openShop(stack)
  const [tenant] = await query<{ id: string }>(stack, (sql) => sql`select id from tenants where name = 'default'`)
  for (const [role, secret] of [
    ['writer', WRITER],
    ['reader', READER],
  ]) {
    const token = {
      id: randomUUID(),
      tenant_id: tenant?.id ?? '',
      name: role,
      role,
      sha256: hashToken(secret ?? ''),
      prefix: 'x',
    }
    await query(stack, (sql) => sql`insert into tokens ${sql(token as never)}`)
  }
})
afterAll(async () => {
  elsewhere.close()
  await stack?.[Symbol.asyncDispose]()
})

function elsewhereUrl(): string {
  const address = elsewhere.address()
  return `http://127.0.0.1:${typeof address === 'object' && address ? address.port : 0}`
}

const fileOf = (id: string) => ({ data: { type: 'file', id } })
const filesOf = (...ids: readonly string[]) => ({ data: ids.map((id) => ({ type: 'file', id })) })
const as = (secret: string) => ({ authorization: `Bearer ${secret}` })
const mainImage = (product: string) => `/pcm/products/${product}/relationships/main_image`
const files = (product: string) => `/pcm/products/${product}/relationships/files`

function never(): never {
  throw new Error('there is none')
}

/** The one error of an answer; all of the answer where it does not look as an error should. */
function errorOf({ status, headers, body }: Answer): Json {
  const [error, ...more]: readonly Json[] = body['errors'] ?? []
  const isJson = headers.get('content-type') === 'application/json; charset=utf-8'
  const isOne = error !== undefined && more.length === 0 && Object.keys(body).length === 1
  return isOne && isJson && Number(error['status']) === status ? error : { status, body, headers: [...headers] }
}

const NOT_FOUND = { status: '404', title: 'Not Found' }
const FILE_NOT_FOUND = {
  status: 404,
  title: 'Resource Not Found',
  detail: 'The resource you are requesting does not exist',
}
const OWNED = { status: '403', title: 'Forbidden', detail: 'entity owned by organization' }
const CONFLICT = { status: '409', title: 'Conflict', detail: 'write conflict detected' }
const invalid = (detail: string, ...missing: readonly string[]) => ({
  status: '422',
  title: 'Failed Validation',
  detail,
  ...(missing.length > 0 && { meta: { missing_ids: missing } }),
})

describe('POST /oauth/access_token', () => {
  const ask = async (fields: Record<string, string>, type = 'application/x-www-form-urlencoded') =>
    answerOf(
      await stack.api.send('POST', '/oauth/access_token', {
        token: null,
        headers: { 'content-type': type },
        body: type === 'application/json' ? JSON.stringify(fields) : new URLSearchParams(fields).toString(),
      }),
    )

  test('gives a short-lived token for the id and the secret of one of ours, from a form or from JSON', async () => {
    const credentials = { grant_type: 'client_credentials', client_id: await shop.clientId(), client_secret: stack.token }
    for (const type of ['application/x-www-form-urlencoded', 'application/json']) {
      const { status, headers, body } = await ask(credentials, type)
      expect([status, headers.get('cache-control')]).toEqual([200, 'no-store'])
      expect(body).toEqual({
        access_token: expect.any(String),
        token_type: 'Bearer',
        expires_in: 3600,
        expires: expect.any(Number),
        identifier: 'client_credentials',
      })
      const product = await shop.newProduct()
      expect((await shop.call('GET', mainImage(product), undefined, as(body['access_token']))).status).toBe(200)
      // What was issued buys nothing: it would never end.
      expect((await ask({ ...credentials, client_secret: body['access_token'] })).status).toBe(401)
    }
  })

  test('refuses who is no client', async () => {
    const client_id = await shop.clientId()
    const right = { grant_type: 'client_credentials', client_id, client_secret: stack.token }
    const unauthorized = { status: 401, title: 'Unauthorized' }
    expect(errorOf(await ask({ ...right, client_secret: 'wrong' }))).toEqual(unauthorized)
    expect(errorOf(await ask({ ...right, client_id: randomUUID() }))).toEqual(unauthorized)
    const bad = (detail: string) => ({ status: 400, title: 'Bad Request', detail })
    expect(errorOf(await ask({ grant_type: 'implicit', client_id }))).toEqual(
      bad('The grant type implicit is not offered: send client_credentials with client_id and client_secret'),
    )
    expect(errorOf(await ask({ ...right, grant_type: 'password' }))).toEqual(bad('grant_type: Must be "client_credentials".'))
    expect(errorOf(await ask({ grant_type: 'client_credentials', client_id }))).toEqual(bad('client_secret can not be empty'))
    expect(errorOf(await ask({}))).toEqual(bad('grant_type can not be empty'))
  })

  test('slows down who guesses', async () => {
    const guess = { grant_type: 'client_credentials', client_id: randomUUID(), client_secret: 'guess' }
    let answer = await ask(guess)
    for (let n = 0; n < 40 && answer.status === 401; n++) answer = await ask(guess)
    expect(errorOf(answer)).toEqual({ status: 429, title: 'Too Many Requests' })
    expect(Number(answer.headers.get('retry-after'))).toBeGreaterThan(0)
  })
})

describe('who asks', () => {
  const UNABLE = { status: 401, title: 'Unable to validate access token' }

  test('is told when the token is missing or unknown', async () => {
    const product = await shop.newProduct()
    for (const path of [mainImage(product), '/v2/files', '/pcm/products']) {
      expect(errorOf(await answerOf(await stack.api.send('GET', path, { token: null })))).toEqual(UNABLE)
      expect(errorOf(await answerOf(await stack.api.send('GET', path, { token: 'unknown' })))).toEqual(UNABLE)
    }
  })

  test('changes nothing with the token of a reader', async () => {
    const product = await shop.newProduct()
    const file = await shop.newFile()
    const detail = expect.stringContaining('needs a token with the role writer')
    const forbidden = { status: '403', title: 'Forbidden', detail }
    expect((await shop.call('GET', mainImage(product), undefined, as(READER))).status).toBe(200)
    expect(errorOf(await shop.call('POST', mainImage(product), fileOf(file), as(READER)))).toEqual(forbidden)
    expect(errorOf(await shop.call('DELETE', `/v2/files/${file}`, undefined, as(READER)))).toEqual({
      status: 403,
      title: 'Permission denied',
      detail,
    })
    expect((await shop.call('GET', `/v2/files/${file}`)).status).toBe(200)
  })
})

describe('the main image', () => {
  test('is set, read, replaced and taken away', async () => {
    const product = await shop.newProduct()
    const [one, two] = [await shop.newFile(), await shop.newFile()]
    expect((await shop.call('GET', mainImage(product))).body).toEqual({ data: null })
    const posted = await shop.call('POST', mainImage(product), fileOf(one))
    expect([posted.status, posted.body['text'], posted.headers.get('content-type')]).toEqual([204, '', null])
    expect((await shop.call('GET', mainImage(product))).body).toEqual({ data: { type: 'file', id: one } })
    expect((await shop.call('POST', mainImage(product), fileOf(two))).status).toBe(204)
    expect(await shop.mainOf(product)).toBe(two)
    expect((await shop.call('PUT', mainImage(product), fileOf(one))).status).toBe(204)
    expect(await shop.mainOf(product)).toBe(one)
    expect((await shop.call('DELETE', mainImage(product))).status).toBe(204)
    expect(await shop.mainOf(product)).toBe(null)
    expect((await shop.call('DELETE', mainImage(product))).status).toBe(204)
    // Both still hang on the product: only the role went.
    expect(await shop.filesOf(product)).toEqual([one, two])
  })

  test('is taken away whatever body comes with it', async () => {
    const product = await shop.newProduct()
    for (const body of ['{"data":{"type":"file","id":"no"}}', '{"data":', '\0']) {
      await shop.call('POST', mainImage(product), fileOf(await shop.newFile()))
      const headers = { 'content-type': 'application/json' }
      expect((await stack.api.send('DELETE', mainImage(product), { body, headers })).status).toBe(204)
      expect(await shop.mainOf(product)).toBe(null)
    }
  })

  test('is set as the seed of this API sets it, by curl', async () => {
    const product = await shop.newProduct()
    const file = await shop.newFile()
    const { stdout } = await promisify(execFile)('curl', [
      '-s',
      '-w',
      '%{http_code} %{size_download}',
      '-X',
      'POST',
      `${stack.api.url}${mainImage(product)}`,
      '-H',
      `Authorization: Bearer ${stack.token}`,
      '-H',
      'Content-Type: application/json; charset=utf-8',
      '-d',
      `{\n "data": {\n "id": "${file}",\n "type": "file"\n }\n}`,
    ])
    expect(stdout).toBe('204 0')
    expect(await shop.mainOf(product)).toBe(file)
  })

  test('stays as it is, with its version, when it is set to what it is', async () => {
    const product = await shop.newProduct()
    const file = await shop.newFile()
    await shop.call('POST', mainImage(product), fileOf(file))
    const version = async () => (await shop.call('GET', `/v1/products/${product}`)).body['version']
    const before = await version()
    expect((await shop.call('POST', mainImage(product), fileOf(file.toUpperCase()))).status).toBe(204)
    expect([await version(), await shop.filesOf(product)]).toEqual([before, [file]])
  })

  test('is replaced by the array of one that the OpenAPI document of PUT shows', async () => {
    const product = await shop.newProduct()
    const file = await shop.newFile()
    expect((await shop.call('PUT', mainImage(product), filesOf(file))).status).toBe(204)
    expect(await shop.mainOf(product)).toBe(file)
    expect(errorOf(await shop.call('PUT', mainImage(product), { data: [] }))).toEqual(invalid('data can not be empty'))
    expect(errorOf(await shop.call('POST', mainImage(product), filesOf(file)))).toEqual(invalid('data: Must be an object.'))
  })

  test('of a product that is not there is not found', async () => {
    const file = await shop.newFile()
    for (const product of [randomUUID(), 'no-uuid', '%00', '42']) {
      expect(errorOf(await shop.call('GET', mainImage(product)))).toEqual(NOT_FOUND)
      for (const method of ['POST', 'PUT', 'DELETE'])
        expect(errorOf(await shop.call(method, mainImage(product), fileOf(file)))).toEqual(NOT_FOUND)
    }
  })

  test('of what the organization owns is changed by nobody', async () => {
    const product = await shop.newProduct({}, { owner: 'organization' })
    const file = await shop.newFile()
    for (const method of ['POST', 'PUT', 'DELETE']) {
      for (const path of [mainImage(product), files(product)]) {
        const body = path === files(product) ? filesOf(file) : fileOf(file)
        expect(errorOf(await shop.call(method, path, body))).toEqual(OWNED)
        expect(errorOf(await shop.call(method, path, body, as(WRITER)))).toEqual(OWNED)
      }
    }
    expect([await shop.mainOf(product), await shop.filesOf(product)]).toEqual([null, []])
  })

  test('is not set by a request that is not right', async () => {
    const product = await shop.newProduct()
    const id = await shop.newFile()
    const unknown = randomUUID()
    const cases: readonly (readonly [unknown, Json])[] = [
      [{}, invalid('data can not be empty')],
      [{ data: null }, invalid('data can not be empty')],
      [{ data: 'text' }, invalid('data: Must be an object.')],
      [{ data: { type: 'file' } }, invalid('data.id can not be empty')],
      [{ data: { type: 'file', id: '' } }, invalid('data.id can not be empty')],
      [{ data: { type: 'file', id: 7 } }, invalid('data.id: Must be an id.')],
      [{ data: { id } }, invalid('data.type can not be empty')],
      [{ data: { type: 'image', id } }, invalid('data.type: Must be "file".')],
      [fileOf(unknown), invalid(`data.id: Files not found: ${unknown}.`, unknown)],
      [fileOf('no-uuid'), invalid('data.id: Files not found: no-uuid.', 'no-uuid')],
    ]
    for (const method of ['POST', 'PUT'])
      for (const [body, error] of cases)
        expect(errorOf(await shop.call(method, mainImage(product), body as object))).toEqual(error)
    expect(await shop.mainOf(product)).toBe(null)
  })

  test('is not set by what is not JSON', async () => {
    const product = await shop.newProduct()
    const send = async (body: string, type = 'application/json') =>
      answerOf(await stack.api.send('POST', mainImage(product), { body, headers: { 'content-type': type } }))
    const bad = { status: '400', title: 'Bad Request', detail: expect.any(String) }
    for (const body of ['{"data":', '', 'null', '[]', '{"__proto__":{}}']) expect(errorOf(await send(body))).toEqual(bad)
    expect(errorOf(await send('{}', 'text/plain'))).toEqual({
      status: '415',
      title: 'Unsupported Media Type',
      detail: 'The Content-Type must be application/json.',
    })
    expect(errorOf(await send(`{"a":"${'a'.repeat(300_000)}"}`))).toEqual({
      status: '413',
      title: 'Payload Too Large',
      detail: expect.any(String),
    })
  })

  test('is a conflict for who was overtaken', async () => {
    const product = await shop.newProduct()
    const two = [await shop.newFile(), await shop.newFile()]
    // Both have read that there is no main image before either can set one.
    const answers = await whileLocked(stack, product, 2, () =>
      two.map((file) => shop.call('POST', mainImage(product), fileOf(file))),
    )
    const lost = answers.findIndex(({ status }) => status !== 204)
    expect(errorOf(answers[lost] ?? never())).toEqual(CONFLICT)
    expect(await shop.mainOf(product)).toBe(two[1 - lost])
    expect(await shop.filesOf(product)).toEqual([two[1 - lost]])
  })

  test('is promised to who would rather not wait', async () => {
    const product = await shop.newProduct()
    const file = await shop.newFile()
    const answer = await shop.call('POST', mainImage(product), fileOf(file), { prefer: 'respond-async' })
    expect([answer.status, answer.headers.get('preference-applied')]).toEqual([202, 'respond-async'])
    expect(await stack.api.finished(answer.headers.get('location') ?? '')).toMatchObject({ state: 'committed' })
    expect(await shop.mainOf(product)).toBe(file)
  })

  test('is one fact in every API', async () => {
    const product = await shop.newProduct()
    const { body } = await stack.api.addImage(`/v1/products/${product}`, await draw())
    const file = await shop.newFile()
    expect(await shop.mainOf(product)).toBe(body['file'].id)
    await shop.call('POST', mainImage(product), fileOf(file))
    const { images } = (await shop.call('GET', `/v1/products/${product}/images`)).body as { images: Json[] }
    expect(images.map((image) => [image['file'].id, image['main'], image['name']])).toEqual([
      [body['file'].id, false, 'image'],
      [file, true, 'image_2'],
    ])
  })
})

describe('the files of a product', () => {
  test('are added, listed, replaced and taken off', async () => {
    const product = await shop.newProduct()
    const [a, b, c, d] = [await shop.newFile(), await shop.newFile(), await shop.newFile(), await shop.newFile()]
    expect((await shop.call('GET', files(product))).body).toEqual({ data: [] })
    const posted = await shop.call('POST', files(product), {
      data: [
        { type: 'file', id: a, meta: { tags: ['front'] } },
        { type: 'file', id: b },
      ],
    })
    expect([posted.status, posted.body['text']]).toEqual([204, ''])
    expect((await shop.call('GET', files(product))).body).toEqual(filesOf(a, b))
    // Those that are there already are not added again.
    expect((await shop.call('POST', files(product), filesOf(b, c, c, a))).status).toBe(204)
    expect(await shop.filesOf(product)).toEqual([a, b, c])
    expect((await shop.call('PUT', files(product), filesOf(d, c, a))).status).toBe(204)
    expect(await shop.filesOf(product)).toEqual([d, c, a])
    expect((await shop.call('DELETE', files(product), filesOf(c, b, randomUUID()))).status).toBe(204)
    expect(await shop.filesOf(product)).toEqual([d, a])
    expect((await shop.call('PUT', files(product), filesOf())).status).toBe(204)
    expect(await shop.filesOf(product)).toEqual([])
  })

  test('are the images of the product, the main one among them', async () => {
    const product = await shop.newProduct()
    const [main, other] = [await shop.newFile(), await shop.newFile()]
    await shop.call('POST', mainImage(product), fileOf(main))
    await shop.call('POST', files(product), filesOf(other))
    expect(await shop.filesOf(product)).toEqual([main, other])
    await shop.call('POST', mainImage(product), fileOf(other))
    expect(await shop.filesOf(product)).toEqual([main, other])
    expect((await shop.call('DELETE', files(product), filesOf(other))).status).toBe(204)
    expect([await shop.mainOf(product), await shop.filesOf(product)]).toEqual([null, [main]])
  })

  test('are all there before anything is done, or nothing is', async () => {
    const product = await shop.newProduct()
    const [a, b] = [await shop.newFile(), await shop.newFile()]
    const [x, y] = [randomUUID(), randomUUID()]
    await shop.call('POST', files(product), filesOf(a))
    const missing = invalid(`data.id: Files not found: ${x}, ${y}.`, x, y)
    expect(errorOf(await shop.call('POST', files(product), filesOf(b, x, y)))).toEqual(missing)
    expect(errorOf(await shop.call('PUT', files(product), filesOf(b, x, y)))).toEqual(missing)
    expect(await shop.filesOf(product)).toEqual([a])
  })

  test('are not changed by a request that is not right', async () => {
    const product = await shop.newProduct()
    const cases: readonly (readonly [object, Json])[] = [
      [{}, invalid('data can not be empty')],
      [fileOf(randomUUID()), invalid('data: Must be an array.')],
      [{ data: [7] }, invalid('data[0]: Must be an object.')],
      [{ data: [{ type: 'file' }] }, invalid('data[0].id can not be empty')],
      [{ data: [{ id: 'x' }] }, invalid('data[0].type can not be empty')],
      [{ data: [{ type: 'node', id: 'x' }] }, invalid('data[0].type: Must be "file".')],
      [filesOf(...Array.from({ length: 101 }, () => randomUUID())), invalid('data: Must not have more than 100 items.')],
    ]
    for (const method of ['POST', 'PUT', 'DELETE'])
      for (const [body, error] of cases) expect(errorOf(await shop.call(method, files(product), body))).toEqual(error)
    const text = await stack.api.send('POST', files(product), { body: '[', headers: { 'content-type': 'application/json' } })
    expect(errorOf(await answerOf(text))).toEqual({ status: '400', title: 'Bad Request', detail: expect.any(String) })
    expect(errorOf(await shop.call('GET', files(randomUUID())))).toEqual(NOT_FOUND)
    expect(errorOf(await shop.call('POST', files(randomUUID()), filesOf()))).toEqual(NOT_FOUND)
  })

  test('are not replaced over the head of somebody else', async () => {
    const product = await shop.newProduct()
    const [mine, theirs] = [await shop.newFile(), await shop.newFile()]
    // The PUT has read the product before the other file is there, and must not take that off.
    const [put, post] = await whileLocked(stack, product, 2, () => [
      shop.call('PUT', files(product), filesOf(mine)),
      shop.call('POST', files(product), filesOf(theirs)),
    ])
    expect(errorOf(put ?? never())).toEqual(CONFLICT)
    expect(post?.status).toBe(204)
    expect(new Set(await shop.filesOf(product))).toEqual(new Set([mine, theirs]))
  })

  test('come once when their request is sent again under its Idempotency-Key', async () => {
    const product = await shop.newProduct()
    const [a, b] = [await shop.newFile(), await shop.newFile()]
    const headers = { 'idempotency-key': randomUUID() }
    for (let n = 0; n < 2; n++) expect((await shop.call('POST', files(product), filesOf(a, b), headers)).status).toBe(204)
    expect(await shop.filesOf(product)).toEqual([a, b])
  })

  test('are there when it is answered, also for who would rather not wait', async () => {
    const product = await shop.newProduct()
    const [a, b] = [await shop.newFile(), await shop.newFile()]
    const async = { prefer: 'respond-async' }
    expect((await shop.call('POST', files(product), filesOf(a, b), async)).status).toBe(204)
    expect(await shop.filesOf(product)).toEqual([a, b])
    expect((await shop.call('PUT', files(product), filesOf(b), async)).status).toBe(204)
    expect(await shop.filesOf(product)).toEqual([b])
  })

  test('of a product that takes no images are refused', async () => {
    const { body } = await shop.call('POST', '/v1/products', { sku: randomUUID(), accepts_images: false })
    const file = await shop.newFile()
    const refused = invalid('The product does not take images')
    expect(errorOf(await shop.call('POST', files(body['id']), filesOf(file)))).toEqual(refused)
    expect(errorOf(await shop.call('POST', mainImage(body['id']), fileOf(file)))).toEqual(refused)
  })
})

describe('products', () => {
  const post = (attributes: unknown, more: object = {}) =>
    shop.call('POST', '/pcm/products', { data: { type: 'product', attributes, ...more } })

  test('are created and read with all that was said of them', async () => {
    const sku = randomUUID()
    const attributes = { name: 'T-Shirt', sku, slug: 't-shirt', status: 'live', commodity_type: 'physical', description: 'Plain' }
    const locales = { 'fr-FR': { name: 'Le T-shirt' } }
    const { status, headers, body } = await post({ ...attributes, locales })
    const { id } = body['data']
    expect([status, headers.get('location')]).toEqual([201, `/pcm/products/${id}`])
    expect(body).toEqual({
      data: {
        type: 'product',
        id: expect.any(String),
        attributes: { ...attributes, locales },
        relationships: {
          children: { data: [], links: { self: `/products/${id}/children` } },
          component_products: { data: [], links: { self: `/products/${id}/relationships/component_products` } },
          files: { data: [], links: { self: `/products/${id}/relationships/files` } },
          main_image: { data: null },
          templates: { data: [], links: { self: `/products/${id}/relationships/templates` } },
          variations: { data: [], links: { self: `/products/${id}/relationships/variations` } },
        },
        meta: { created_at: expect.any(String), owner: 'store', product_types: ['standard'], updated_at: expect.any(String) },
      },
    })
    expect((await shop.call('GET', `/pcm/products/${id}`)).body).toEqual(body)
    expect((await shop.call('GET', `/v1/products/sku:${sku}`)).body).toMatchObject({ id, sku, title: 'T-Shirt', status: 'live' })
  })

  test('without a SKU have their id for one, and are drafts', async () => {
    const { body } = await post({ name: 'Bare' })
    expect(body['data'].attributes).toEqual({ name: 'Bare', sku: body['data'].id, status: 'draft' })
  })

  test('are not created by a request that is not right', async () => {
    const sku = randomUUID()
    await post({ name: 'First', sku })
    const cases: readonly (readonly [unknown, Json])[] = [
      [{ name: 'Second', sku }, invalid('data.attributes.sku: Must be unique amongst products.')],
      [undefined, invalid('data.attributes can not be empty')],
      [[], invalid('data.attributes: Must be an object.')],
      [{}, invalid('data.attributes.name can not be empty')],
      [{ name: '' }, invalid('data.attributes.name can not be empty')],
      [{ name: 'x'.repeat(256) }, invalid('data.attributes.name: Must not be longer than 255 characters.')],
      [{ name: 'a\0b' }, invalid('data.attributes.name: Must be well-formed text without NUL.')],
      [{ name: 'a', sku: 'a\nb' }, invalid('data.attributes.sku: Must not contain control characters.')],
      [{ name: 'a', status: 'sold' }, invalid('data.attributes.status: Must be "live" or "draft".')],
      [{ name: 'a', description: 'a\0b' }, invalid('data.attributes: Must be well-formed text without NUL.')],
      [{ name: 'a', locales: { 'a\0': 1 } }, invalid('data.attributes: Must be well-formed text without NUL.')],
      [{ name: 'a', description: 'x'.repeat(20_000) }, invalid('data.attributes: Must not be larger than 16 KiB.')],
    ]
    for (const [attributes, error] of cases) expect(errorOf(await post(attributes))).toEqual(error)
    expect(errorOf(await shop.call('POST', '/pcm/products', { data: { attributes: {} } }))).toEqual(
      invalid('data.type can not be empty'),
    )
    expect(errorOf(await post({ name: 'a' }, { type: 'node' }))).toEqual(invalid('data.type: Must be "product".'))
  })

  test('are given to the organization by an administrator only', async () => {
    const given = { data: { type: 'product', attributes: { name: 'Ours' }, meta: { owner: 'organization' } } }
    expect(errorOf(await shop.call('POST', '/pcm/products', given, as(WRITER)))).toEqual({
      status: '403',
      title: 'Forbidden',
      detail: expect.stringContaining('needs a token with the role admin'),
    })
    const { status, body } = await shop.call('POST', '/pcm/products', given)
    expect([status, body['data'].meta.owner]).toEqual([201, 'organization'])
  })

  test('are listed by page, newest first', async () => {
    const ids: string[] = []
    for (let n = 0; n < 3; n++) ids.unshift(await shop.newProduct())
    const { body } = await shop.call('GET', '/pcm/products?page[limit]=2&page[offset]=1')
    expect(body['data'].map(({ id }: Json) => id)).toEqual(ids.slice(1, 3))
    const { total } = body['meta'].results
    expect(body['meta'].page).toEqual({ limit: 2, offset: 1, current: 1, total: Math.ceil(total / 2) })
    expect(body['links']).toMatchObject({
      first: '/pcm/products?page[offset]=0&page[limit]=2',
      next: '/pcm/products?page[offset]=3&page[limit]=2',
    })
    for (const query of [
      'page[limit]=101',
      'page[limit]=0',
      'page[offset]=10001',
      'page[offset]=-1',
      'page[limit]=1&page[limit]=2',
    ])
      expect([query, (await shop.call('GET', `/pcm/products?${query}`)).status]).toEqual([query, 400])
  })

  test('are found by SKU and by id, and by nothing else', async () => {
    const [one, two] = [randomUUID(), `${randomUUID()} (two), "second"`]
    const ids = [await shop.newProduct({ sku: one }), await shop.newProduct({ sku: two })]
    const found = async (filter: string) => {
      const answer = await shop.call('GET', `/pcm/products?filter=${encodeURIComponent(filter)}`)
      expect([filter, answer.status]).toEqual([filter, 200])
      return answer.body['data'].map(({ id }: Json) => id)
    }
    expect(await found(`eq(sku,${one})`)).toEqual([ids[0]])
    expect(await found(`eq(sku,'${two}')`)).toEqual([ids[1]])
    expect(await found(`in(sku,${one},"${two.replaceAll('"', '\\"')}",${one})`)).toEqual(ids)
    expect(await found(`in(id,${ids.join()},no-id)`)).toEqual(ids)
    expect(await found('eq(sku,nobody)')).toEqual([])
    const unparsed = { status: '400', title: 'Bad Request', detail: 'Could not parse the supplied filter' }
    for (const filter of [
      'eq(sku',
      'eq(sku,)',
      'eq(sku,a,b)',
      'eq(name,a)',
      'like(sku,a)',
      'sku',
      'eq(sku,a):eq(sku,b)',
      'eq(sku,a);',
    ])
      expect(errorOf(await shop.call('GET', `/pcm/products?filter=${encodeURIComponent(filter)}`))).toEqual(unparsed)
  })

  test('bring their files along when they are asked to', async () => {
    const product = await shop.newProduct()
    const [main, other] = [await shop.newFile('main.png'), await shop.newFile('other.png')]
    await shop.call('POST', mainImage(product), fileOf(main))
    await shop.call('POST', files(product), filesOf(other))
    const read = async (query: string) => (await shop.call('GET', `/pcm/products${query}`)).body
    const whole = await read(`/${product}?include=main_image,files`)
    expect(whole['included'].main_images).toEqual([(await shop.call('GET', `/v2/files/${main}`)).body['data']])
    expect(whole['included'].files.map((file: Json) => file['file_name'])).toEqual(['main.png', 'other.png'])
    expect(Object.keys((await read(`/${product}?include=files`))['included'])).toEqual(['files'])
    expect((await read(`/${product}?include=component_products`))['included']).toBe(undefined)
    expect((await read(`?filter=eq(sku,${product})&include=main_image`))['included'].main_images[0].id).toBe(main)
  })

  test('that are not there are not found, and what is not offered is told so', async () => {
    const product = await shop.newProduct()
    expect(errorOf(await shop.call('GET', `/pcm/products/${randomUUID()}`))).toEqual(NOT_FOUND)
    expect(errorOf(await shop.call('GET', '/pcm/nothing'))).toEqual(NOT_FOUND)
    for (const method of ['PUT', 'DELETE']) {
      const answer = await shop.call(method, `/pcm/products/${product}`, {})
      expect(errorOf(answer)).toEqual({ status: '405', title: 'Method Not Allowed', detail: expect.any(String) })
      expect(answer.headers.get('allow')).toBe('GET, HEAD')
    }
  })
})

describe('/v2/files', () => {
  const upload = async (body: RequestInit['body'], headers: Record<string, string> = {}) =>
    answerOf(await stack.api.send('POST', '/v2/files', { body: body ?? null, headers }))
  const locate = async (...locations: readonly string[]) => {
    const form = new FormData()
    for (const location of locations) form.append('file_location', location)
    return upload(form)
  }
  const noFile = { status: 400, title: 'Validation Failed', detail: 'You have not supplied a file to store' }
  const located = (detail: unknown) => ({ status: 422, title: 'file_location invalid', detail })

  test('takes a file and tells what it is', async () => {
    const png = await draw()
    const { status, headers, body } = await upload(formOf(png, { fileName: 'blob', public: 'true' }))
    const { data } = body
    expect(status).toBe(201)
    expect(body).toEqual({
      data: {
        type: 'file',
        id: expect.any(String),
        link: { href: expect.any(String) },
        file_name: 'blob',
        mime_type: 'image/png',
        file_size: png.length,
        meta: { dimensions: { width: 24, height: 16 }, timestamps: { created_at: expect.any(String) } },
        links: { self: `${stack.api.url}/v2/files/${data.id}` },
      },
    })
    expect(headers.get('location')).toBe(data.links.self)
    expect(data.link.href.endsWith(`/${data.id}.png`)).toBe(true)
    const image = await stack.api.send('GET', data.link.href, { token: null })
    expect(Buffer.from(await image.arrayBuffer()).equals(png)).toBe(true)
    expect((await shop.call('GET', `/v2/files/${data.id}`)).body).toEqual(body)
  })

  test('is promised to who would rather not wait', async () => {
    const answer = await upload(formOf(await draw()), { prefer: 'respond-async' })
    expect(answer.status).toBe(202)
    const { result } = await stack.api.finished(answer.headers.get('location') ?? '')
    expect((await shop.call('GET', `/v2/files/${result.file_id}`)).status).toBe(200)
  })

  test('refuses a request that brings no file, or more than one', async () => {
    expect(errorOf(await upload(null))).toEqual(noFile)
    expect(errorOf(await upload(new FormData()))).toEqual(noFile)
    const fields = new FormData()
    fields.set('public', 'true')
    expect(errorOf(await upload(fields))).toEqual(noFile)
    const both = formOf(await draw(), { file_location: 'https://example.com/a.png' })
    expect(errorOf(await upload(both))).toEqual({
      status: 422,
      title: 'Validation Failed',
      detail: 'Give a file or a file_location, not both.',
    })
    const twice = formOf(await draw())
    twice.append('file', new Blob([new Uint8Array(await draw())]), 'b.png')
    expect((await upload(twice)).body['errors'][0]).toMatchObject({ status: 422, title: 'Validation Failed' })
    const elsewhere = new FormData()
    elsewhere.set('image', new Blob([new Uint8Array(await draw())]), 'b.png')
    expect(errorOf(await upload(elsewhere))).toEqual({
      status: 400,
      title: 'Bad Request',
      detail: 'The file must be in the part "file".',
    })
  })

  test('refuses what is no image, an image that is broken, and one that is too large', async () => {
    const failed = (detail: unknown) => ({ status: 422, title: 'Validation Failed', detail })
    expect(errorOf(await upload(formOf(Buffer.from('%PDF-1.7'))))).toEqual(failed(expect.stringContaining('application/pdf')))
    expect(errorOf(await upload(formOf(Buffer.alloc(0))))).toEqual(failed('The file is empty'))
    const whole = await draw()
    expect(errorOf(await upload(formOf(whole.subarray(0, whole.length - 30))))).toEqual(failed(expect.any(String)))
    expect(errorOf(await upload(formOf(Buffer.concat([whole, Buffer.alloc(70_000)]))))).toEqual({
      status: 413,
      title: 'Payload Too Large',
      detail: expect.stringContaining('64 KiB'),
    })
    const json = await upload('{}', { 'content-type': 'application/json' })
    expect(errorOf(json)).toEqual({ status: 415, title: 'Unsupported Media Type', detail: expect.any(String) })
    const staged = await query<{ n: number }>(stack, (sql) => sql`select count(*)::int n from ingests where state = 'failed'`)
    expect(staged).toEqual([{ n: 0 }])
  })

  test('fetches a file from its address, but not from everywhere', async () => {
    expect(errorOf(await locate('@/path/to/file.jpg'))).toEqual(located('@/path/to/file.jpg is not a valid URL'))
    for (const forbidden of ['http://127.0.0.1:1/a.png', 'https://169.254.169.254/latest', 'https://[::1]/a.png'])
      expect(errorOf(await locate(forbidden))).toEqual(located(expect.any(String)))
    expect(errorOf(await locate(`${elsewhereUrl()}/not-there.png`))).toEqual(located(expect.any(String)))
    expect(errorOf(await locate('https://a.example/', 'https://b.example/'))).toEqual(
      located('file_location is given more than once'),
    )
    expect(errorOf(await locate(`https://a.example/${'a'.repeat(3_000)}`))).toEqual(
      located('file_location may have 2048 characters at most'),
    )
    expect(errorOf(await locate(`${elsewhereUrl()}/page.html`))).toEqual({
      status: 422,
      title: 'Validation Failed',
      detail: expect.any(String),
    })
  })

  test('lists by page, in the order in which they came', async () => {
    const ids = [await shop.newFile('page.png'), await shop.newFile('page.png'), await shop.newFile('page.png')]
    const page = async (query: string) => (await shop.call('GET', `/v2/files?filter=eq(file_name,page.png)${query}`)).body
    const all = await page('')
    expect(all['data'].map(({ id }: Json) => id)).toEqual(ids)
    expect(all['meta']).toEqual({ page: { limit: 25, offset: 0, current: 1, total: 1 }, results: { total: 3 } })
    const base = `${stack.api.url}/v2/files`
    const filter = 'filter=eq(file_name,page.png)'
    expect(all['links']).toEqual({
      self: `${base}?page[offset]=0&page[limit]=25&${filter}`,
      first: `${base}?page[offset]=0&page[limit]=25&${filter}`,
      last: null,
    })
    const second = await page('&page[limit]=2&page[offset]=2')
    expect(second['data'].map(({ id }: Json) => id)).toEqual(ids.slice(2))
    expect(second['meta']).toEqual({ page: { limit: 2, offset: 2, current: 2, total: 2 }, results: { total: 3 } })
    expect(second['links'].last).toBe(`${base}?page[offset]=2&page[limit]=2&${filter}`)
    const next = (await page('&page[limit]=2'))['links'].next
    expect((await shop.call('GET', next)).body['data']).toEqual(second['data'])
  })

  test('are filtered by name and size', async () => {
    const name = `Holiday ${randomUUID()}.png`
    const id = await shop.newFile(name)
    const size = (await shop.call('GET', `/v2/files/${id}`)).body['data'].file_size
    const found = async (filter: string) => {
      const { status, body } = await shop.call('GET', `/v2/files?filter=${encodeURIComponent(filter)}`)
      expect([filter, status]).toEqual([filter, 200])
      return body['data'].some((file: Json) => file['id'] === id)
    }
    const like = `like(file_name,${name.slice(0, 20)}*)`
    for (const filter of [`eq(file_name,${name})`, `eq(file_name,"${name}")`, like.toLowerCase(), `${like}:gt(width,23)`])
      expect([filter, await found(filter)]).toEqual([filter, true])
    for (const filter of [`ge(width,24)`, `le(height,16)`, `eq(file_size,${size})`, `lt(file_size,${size + 1})`])
      expect([filter, await found(`${like}:${filter}`)]).toEqual([filter, true])
    for (const filter of [`gt(width,24)`, `lt(height,16)`, `gt(file_size,${size})`, 'eq(file_name,other.png)'])
      expect([filter, await found(`${like}:${filter}`)]).toEqual([filter, false])
    const unparsed = { status: 400, title: 'Bad Request', detail: 'Could not parse the supplied filter' }
    for (const filter of [
      'gt(width,big)',
      'gt(file_name,a)',
      'eq(mime_type,image/png)',
      'in(file_name,a)',
      'eq(width',
      'gt(width,1e3)',
    ])
      expect(errorOf(await shop.call('GET', `/v2/files?filter=${encodeURIComponent(filter)}`))).toEqual(unparsed)
    expect(
      errorOf(await shop.call('GET', `/v2/files?filter=${Array.from({ length: 11 }, () => 'gt(width,1)').join(':')}`)),
    ).toEqual(unparsed)
  })

  test('removes a file, and the images that show it', async () => {
    const product = await shop.newProduct()
    const [main, other] = [await shop.newFile(), await shop.newFile()]
    await shop.call('POST', mainImage(product), fileOf(main))
    await shop.call('POST', files(product), filesOf(other))
    const removed = await stack.api.send('DELETE', `/v2/files/${main}`, {
      body: '{}',
      headers: { 'content-type': 'application/json' },
    })
    expect([removed.status, await removed.text()]).toEqual([204, ''])
    expect([await shop.mainOf(product), await shop.filesOf(product)]).toEqual([null, [other]])
    for (const method of ['GET', 'DELETE']) {
      for (const id of [main, 'no-uuid']) expect(errorOf(await shop.call(method, `/v2/files/${id}`))).toEqual(FILE_NOT_FOUND)
    }
  })

  test('leaves what the organization shows where it is', async () => {
    const { body } = await shop.call('POST', '/v1/products', { sku: randomUUID() })
    const file = await shop.newFile()
    await shop.call('POST', mainImage(body['id']), fileOf(file))
    expect((await shop.call('PATCH', `/v1/products/${body['id']}`, { owner: 'organization' })).status).toBe(200)
    expect(errorOf(await shop.call('DELETE', `/v2/files/${file}`))).toEqual({ ...OWNED, status: 403 })
    expect(await shop.mainOf(body['id'])).toBe(file)
  })
})
