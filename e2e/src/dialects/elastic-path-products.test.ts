/** Products, as far as Elastic Path's clients need them for images. */
import { randomUUID } from 'node:crypto'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import type { Json } from '../api.ts'
import { openStack, type Stack } from '../stack.ts'
import { addToken, openShop, type Shop } from './elastic-path.ts'
import { as, errorOf, fileOf, files, filesOf, invalid, mainImage, NOT_FOUND } from './elastic-path-words.ts'

let stack: Stack
let shop: Shop
let writer: string

beforeAll(async () => {
  stack = await openStack('embedded')
  shop = openShop(stack)
  writer = await addToken(stack, 'writer')
})
afterAll(async () => stack?.[Symbol.asyncDispose]())

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
    expect(errorOf(await shop.call('POST', '/pcm/products', given, as(writer)))).toEqual({
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
