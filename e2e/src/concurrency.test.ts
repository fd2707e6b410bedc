import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { drawSample } from '@sluice/images/samples'
import type { Json } from './api.ts'
import { openStack, RUNNABLE, type Stack, WIRINGS } from './stack.ts'

describe.each(WIRINGS)('fifty uploads to one product at once, %s', (wiring) => {
  const run = RUNNABLE.includes(wiring) ? test : test.skip
  let stack: Stack
  beforeAll(async () => {
    if (RUNNABLE.includes(wiring)) stack = await openStack(wiring)
  })
  afterAll(async () => stack?.[Symbol.asyncDispose]())

  run('end as image … image_50, in places 1 … 50, with one main image', async () => {
    const { api } = stack
    const product = await api.newProduct()
    const images = await Promise.all(
      Array.from({ length: 50 }, (_, seed) => drawSample({ seed, width: 64, height: 48, format: 'jpeg' })),
    )
    const answers = await Promise.all(images.map((image) => api.addImage(product, image)))
    expect(answers.map((answer) => answer.status)).toEqual(answers.map(() => 201))

    const { images: list } = (await api.call('GET', `${product}/images`)).body as { images: Json[] }
    const expected = ['image', ...Array.from({ length: 49 }, (_, index) => `image_${index + 2}`)]
    expect(list.map((image) => image['name'])).toEqual(expected)
    expect(list.map((image) => image['position'])).toEqual(expected.map((_, index) => index + 1))
    expect(list.filter((image) => image['main'])).toHaveLength(1)
    expect(new Set(list.map((image) => image['file'].sha256)).size).toBe(50)
    // What each client was told is what is there.
    const told = answers.map(({ body }) => [body['id'], body['name'], body['file'].sha256])
    for (const [id, name, sha256] of told)
      expect(list.find((image) => image['id'] === id)).toMatchObject({ name, file: { sha256 } })
  })

  run('attaching, reordering, deleting and choosing the main image at once lose nothing', async () => {
    const { api } = stack
    const product = await api.newProduct()
    const image = await drawSample({ seed: 1, width: 64, height: 48, format: 'png' })
    for (let index = 0; index < 4; index++) await api.addImage(product, image)
    const list = async () => api.call('GET', `${product}/images`)

    const attach = async () => (await api.addImage(product, image)).status
    const reorder = async () => {
      const { body, headers } = await list()
      const order = body['images'].map((one: Json) => one['id']).toReversed()
      return (await api.call('PUT', `${product}/images/order`, { images: order }, { 'if-match': headers.get('etag') ?? '' }))
        .status
    }
    const choose = async () => {
      const { body } = await list()
      return (await api.call('PUT', `${product}/main_image`, { image_id: body['images'].at(-1)['id'] })).status
    }
    const remove = async () => {
      const { body } = await list()
      return (await api.call('DELETE', body['images'][0]['links'].self)).status
    }
    const [attached, ...others] = await Promise.all([
      Promise.all(Array.from({ length: 16 }, attach)),
      ...[reorder, choose, remove, reorder, choose, remove, reorder, choose, remove, choose].map((act) => act()),
    ])
    expect(attached).toEqual(attached.map(() => 201))
    for (const status of others) expect([200, 204, 404, 412]).toContain(status)

    const { images } = (await list()).body as { images: Json[] }
    const removed = others.filter((status) => status === 204).length
    expect(images).toHaveLength(4 + 16 - removed)
    expect(new Set(images.map((one) => one['name'])).size).toBe(images.length)
    expect(images.map((one) => one['position'])).toEqual(images.map((_, index) => index + 1))
    expect(images.filter((one) => one['main'])).toHaveLength(1)
  })
})
