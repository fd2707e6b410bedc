/** Each API as one of its clients uses it, reduced to what all of them can do: bring an image to a product, and look at what is there. */
import { createHash } from 'node:crypto'
import { expect } from 'vitest'
import { answerOf, type Json } from '../api.ts'
import type { Stack } from '../stack.ts'

/** The one product that all clients speak of, by each of its names. */
export interface SharedProduct {
  readonly id: string
  readonly number: number
  readonly sku: string
  readonly path: string
}

export interface Wish {
  readonly bytes: Buffer
  readonly type: string
  readonly fileName: string
  readonly label: string
  readonly main: boolean
}

/** What a client can tell of an image; what its API does not speak of is left out. */
export interface Seen {
  readonly sha256: string
  readonly label?: string
  readonly main?: boolean
  readonly name?: string
  readonly roles?: readonly string[]
}

export interface Client {
  readonly name: string
  attach(stack: Stack, product: SharedProduct, wish: Wish): Promise<void>
  /** In the order of the product where the API has one. */
  read(stack: Stack, product: SharedProduct): Promise<{ readonly inOrder: boolean; readonly images: readonly Seen[] }>
}

let products = 0

export async function newSharedProduct(stack: Stack): Promise<SharedProduct> {
  products += 1
  const { status, body } = await stack.api.call('POST', '/v1/products', {
    sku: `shared-${products}`,
    title: `Shared ${products}`,
  })
  expect(status).toBe(201)
  return { id: body['id'], number: body['number'], sku: body['sku'], path: `/v1/products/${body['id']}` }
}

/** What Akeneo's clients find in place: an attribute that is the main image, and some that are not. */
export async function describeCatalogue(stack: Stack): Promise<void> {
  const free = { allowed_extensions: null, file_bytes_max: null, scopable: false, localizable: false }
  await put(stack, '/v1/attributes/picture', { ...free, role: 'image' })
  for (let n = 1; n <= 9; n++) await put(stack, `/v1/attributes/view_${n}`, { ...free, role: null })
}

async function put(stack: Stack, path: string, body: object): Promise<void> {
  const { status } = await stack.api.call('PUT', path, body)
  expect([path, status < 300]).toEqual([path, true])
}

async function sha256At(stack: Stack, url: string, token: string | null = null): Promise<string> {
  const response = await stack.api.send('GET', url, { token })
  expect([url, response.status]).toEqual([url, 200])
  return sha256Of(Buffer.from(await response.arrayBuffer()))
}

export function sha256Of(bytes: Buffer): string {
  return createHash('sha256').update(bytes).digest('hex')
}

function form(wish: Wish, part: string, fields: Record<string, string>): FormData {
  const data = new FormData()
  for (const [name, value] of Object.entries(fields)) data.set(name, value)
  data.set(part, new Blob([new Uint8Array(wish.bytes)], { type: wish.type }), wish.fileName)
  return data
}

async function json(stack: Stack, method: string, path: string, body?: object, authorization?: string): Promise<Json> {
  const headers = authorization === undefined ? {} : { authorization }
  const answer = await stack.api.call(method, path, body, { accept: 'application/json', ...headers })
  expect([method, path, answer.status, answer.body]).toEqual([
    method,
    path,
    expect.toSatisfy((s: number) => s < 300),
    answer.body,
  ])
  return answer.body
}

const native: Client = {
  name: 'native',
  async attach({ api }, { path }, wish) {
    const fields = { label: wish.label, main: String(wish.main), type: wish.type, fileName: wish.fileName }
    expect((await api.addImage(path, wish.bytes, fields)).status).toBe(201)
  },
  async read(stack, { path }) {
    const { images } = await json(stack, 'GET', `${path}/images`)
    return {
      inOrder: true,
      images: images.map(({ file, label, main, name, roles }: Json) => ({ sha256: file.sha256, label, main, name, roles })),
    }
  },
}

const openmage: Client = {
  name: 'OpenMage',
  async attach(stack, { number }, { bytes, type, fileName, label, main }) {
    await json(stack, 'POST', `/api/rest/products/${number}/images`, {
      file_mime_type: type,
      file_content: bytes.toString('base64'),
      file_name: fileName,
      label,
      ...(main ? { types: ['image'] } : {}),
    })
  },
  async read(stack, { number }) {
    const images: Json[] = (await json(stack, 'GET', `/api/rest/products/${number}/images`)) as never
    return {
      inOrder: true,
      images: await Promise.all(
        images.map(async ({ url, label, types }) => ({
          sha256: await sha256At(stack, url),
          label,
          name: /([^/]+)\.\w+$/.exec(url)?.[1] ?? '',
          main: types.includes('image'),
          roles: types,
        })),
      ),
    }
  },
}

let views = 0

const akeneo: Client = {
  name: 'Akeneo',
  async attach(stack, { sku }, wish) {
    views = (views % 9) + 1
    const product = { identifier: sku, attribute: wish.main ? 'picture' : `view_${views}`, scope: null, locale: null }
    const body = form(wish, 'file', { product: JSON.stringify(product) })
    const { status, body: said } = await answerOf(await stack.api.send('POST', '/api/rest/v1/media-files', { body }))
    expect([status, said]).toEqual([201, said])
  },
  /** It knows files and not their products: those that it lists hold all that the product shows, in no order. */
  async read(stack) {
    const images: Seen[] = []
    for (let page = 1; ; page++) {
      const { _embedded, _links } = await json(stack, 'GET', `/api/rest/v1/media-files?limit=100&page=${page}`)
      for (const { _links: links, size, mime_type } of _embedded.items) {
        const response = await stack.api.send('GET', links.download.href)
        const bytes = Buffer.from(await response.arrayBuffer())
        expect([response.status, bytes.length, response.headers.get('content-type')]).toEqual([200, size, mime_type])
        images.push({ sha256: sha256Of(bytes) })
      }
      if (!_links.next) return { inOrder: false, images }
    }
  },
}

const tokenImages: Client = {
  name: 'token product images',
  async attach(stack, { number }, wish) {
    const { results } = await json(stack, 'GET', `/api/products/${number}/images`, undefined, `Token ${stack.token}`)
    const body = form(wish, 'image', {
      alt_text: wish.label,
      is_primary: wish.main ? 'True' : 'False',
      order: String(results.length + 1),
    })
    const response = await stack.api.send('POST', `/api/products/${number}/images`, {
      body,
      headers: { authorization: `Token ${stack.token}` },
    })
    const { status, body: said } = await answerOf(response)
    expect([status, said]).toEqual([201, expect.objectContaining({ size: wish.bytes.length })])
  },
  async read(stack, { number }) {
    const { results } = await json(stack, 'GET', `/api/products/${number}/images?limit=100`, undefined, `Token ${stack.token}`)
    return {
      inOrder: true,
      images: await Promise.all(
        results.map(async ({ f, description }: Json) => ({ sha256: await sha256At(stack, f), label: description })),
      ),
    }
  },
}

const elasticPath: Client = {
  name: 'Elastic Path',
  async attach(stack, { id }, wish) {
    const uploaded = await answerOf(await stack.api.send('POST', '/v2/files', { body: form(wish, 'file', {}) }))
    expect([uploaded.status, uploaded.body]).toEqual([201, uploaded.body])
    const file = { type: 'file', id: uploaded.body['data'].id }
    const relation = wish.main ? 'main_image' : 'files'
    const { status, body } = await stack.api.call('POST', `/pcm/products/${id}/relationships/${relation}`, {
      data: wish.main ? file : [file],
    })
    expect([status, body]).toEqual([204, { text: '' }])
  },
  async read(stack, { id }) {
    const files = await json(stack, 'GET', `/pcm/products/${id}/relationships/files`)
    const main = await json(stack, 'GET', `/pcm/products/${id}/relationships/main_image`)
    return {
      inOrder: true,
      images: await Promise.all(
        files['data'].map(async (file: Json) => {
          const { data } = await json(stack, 'GET', `/v2/files/${file['id']}`)
          return { sha256: await sha256At(stack, data.link.href), main: main['data']?.id === file['id'] }
        }),
      ),
    }
  },
}

export const CLIENTS: readonly Client[] = [openmage, akeneo, tokenImages, elasticPath, native]

/** The APIs that can say of an image what it is called. */
export const LABELLERS = new Set([native.name, openmage.name, tokenImages.name])
