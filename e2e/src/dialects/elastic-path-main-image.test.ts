/** The main image of a product, as Elastic Path has it. */
import { execFile } from 'node:child_process'
import { randomUUID } from 'node:crypto'
import { promisify } from 'node:util'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { answerOf, type Json } from '../api.ts'
import { openStack, type Stack } from '../stack.ts'
import { addToken, draw, openShop, type Shop, whileLocked } from './elastic-path.ts'
import { as, CONFLICT, errorOf, fileOf, files, filesOf, invalid, mainImage, NOT_FOUND, OWNED } from './elastic-path-words.ts'

let stack: Stack
let shop: Shop
let writer: string

beforeAll(async () => {
  stack = await openStack('embedded')
  shop = openShop(stack)
  writer = await addToken(stack, 'writer')
})
afterAll(async () => stack?.[Symbol.asyncDispose]())

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
        expect(errorOf(await shop.call(method, path, body, as(writer)))).toEqual(OWNED)
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
    expect(errorOf(answers[lost])).toEqual(CONFLICT)
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
