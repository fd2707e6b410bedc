/** The token product image API, each row of docs/dialects/token-images.md. */
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { drawSample } from '@sluice/images/samples'
import { type Answer, answerOf, type Json } from '../api.ts'
import { openStack, type Stack } from '../stack.ts'
import { addTokens } from '../token-conditions.ts'

let stack: Stack
let jpeg: Buffer
let png: Buffer

beforeAll(async () => {
  stack = await openStack('embedded', { SLUICE_LIMIT_FILE_BYTES_MAX: '307200' })
  jpeg = await drawSample({ seed: 1, width: 64, height: 48, format: 'jpeg' })
  png = await drawSample({ seed: 2, width: 20, height: 30, format: 'png' })
})
afterAll(async () => stack?.[Symbol.asyncDispose]())

async function newProduct(): Promise<number> {
  const { body } = await stack.api.call('GET', await stack.api.newProduct())
  return body['number']
}

const pathOf = (product: number, image?: number) => `/api/products/${product}/images${image === undefined ? '' : `/${image}`}`

interface Sent {
  readonly body?: RequestInit['body']
  readonly headers?: Record<string, string>
  readonly authorization?: string | null
}

async function send(method: string, path: string, { body = null, headers = {}, authorization }: Sent = {}): Promise<Answer> {
  const given = authorization === undefined ? `Token ${stack.token}` : authorization
  const init = { body, headers: { ...headers, ...(given === null ? {} : { authorization: given }) }, token: null }
  return answerOf(await stack.api.send(method, path, init))
}

const inJson = (body: unknown): Sent => ({ body: JSON.stringify(body), headers: { 'content-type': 'application/json' } })

function formOf(fields: Record<string, string | Blob>): FormData {
  const form = new FormData()
  for (const [name, value] of Object.entries(fields)) form.set(name, value)
  return form
}

const fileOf = (bytes: Uint8Array, name = 'product_image.jpg') => new File([new Uint8Array(bytes)], name)

const create = (product: number, fields: Record<string, string | Blob> = {}, sent: Sent = {}) =>
  send('POST', pathOf(product), { body: formOf({ image: fileOf(jpeg), ...fields }), ...sent })

async function created(product: number, fields: Record<string, string | Blob> = {}): Promise<Json> {
  const { status, body } = await create(product, fields)
  expect([status, body]).toEqual([201, body])
  return body
}

const listed = async (product: number): Promise<Json[]> => (await send('GET', `${pathOf(product)}?limit=100`)).body['results']

/** The id of the image that is the main one in our own API; null when there is none. */
async function primaryOf(product: number): Promise<number | null> {
  const { body } = await stack.api.call('GET', `/v1/products/${product}/images`)
  return body['images'].find((image: Json) => image['main'])?.number ?? null
}

describe('create', () => {
  test('answers 201 with the finished image, each field of the kind that is documented', async () => {
    const product = await newProduct()
    const { status, headers, body } = await create(product, { alt_text: 'Product front view', is_primary: 'True', order: '1' })
    expect(status).toBe(201)
    expect(headers.get('content-type')).toBe('application/json; charset=utf-8')
    expect(body).toEqual({
      id: expect.any(Number),
      type: 'JPEG',
      user: { id: expect.any(Number), username: expect.any(String), full_name: expect.any(String) },
      name: 'product_image.jpg',
      f: expect.stringMatching(new RegExp(`^${stack.api.url}/media/[\\w-]+/products/${product}/image\\.jpg$`)),
      size: jpeg.length,
      description: 'Product front view',
      width: 64,
      height: 48,
      human_readable_size: expect.stringMatching(/^\d+(\.\d)? (bytes|KB)$/),
      mode: 'RGB',
      created_at: expect.stringMatching(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/),
      updated_at: expect.stringMatching(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/),
    })
    const file = await fetch(body['f'])
    expect(Buffer.from(await file.arrayBuffer())).toEqual(jpeg)
  })

  test.each([
    ['jpeg', 'JPEG'],
    ['png', 'PNG'],
    ['webp', 'WEBP'],
    ['avif', 'AVIF'],
  ] as const)('knows a %s by its content, whatever it is called', async (format, type) => {
    const image = await drawSample({ seed: 3, width: 30, height: 20, format })
    const { body } = await create(await newProduct(), { image: fileOf(image, 'picture.gif') })
    expect(body).toMatchObject({ type, name: 'picture.gif', size: image.length, width: 30, height: 20 })
  })

  test('names what has no name, and keeps a name without its path', async () => {
    const product = await newProduct()
    const boundary = 'b'
    const nameless = (disposition: string) =>
      Buffer.concat([
        Buffer.from(`--${boundary}\r\nContent-Disposition: form-data; name="image"${disposition}\r\n\r\n`),
        png,
        Buffer.from(`\r\n--${boundary}--\r\n`),
      ])
    const headers = { 'content-type': `multipart/form-data; boundary=${boundary}` }
    const first = await send('POST', pathOf(product), { body: nameless(''), headers })
    const second = await send('POST', pathOf(product), { body: nameless('; filename="../../etc/été.png"'), headers })
    expect([first.body['name'], second.body['name']]).toEqual(['image.png', 'été.png'])
    expect(new URL(second.body['f']).pathname).toMatch(/\/image_2\.png$/)
  })

  test('takes every way in which a truth is written, and any number in its bounds', async () => {
    const product = await newProduct()
    for (const word of ['true', 'True', 'TRUE', 't', 'yes', 'on', '1']) {
      const { id } = await created(product, { is_primary: word })
      expect([word, await primaryOf(product)]).toEqual([word, id])
    }
    const before = await primaryOf(product)
    for (const word of ['false', 'False', 'f', 'no', 'off', '0', '']) await created(product, { is_primary: word, order: '' })
    expect(await primaryOf(product)).toBe(before)
    for (const order of ['-5', '+7', ' 8 ', '9.0', '1000000000', '-1000000000']) await created(product, { order })
  })

  test('has no primary image until it is said, and one at most', async () => {
    const product = await newProduct()
    await created(product)
    expect(await primaryOf(product)).toBeNull()
    await created(product, { is_primary: 'true' })
    const { id } = await created(product, { is_primary: 'true' })
    expect(await primaryOf(product)).toBe(id)
    await created(product, { is_primary: 'false' })
    expect(await primaryOf(product)).toBe(id)
  })

  test('leaves one primary image when many are made at once', async () => {
    const product = await newProduct()
    const made = await Promise.all(Array.from({ length: 12 }, () => created(product, { is_primary: 'true', order: '3' })))
    const ids = made.map(({ id }) => id).sort((a, b) => a - b)
    expect((await listed(product)).map(({ id }) => id)).toEqual(ids)
    expect(ids).toContain(await primaryOf(product))
    const { body } = await stack.api.call('GET', `/v1/products/${product}/images`)
    expect(body['images'].filter((image: Json) => image['main'])).toHaveLength(1)
  })

  test('ignores fields that it does not know, and takes the last of those that are there twice', async () => {
    const form = formOf({ image: fileOf(jpeg), colour: 'red', alt_text: 'first' })
    form.append('alt_text', 'last')
    const { status, body } = await send('POST', pathOf(await newProduct()), { body: form })
    expect([status, body['description']]).toEqual([201, 'last'])
  })

  test('takes an address with a slash at its end', async () => {
    const { status } = await send('POST', `${pathOf(await newProduct())}/`, { body: formOf({ image: fileOf(jpeg) }) })
    expect(status).toBe(201)
  })

  test('says 400 with all fields that are wrong, each under its name', async () => {
    const product = await newProduct()
    const wrong = { alt_text: 'x'.repeat(2000), is_primary: 'maybe', order: '1.5' }
    const faults = {
      alt_text: ['Ensure this field has no more than 1024 characters.'],
      is_primary: ['Must be a valid boolean.'],
      order: ['A valid integer is required.'],
    }
    expect(await create(product, wrong)).toMatchObject({ status: 400, body: faults })
    const withoutImage = await send('POST', pathOf(product), { body: formOf(wrong) })
    expect([withoutImage.status, withoutImage.body]).toEqual([400, { image: ['No file was submitted.'], ...faults }])
    const large = await create(product, { order: '99999999999', alt_text: 'a\0b' })
    expect([large.status, large.body]).toEqual([
      400,
      { alt_text: ['Null characters are not allowed.'], order: ['Ensure this value is less than or equal to 1000000000.'] },
    ])
    expect(await listed(product)).toEqual([])
  })

  test('says 400 where there is no image, and where it is none', async () => {
    const product = await newProduct()
    const none = { image: ['No file was submitted.'] }
    for (const sent of [
      {},
      inJson({ image: 'x' }),
      { body: new URLSearchParams({ image: 'x' }) },
      { body: formOf({ order: '1' }) },
    ])
      expect(await send('POST', pathOf(product), sent)).toMatchObject({ status: 400, body: none })
    const invalid = {
      image: ['Upload a valid image. The file you uploaded was either not an image or a corrupted image.'],
    }
    const halves = [
      Buffer.from('not an image'),
      Buffer.from('<svg xmlns="http://www.w3.org/2000/svg"/>'),
      jpeg.subarray(0, jpeg.length / 2),
    ]
    for (const bytes of halves) {
      const { status, body } = await create(product, { image: fileOf(bytes) })
      expect([status, body]).toEqual([400, invalid])
    }
    const empty = await create(product, { image: fileOf(Buffer.alloc(0)) })
    expect([empty.status, empty.body]).toEqual([400, { image: ['The submitted file is empty.'] }])
    const elsewhere = await send('POST', pathOf(product), { body: formOf({ file: fileOf(jpeg) }) })
    expect([elsewhere.status, elsewhere.body]).toEqual([400, { file: ['The file must be in the part "image".'] }])
    expect(await listed(product)).toEqual([])
  })

  test('says 413 when the file is too large', async () => {
    const { status, body } = await create(await newProduct(), { image: fileOf(Buffer.concat([jpeg, Buffer.alloc(307_200)])) })
    expect([status, body]).toEqual([413, { detail: 'The file is larger than 300 KiB.' }])
  })

  test('says 415 for another kind of body', async () => {
    const { status, body } = await send('POST', pathOf(await newProduct()), {
      body: jpeg,
      headers: { 'content-type': 'image/jpeg' },
    })
    expect([status, Object.keys(body)]).toEqual([415, ['detail']])
  })

  test('is done once under an Idempotency-Key, and only accepted for who would rather not wait', async () => {
    const product = await newProduct()
    const headers = { 'idempotency-key': `key-${product}` }
    const [one, two] = [await create(product, {}, { headers }), await create(product, {}, { headers })]
    expect([one.status, two.status, two.body['id']]).toEqual([201, 201, one.body['id']])
    const other = await create(product, { order: '4' }, { headers })
    expect([other.status, Object.keys(other.body)]).toEqual([422, ['detail']])
    const accepted = await create(product, {}, { headers: { prefer: 'respond-async' } })
    expect(accepted.status).toBe(202)
    expect(await stack.api.finished(accepted.headers.get('location') ?? '')).toMatchObject({ state: 'committed' })
    expect(await listed(product)).toHaveLength(2)
  })
})

describe('who asks', () => {
  let tokens: Awaited<ReturnType<typeof addTokens>>

  beforeAll(async () => {
    tokens = await addTokens(stack.databaseUrl)
  })

  test("lets readers read, writers write, and nobody into what is another one's", async () => {
    const product = await newProduct()
    const { id } = await created(product)
    const statuses = async (secret: string) => {
      const authorization = `Token ${secret}`
      const list = await send('GET', pathOf(product), { authorization })
      const one = await send('GET', pathOf(product, id), { authorization })
      const change = await send('PATCH', pathOf(product, id), { ...inJson({ order: 1 }), authorization })
      const made = await create(product, {}, { authorization })
      const removed = await send('DELETE', pathOf(product, made.body['id'] ?? id), { authorization })
      return [list, one, change, made, removed].map(({ status }) => status)
    }
    expect(await statuses(tokens.writer)).toEqual([200, 200, 200, 201, 204])
    expect(await statuses(tokens.reader)).toEqual([200, 200, 403, 403, 403])
    expect(await statuses(tokens.stranger)).toEqual([404, 404, 404, 404, 404])
    expect(await statuses(tokens.revoked)).toEqual([401, 401, 401, 401, 401])
    expect(await statuses(tokens.expired)).toEqual([401, 401, 401, 401, 401])
    const forbidden = await send('DELETE', pathOf(product, id), { authorization: `Token ${tokens.reader}` })
    expect(forbidden.body).toEqual({ detail: 'You do not have permission to perform this action.' })
  })

  test('names who brought an image', async () => {
    const { body } = await create(await newProduct(), {}, { authorization: `Token ${tokens.writer}` })
    expect(body['user']).toEqual({ id: expect.any(Number), username: 'writer', full_name: 'writer' })
  })

  test('says 401 with what it would take', async () => {
    const path = pathOf(await newProduct())
    const cases: [authorization: string | null, detail: string][] = [
      [null, 'Authentication credentials were not provided.'],
      ['Basic YTpi', 'Authentication credentials were not provided.'],
      ['Token', 'Invalid token.'],
      ['Token nobody', 'Invalid token.'],
      ['Token a b', 'Invalid token.'],
    ]
    for (const [authorization, detail] of cases) {
      for (const method of ['GET', 'POST']) {
        const { status, headers, body } = await send(method, path, { authorization })
        expect([authorization, status, headers.get('www-authenticate'), body]).toEqual([authorization, 401, 'Token', { detail }])
      }
    }
  })

  test.each(['Token', 'token', 'Bearer'])('takes a token as %s', async (scheme) => {
    expect((await send('GET', pathOf(await newProduct()), { authorization: `${scheme} ${stack.token}` })).status).toBe(200)
  })
})

describe('list', () => {
  test('is ordered by order, then by id, in pages with absolute addresses', async () => {
    const product = await newProduct()
    const ids: number[] = []
    for (const order of ['2', '1', '2', '0', '-1']) ids.push((await created(product, { order }))['id'])
    const sorted = [4, 3, 1, 0, 2].map((index) => ids[index])
    const base = `${stack.api.url}${pathOf(product)}`

    const whole = (await send('GET', pathOf(product))).body
    expect(whole).toMatchObject({ count: 5, next: null, previous: null })
    expect(whole['results'].map((image: Json) => image['id'])).toEqual(sorted)
    expect(whole['results'][0]).toEqual((await send('GET', pathOf(product, sorted[0]))).body)

    const page = (await send('GET', `${pathOf(product)}?offset=2&limit=2`)).body
    expect(page).toMatchObject({ count: 5, next: `${base}?offset=4&limit=2`, previous: `${base}?limit=2` })
    expect(page['results'].map((image: Json) => image['id'])).toEqual(sorted.slice(2, 4))
    const seen: number[] = []
    for (let next: string | null = `${base}?limit=2`; next !== null;) {
      const { body }: Answer = await send('GET', next)
      seen.push(...body['results'].map((image: Json) => image['id']))
      next = body['next']
    }
    expect(seen).toEqual(sorted)
  })

  test('has ten to a page, a hundred at most, and takes its defaults for what is no number', async () => {
    const product = await newProduct()
    for (let n = 0; n < 11; n++) await created(product)
    for (const query of ['', '?limit=0', '?limit=-1', '?limit=ten&offset=x', '?offset=-3']) {
      const { body } = await send('GET', pathOf(product) + query)
      expect([query, body['count'], body['results'].length]).toEqual([query, 11, 10])
    }
    const capped = (await send('GET', `${pathOf(product)}?limit=999999999&offset=1`)).body
    expect([capped['results'].length, capped['previous']]).toEqual([10, `${stack.api.url}${pathOf(product)}?limit=100`])
    expect((await send('GET', `${pathOf(product)}?offset=999`)).body).toMatchObject({ count: 11, results: [], next: null })
  })

  test('is empty for a product without images', async () => {
    const { status, body } = await send('GET', pathOf(await newProduct()))
    expect([status, body]).toEqual([200, { count: 0, next: null, previous: null, results: [] }])
  })
})

describe('change', () => {
  test('takes what is given, as JSON and as either form, and leaves the rest', async () => {
    const product = await newProduct()
    const { id } = await created(product, { alt_text: 'before', order: '5' })
    const path = pathOf(product, id)
    const json = await send('PATCH', path, inJson({ alt_text: 'in JSON', colour: 'red' }))
    expect([json.status, json.body['description'], json.body['id']]).toEqual([200, 'in JSON', id])
    const form = await send('PATCH', `${path}/`, { body: formOf({ alt_text: 'in a form', is_primary: 'True' }) })
    expect([form.status, form.body['description'], await primaryOf(product)]).toEqual([200, 'in a form', id])
    const urlencoded = await send('PATCH', path, { body: new URLSearchParams({ alt_text: 'größer' }) })
    expect([urlencoded.status, urlencoded.body['description']]).toEqual([200, 'größer'])
    const nothing = await send('PATCH', path)
    expect([nothing.status, nothing.body]).toEqual([200, urlencoded.body])
    expect(await primaryOf(product)).toBe(id)
    expect((await send('GET', path)).body).toEqual(urlencoded.body)
  })

  test('moves an image by its order, and moves no other', async () => {
    const product = await newProduct()
    const [a, b, c] = [
      await created(product, { order: '1' }),
      await created(product, { order: '2' }),
      await created(product, { order: '3' }),
    ]
    await send('PATCH', pathOf(product, a['id']), inJson({ order: 2 }))
    expect((await listed(product)).map(({ id }) => id)).toEqual([a['id'], b['id'], c['id']])
    await send('PATCH', pathOf(product, a['id']), inJson({ order: '10' }))
    expect((await listed(product)).map(({ id }) => id)).toEqual([b['id'], c['id'], a['id']])
  })

  test('makes an image the primary one, takes it from the other, and clears it', async () => {
    const product = await newProduct()
    const [a, b] = [await created(product, { is_primary: 'true' }), await created(product)]
    await send('PATCH', pathOf(product, b['id']), inJson({ is_primary: false }))
    expect(await primaryOf(product)).toBe(a['id'])
    await send('PATCH', pathOf(product, b['id']), inJson({ is_primary: true }))
    expect(await primaryOf(product)).toBe(b['id'])
    await send('PATCH', pathOf(product, b['id']), inJson({ is_primary: false }))
    expect(await primaryOf(product)).toBeNull()
  })

  test('says 400 with all fields that are wrong, and changes nothing', async () => {
    const product = await newProduct()
    const { id } = await created(product, { alt_text: 'before' })
    const path = pathOf(product, id)
    const wrong = await send('PATCH', path, inJson({ alt_text: ['x'], is_primary: 2, order: true }))
    expect([wrong.status, wrong.body]).toEqual([
      400,
      { alt_text: ['Not a valid string.'], is_primary: ['Must be a valid boolean.'], order: ['A valid integer is required.'] },
    ])
    const none = await send('PATCH', path, inJson({ alt_text: null, is_primary: null, order: null }))
    expect(Object.values(none.body)).toEqual(['alt_text', 'is_primary', 'order'].map(() => ['This field may not be null.']))
    const surrogate = await send('PATCH', path, { ...inJson({}), body: '{"alt_text":"\\ud800"}' })
    expect(surrogate.body).toEqual({ alt_text: ['Surrogate characters are not allowed.'] })
    const list = await send('PATCH', path, inJson([]))
    expect([list.status, list.body]).toEqual([400, { non_field_errors: [expect.any(String)] }])
    for (const text of ['{"alt_text":', '']) {
      const { status, body } = await send('PATCH', path, { ...inJson({}), body: text })
      expect([status, body]).toEqual([400, { detail: expect.stringMatching(/^JSON parse error - /) as string }])
    }
    const file = await send('PATCH', path, { body: formOf({ alt_text: 'after', image: fileOf(png) }) })
    expect([file.status, Object.keys(file.body)]).toEqual([400, ['image']])
    const latin = await send('PATCH', path, {
      body: 'alt_text=%ff',
      headers: { 'content-type': 'application/x-www-form-urlencoded' },
    })
    expect([latin.status, Object.keys(latin.body)]).toEqual([400, ['alt_text']])
    const large = await send('PATCH', path, inJson({ alt_text: 'x'.repeat(300_000) }))
    expect([large.status, Object.keys(large.body)]).toEqual([413, ['detail']])
    const plain = await send('PATCH', path, { body: 'alt_text=x', headers: { 'content-type': 'text/plain' } })
    expect([plain.status, Object.keys(plain.body)]).toEqual([415, ['detail']])
    expect((await listed(product)).map(({ description }) => description)).toEqual(['before'])
  })
})

describe('delete', () => {
  test('answers 204 and nothing, and no other image becomes the primary one', async () => {
    const product = await newProduct()
    const [a, b] = [await created(product, { is_primary: 'true' }), await created(product)]
    const { status, body } = await send('DELETE', pathOf(product, a['id']))
    expect([status, body]).toEqual([204, { text: '' }])
    expect((await listed(product)).map(({ id }) => id)).toEqual([b['id']])
    expect(await primaryOf(product)).toBeNull()
    expect((await send('DELETE', pathOf(product, a['id']))).status).toBe(404)
    expect((await send('DELETE', `${pathOf(product, b['id'])}/`, inJson({ sure: true }))).status).toBe(204)
  })
})

describe('what there is not', () => {
  test('is 404 in one form', async () => {
    const product = await newProduct()
    const other = await newProduct()
    const { id } = await created(other)
    const paths = [
      pathOf(999_999),
      '/api/products/x/images',
      '/api/products/00000000000000000000001/images',
      '/api/products/-1/images',
    ]
    const images = [pathOf(product, id), pathOf(product, 999_999), `${pathOf(product)}/x`, `${pathOf(product)}/%00`]
    const cases = [
      ...paths.flatMap((path) => [['GET', path] as const, ['POST', path] as const]),
      ...images.flatMap((path) => (['GET', 'PATCH', 'DELETE'] as const).map((method) => [method, path] as const)),
      ['GET', '/api/products'] as const,
      ['GET', `/api/products/${product}`] as const,
      ['GET', `${pathOf(product, id)}/thumbnail`] as const,
    ]
    for (const [method, path] of cases) {
      const { status, body } = await send(method, path, method === 'POST' ? { body: formOf({ image: fileOf(jpeg) }) } : {})
      expect([method, path, status, body]).toEqual([method, path, 404, { detail: 'Not found.' }])
    }
  })

  test('is 405 where only the method is wrong', async () => {
    const product = await newProduct()
    for (const [method, path, allow] of [
      ['PUT', pathOf(product), 'GET, HEAD, POST'],
      ['DELETE', pathOf(product), 'GET, HEAD, POST'],
      ['POST', pathOf(product, 1), 'DELETE, GET, HEAD, PATCH'],
    ] as const) {
      const { status, headers, body } = await send(method, path)
      expect([status, headers.get('allow'), body]).toEqual([405, allow, { detail: `Method "${method}" not allowed.` }])
    }
  })
})
