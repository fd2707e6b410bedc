/** The files of a product, as Elastic Path has them. */
import { randomUUID } from 'node:crypto'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { answerOf, type Json } from '../api.ts'
import { openStack, type Stack } from '../stack.ts'
import { openShop, type Shop, whileLocked } from './elastic-path.ts'
import { CONFLICT, errorOf, fileOf, files, filesOf, invalid, mainImage, NOT_FOUND } from './elastic-path-words.ts'

let stack: Stack
let shop: Shop

beforeAll(async () => {
  stack = await openStack('embedded')
  shop = openShop(stack)
})
afterAll(async () => stack?.[Symbol.asyncDispose]())

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
    expect(errorOf(put)).toEqual(CONFLICT)
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
