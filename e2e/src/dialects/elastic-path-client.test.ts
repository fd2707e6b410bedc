/** Elastic Path's own client, unmodified, for every call of it that touches what is served here. */
import { once } from 'node:events'
import { createServer, type Server } from 'node:http'
import { createRequire } from 'node:module'
import { gateway, MemoryStorageFactory } from '@elasticpath/js-sdk'
import FormData from 'form-data'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { openStack, type Stack } from '../stack.ts'
import { draw, openShop, type Shop } from './elastic-path.ts'

const require = createRequire(import.meta.url)
/** With the fetch of Node the client sends its forms as the text `[object FormData]`. */
const nodeFetch = require('node-fetch') as typeof fetch

let stack: Stack
let shop: Shop
let elsewhere: Server
let elsewhereUrl: string
let client: Client

type Client = ReturnType<typeof gateway>

beforeAll(async () => {
  const png = await draw()
  elsewhere = createServer((_request, response) => response.setHeader('content-type', 'image/png').end(png))
  elsewhere.listen(0, '127.0.0.1')
  await once(elsewhere, 'listening')
  const address = elsewhere.address()
  const host = `127.0.0.1:${typeof address === 'object' && address ? address.port : 0}`
  elsewhereUrl = `http://${host}/pictures/elsewhere.png`
  stack = await openStack('embedded', { SLUICE_FETCH_ALLOW: host })
  shop = openShop(stack)
  client = connect(await shop.clientId(), stack.token)
})
afterAll(async () => {
  elsewhere.close()
  await stack?.[Symbol.asyncDispose]()
})

function connect(id: string, secret: string): Client {
  const options = {
    client_id: id,
    client_secret: secret,
    host: new URL(stack.api.url).host,
    // Its types do not know of this, though its documentation does.
    protocol: 'http',
    storage: new MemoryStorageFactory(),
    custom_fetch: nodeFetch,
  }
  return gateway(options)
}

/** As the client's documentation has it for Node. */
async function upload(fileName: string): Promise<string> {
  const form = new FormData()
  form.append('file', await draw(), { filename: fileName, contentType: 'image/png' })
  form.append('public', 'true')
  const { data } = await client.Files.Create(form as never, form.getHeaders()['content-type'])
  return data.id
}

async function newProduct(name: string, sku: string): Promise<string> {
  const { data } = await client.PCM.Create({ type: 'product', attributes: { name, sku, commodity_type: 'physical' } })
  return data.id
}

const EMPTY = '{}'

test('Authenticate gets a token, and a wrong secret is told so', async () => {
  const token = await client.Authenticate()
  expect(token).toMatchObject({ token_type: 'Bearer', expires_in: 3600, identifier: 'client_credentials' })
  expect(Math.abs(token.expires - Date.now() / 1000 - 3600)).toBeLessThan(60)
  const wrong = connect(await shop.clientId(), 'not-the-secret')
  await expect(wrong.Authenticate()).rejects.toMatchObject({ errors: [{ status: 401, title: 'Unauthorized' }] })
})

test('Files.Create, Get, All with page and filter, Delete', async () => {
  const id = await upload('client.png')
  const { data } = await client.Files.Get(id)
  expect(data).toMatchObject({
    id,
    type: 'file',
    file_name: 'client.png',
    mime_type: 'image/png',
    meta: { dimensions: { width: 24, height: 16 } },
  })
  const link: { href: string } = Reflect.get(data, 'link')
  const image = await fetch(link.href)
  expect([image.status, image.headers.get('content-type')]).toEqual([200, 'image/png'])
  expect((await image.arrayBuffer()).byteLength).toBe(data.file_size)

  await upload('other.png')
  const filtered = await client.Files.Filter({ eq: { file_name: 'client.png' }, gt: { width: '20' } } as never).All()
  expect(filtered.data.map((file) => file.id)).toEqual([id])
  const none = await client.Files.Filter({ like: { file_name: 'client*' }, gt: { width: '24' } } as never).All()
  expect(none.data).toEqual([])
  const page = await client.Files.Filter(null as never)
    .Limit(1)
    .Offset(1)
    .All()
  expect(page.data.length).toBe(1)
  expect(page.meta.page).toMatchObject({ limit: 1, offset: 1, current: 2 })

  expect(await client.Files.Delete(id)).toBe(EMPTY)
  await expect(client.Files.Get(id)).rejects.toEqual({
    errors: [{ status: 404, title: 'Resource Not Found', detail: 'The resource you are requesting does not exist' }],
  })
})

test('Files.Link brings a file from its address', async () => {
  const { data } = await client.Files.Link(elsewhereUrl)
  expect(data).toMatchObject({ type: 'file', file_name: 'elsewhere.png', mime_type: 'image/png' })
  await expect(client.Files.Link('@/path/to/file.jpg')).rejects.toEqual({
    errors: [{ status: 422, title: 'file_location invalid', detail: '@/path/to/file.jpg is not a valid URL' }],
  })
})

test('PCM.MainImageRelationships.Create, Get, Update, Delete', async () => {
  const product = await newProduct('Main image', 'client-main')
  const [first, second] = [await upload('1.png'), await upload('2.png')]
  const main = client.PCM.MainImageRelationships
  expect(await main.Get(product)).toEqual({ data: null })
  expect(await main.Create(product, first)).toBe(EMPTY)
  expect(await main.Get(product)).toEqual({ data: { type: 'file', id: first } })
  expect(await main.Update(product, second)).toBe(EMPTY)
  expect(await main.Get(product)).toEqual({ data: { type: 'file', id: second } })
  expect(await main.Delete(product, second)).toBe(EMPTY)
  expect(await main.Get(product)).toEqual({ data: null })
})

test('PCM.FileRelationships.Create, All, Update, Delete', async () => {
  const product = await newProduct('Files', 'client-files')
  const [a, b, c] = [await upload('a.png'), await upload('b.png'), await upload('c.png')]
  const files = client.PCM.FileRelationships
  const there = async () => ((await files.All(product)).data as readonly { id: string }[]).map(({ id }) => id)
  expect(await there()).toEqual([])
  expect(await files.Create(product, [a, b])).toBe(EMPTY)
  expect(await there()).toEqual([a, b])
  expect(await files.Update(product, [c, a])).toBe(EMPTY)
  expect(await there()).toEqual([c, a])
  expect(await files.Delete(product, [c])).toBe(EMPTY)
  expect(await there()).toEqual([a])
  expect(await files.Update(product, [])).toBe(EMPTY)
  expect(await there()).toEqual([])
})

test('PCM.Create, Get and All, with main image and files', async () => {
  const product = await newProduct('Read', 'client-read')
  const [main, other] = [await upload('main.png'), await upload('other.png')]
  await client.PCM.MainImageRelationships.Create(product, main)
  await client.PCM.FileRelationships.Create(product, [other])

  // Its types do not know that this is a promise.
  const one = await Promise.resolve(client.PCM.With('main_image,files').Get(product))
  expect(one.data).toMatchObject({
    type: 'product',
    id: product,
    attributes: { name: 'Read', sku: 'client-read', status: 'draft', commodity_type: 'physical' },
    relationships: {
      main_image: { data: { type: 'file', id: main } },
      files: {
        data: [
          { type: 'file', id: main },
          { type: 'file', id: other },
        ],
      },
    },
  })
  expect(one.included).toMatchObject({ main_images: [{ id: main }], files: [{ id: main }, { id: other }] })

  const found = await client.PCM.Filter({ eq: { sku: 'client-read' } }).All()
  expect(found.data.map(({ id }) => id)).toEqual([product])
  const all = await client.PCM.Filter(null as never)
    .Limit(2)
    .Offset(0)
    .All()
  expect(all.data[0]?.id).toBe(product)
  expect(all.meta.results.total).toBeGreaterThan(2)
})
