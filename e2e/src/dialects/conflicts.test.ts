/** Many at once on one product, through several APIs: each is done or told, and what is there in the end is one whole. */
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { drawSample } from '@sluice/images/samples'
import { type Answer, answerOf, type Json } from '../api.ts'
import { openStack, RUNNABLE, type Stack } from '../stack.ts'
import { describeCatalogue, newSharedProduct, type SharedProduct } from './clients.ts'

const WRITERS = 32

/** One attempt: what was asked, and what the API said. `main` is the file that is the main image if it was the last to be done. */
interface Attempt {
  readonly api: string
  readonly answer: Answer
  readonly main: string | null
}

describe.each(RUNNABLE)('many writers on one product, %s', (wiring) => {
  let stack: Stack
  let count = 0
  const draw = () => drawSample({ seed: (count += 1), width: 24, height: 16, format: 'png' })

  beforeAll(async () => {
    stack = await openStack(wiring)
    await describeCatalogue(stack)
  })
  afterAll(async () => stack?.[Symbol.asyncDispose]())

  const send = async (method: string, path: string, body?: object, headers: Record<string, string> = {}) =>
    stack.api.call(method, path, body, { accept: 'application/json', ...headers })
  const token = () => ({ authorization: `Token ${stack.token}` })

  async function imagesOf({ path }: SharedProduct): Promise<Json[]> {
    return (await send('GET', `${path}/images`)).body['images']
  }
  async function newFile(): Promise<string> {
    const body = new FormData()
    body.set('file', new Blob([new Uint8Array(await draw())], { type: 'image/png' }), 'file.png')
    return (await answerOf(await stack.api.send('POST', '/v2/files', { body }))).body['data'].id
  }

  test('32 main images through Elastic Path at once: one is it, and who was not heard was told so', async () => {
    const product = await newSharedProduct(stack)
    const files = await Promise.all(Array.from({ length: WRITERS }, newFile))
    const path = `/pcm/products/${product.id}/relationships/main_image`
    const attempts = await Promise.all(
      files.map(async (id): Promise<Attempt> => {
        const answer = await send('POST', path, { data: { type: 'file', id } })
        return { api: 'Elastic Path', answer, main: id }
      }),
    )
    expectToldOrDone(attempts)
    const main: string = (await send('GET', path)).body['data'].id
    expect(done(attempts).map((attempt) => attempt.main)).toContain(main)
    expect((await imagesOf(product)).filter((image) => image['main']).map((image) => image['file'].id)).toEqual([main])
  })

  test('main images through five APIs at once: one is it for all of them', async () => {
    const product = await newSharedProduct(stack)
    for (let n = 0; n < 6; n++) await stack.api.addImage(product.path, await draw())
    const images = await imagesOf(product)
    const pick = (n: number): Json => images[n % images.length] ?? {}
    const files = await Promise.all(Array.from({ length: 6 }, newFile))

    const APIS: ((n: number) => Promise<Attempt>)[] = [
      async (n) => {
        const id = files[n % files.length] ?? ''
        const answer = await send('POST', `/pcm/products/${product.id}/relationships/main_image`, { data: { type: 'file', id } })
        return { api: 'Elastic Path', answer, main: id }
      },
      async (n) => {
        const { number, file } = pick(n)
        const answer = await send('PUT', `/api/rest/products/${product.number}/images/${number}`, {
          types: ['image', 'thumbnail'],
        })
        return { api: 'OpenMage', answer, main: file.id }
      },
      async (n) => {
        const { number, file } = pick(n)
        const answer = await send('PATCH', `/api/products/${product.number}/images/${number}`, { is_primary: true }, token())
        return { api: 'token product images', answer, main: file.id }
      },
      async (n) => {
        const { id, file } = pick(n)
        const answer = await send('PUT', `${product.path}/main_image`, { image_id: id })
        return { api: 'native', answer, main: file.id }
      },
      async () => {
        const body = new FormData()
        body.set('product', JSON.stringify({ identifier: product.sku, attribute: 'picture', scope: null, locale: null }))
        body.set('file', new Blob([new Uint8Array(await draw())], { type: 'image/png' }), `${count}.png`)
        const answer = await answerOf(await stack.api.send('POST', '/api/rest/v1/media-files', { body }))
        return { api: 'Akeneo', answer, main: null }
      },
    ]
    const attempts = await Promise.all(Array.from({ length: WRITERS }, (_, n) => APIS[n % APIS.length]?.(n) ?? never()))
    expectToldOrDone(attempts)

    const after = await imagesOf(product)
    const mains = after.filter((image) => image['main'])
    expect(mains.length).toBe(1)
    const main = mains[0] ?? {}
    const byAkeneo = !images.some((image) => image['id'] === main['id']) && !files.includes(main['file'].id)
    const written = done(attempts).map((attempt) => attempt.main)
    expect(byAkeneo ? [main['file'].id] : written).toContain(main['file'].id)

    const seenBy = await Promise.all([
      send('GET', `/pcm/products/${product.id}/relationships/main_image`).then(({ body }) => body['data'].id),
      send('GET', `/api/rest/products/${product.number}/images/${main['number']}`).then(({ body }) =>
        body['types'].includes('image'),
      ),
    ])
    expect(seenBy).toEqual([main['file'].id, true])
    expectWhole(after)
  })

  test('reorder, attach and delete at once through all of them: nothing lost, nothing twice, one order', async () => {
    const product = await newSharedProduct(stack)
    for (let n = 0; n < 8; n++) await stack.api.addImage(product.path, await draw())
    const before = await imagesOf(product)
    const victims = before.slice(0, 4)
    const attached: string[] = []

    const attempts = await Promise.all([
      ...Array.from({ length: 6 }, async () => {
        const { headers } = await stack.api.send('GET', `${product.path}/images`)
        const order = (await imagesOf(product)).map((image) => image['id']).toReversed()
        const answer = await send(
          'PUT',
          `${product.path}/images/order`,
          { images: order },
          { 'if-match': headers.get('etag') ?? '' },
        )
        return { api: 'reorder', answer, main: null }
      }),
      ...Array.from({ length: 6 }, async () => {
        const bytes = await draw()
        const answer = await send('POST', `/api/rest/products/${product.number}/images`, {
          file_mime_type: 'image/png',
          file_content: bytes.toString('base64'),
        })
        if (answer.status === 200) attached.push(answer.headers.get('location') ?? '')
        return { api: 'OpenMage', answer, main: null }
      }),
      ...Array.from({ length: 6 }, async () => {
        const body = new FormData()
        body.set('image', new Blob([new Uint8Array(await draw())], { type: 'image/png' }), 'a.png')
        const answer = await answerOf(
          await stack.api.send('POST', `/api/products/${product.number}/images`, { body, headers: token() }),
        )
        if (answer.status === 201) attached.push(String(answer.body['id']))
        return { api: 'token product images', answer, main: null }
      }),
      // Each victim is deleted through two APIs at once: one of them does it.
      ...victims.flatMap(({ number, file }) => [
        send('DELETE', `/api/rest/products/${product.number}/images/${number}`).then((answer) => ({
          api: 'OpenMage delete',
          answer,
          main: null,
        })),
        send('DELETE', `/pcm/products/${product.id}/relationships/files`, { data: [{ type: 'file', id: file.id }] }).then(
          (answer) => ({
            api: 'Elastic Path delete',
            answer,
            main: null,
          }),
        ),
      ]),
    ])
    expectToldOrDone(attempts, { reorder: [200, 412, 422], 'OpenMage delete': [200, 404], 'Elastic Path delete': [204, 409] })
    expect(attached.length).toBe(12)

    const after = await imagesOf(product)
    expect(after.length).toBe(before.length - victims.length + attached.length)
    const ids = new Set(after.map((image) => image['id']))
    for (const victim of victims) expect(ids.has(victim['id'])).toBe(false)
    expect(after.filter((image) => image['main']).length).toBeLessThanOrEqual(1)
    expectWhole(after)
  })
})

/** Positions 1…n, each name once, each role once. */
function expectWhole(images: readonly Json[]): void {
  expect(images.map((image) => image['position'])).toEqual(images.map((_, index) => index + 1))
  expect(new Set(images.map((image) => image['name'])).size).toBe(images.length)
  const roles = images.flatMap((image) => image['roles'])
  expect(new Set(roles).size).toBe(roles.length)
}

/** What each API may say to somebody who was not the first. */
const SAID: Readonly<Record<string, readonly number[]>> = {
  'Elastic Path': [204, 409],
  OpenMage: [200],
  'token product images': [200, 201],
  native: [200],
  Akeneo: [201],
}

function expectToldOrDone(attempts: readonly Attempt[], said: Readonly<Record<string, readonly number[]>> = {}): void {
  for (const { api, answer } of attempts) {
    const allowed = said[api] ?? SAID[api] ?? []
    expect([api, answer.status, allowed.includes(answer.status) ? '' : answer.body]).toEqual([api, answer.status, ''])
  }
  const told = attempts.filter(({ api, answer }) => api === 'Elastic Path' && answer.status === 409)
  expect(told.map(({ answer }) => answer.body['errors'])).toEqual(told.map(() => [CONFLICT]))
}

const CONFLICT = { title: 'Conflict', status: '409', detail: 'write conflict detected' }

function done(attempts: readonly Attempt[]): readonly Attempt[] {
  return attempts.filter(({ answer }) => answer.status < 300)
}

function never(): never {
  throw new Error('there is an API for each number')
}
