/** A client whose answer was lost sends its request again, and finds its image instead of a second one. */
import { once } from 'node:events'
import { connect } from 'node:net'
import { afterAll, beforeAll, expect, test, vi } from 'vitest'
import { drawSample } from '@sluice/images/samples'
import type { Json } from '../api.ts'
import { openStack, type Stack } from '../stack.ts'
import { newSharedProduct, type SharedProduct } from './clients.ts'

let stack: Stack
let product: SharedProduct
let png: Buffer

beforeAll(async () => {
  stack = await openStack('embedded')
  png = await drawSample({ seed: 9, width: 64, height: 64, format: 'png' })
})
afterAll(async () => stack?.[Symbol.asyncDispose]())

const path = () => `/api/rest/products/${product.number}/images`
const upload = () => JSON.stringify({ file_mime_type: 'image/png', file_content: png.toString('base64') })
const post = (headers: Record<string, string> = {}) =>
  stack.api.send('POST', path(), { body: upload(), headers: { 'content-type': 'application/json', ...headers } })

const images = async (): Promise<Json[]> => (await stack.api.call('GET', `${product.path}/images`)).body['images']
const ingests = async (): Promise<Json[]> => (await stack.api.call('GET', `/v1/ingests?product=${product.id}`)).body['items']

/** Sends all of the request and goes away before the answer. */
async function postAndLeave(): Promise<void> {
  const { hostname, port } = new URL(stack.api.url)
  const socket = connect(Number(port), hostname)
  await once(socket, 'connect')
  const body = upload()
  const head = [
    `POST ${path()} HTTP/1.1`,
    `Host: ${hostname}:${port}`,
    `Authorization: Bearer ${stack.token}`,
    'Content-Type: application/json',
  ]
  const known = (await ingests()).length
  await new Promise((resolve) =>
    socket.write(`${[...head, `Content-Length: ${body.length}`].join('\r\n')}\r\n\r\n${body}`, resolve),
  )
  await vi.waitFor(async () => expect((await ingests()).length).toBe(known + 1), { timeout: 10_000, interval: 1 })
  socket.destroy()
}

test('the repeat of a request that was cut off gets the answer to the first', async () => {
  product = await newSharedProduct(stack)
  await postAndLeave()
  await vi.waitFor(async () => expect((await images()).length).toBe(1), { timeout: 20_000 })
  const [first] = await images()
  // The server learns of the lost connection in its own time.
  const location = await vi.waitFor(async () => {
    const response = await post()
    expect(response.status).toBe(200)
    return response.headers.get('location')
  })
  expect(location).toBe(`${path()}/${first?.['number']}`)
  expect((await images()).length).toBe(1)
})

test('two equal requests that were both answered are two images', async () => {
  product = await newSharedProduct(stack)
  expect([(await post()).status, (await post()).status]).toEqual([200, 200])
  expect((await images()).map((image) => image['name'])).toEqual(['image', 'image_2'])
})

test('equal requests at the same time are as many images', async () => {
  product = await newSharedProduct(stack)
  const answers = await Promise.all(Array.from({ length: 8 }, () => post()))
  expect(new Set(answers.map(({ headers }) => headers.get('location'))).size).toBe(8)
  expect((await images()).length).toBe(8)
})

test('with an Idempotency-Key a repeat is the same image, whatever became of the answer', async () => {
  product = await newSharedProduct(stack)
  const key = { 'idempotency-key': 'once-and-for-all' }
  const first = await post(key)
  const second = await post(key)
  expect([first.status, second.status]).toEqual([200, 200])
  expect(second.headers.get('location')).toBe(first.headers.get('location'))
  expect((await images()).length).toBe(1)
})

test('who asks not to wait gets the address of the ingest', async () => {
  product = await newSharedProduct(stack)
  const response = await post({ prefer: 'respond-async' })
  expect([response.status, response.headers.get('preference-applied')]).toEqual([202, 'respond-async'])
  expect(await stack.api.finished(response.headers.get('location') ?? '')).toMatchObject({ state: 'committed' })
})
