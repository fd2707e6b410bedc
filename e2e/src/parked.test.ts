import { drawSample } from '@sluice/images/samples'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { type Answer, answerOf, formOf, type Json } from './api.ts'
import { openStack, type Stack } from './stack.ts'

let stack: Stack
beforeAll(async () => {
  // Upkeep looks often, so that a time that is over is seen soon.
  stack = await openStack('embedded', { SLUICE_LIMIT_UPKEEP_EVERY_MS: '200' })
})
afterAll(() => stack[Symbol.asyncDispose]())

const create = (sku: string) => stack.api.call('POST', '/v1/products', { sku })

async function upload(ref: string, query: string, fields: Record<string, string> = {}, headers = {}): Promise<Answer> {
  const image = await drawSample({ seed: 7, width: 40, height: 30, format: 'png' })
  const path = `/v1/products/${encodeURIComponent(ref)}/images${query}`
  return answerOf(await stack.api.send('POST', path, { body: formOf(image, fields), headers }))
}

const stepsOf = (ingest: Json): string[] => ingest['timeline'].map(({ step }: Json) => step)

test('an image of a product that is not there is parked, and lands when the product is made', async () => {
  const { status, headers, body } = await upload('sku:later', '?park=60', { label: 'front', position: '1' })
  expect([status, body]).toMatchObject([
    202,
    { state: 'parked', product_id: null, lane: 'interactive', parked: { sku: 'later' } },
  ])
  const until = new Date(body['parked'].until).getTime() - new Date(body['created_at']).getTime()
  expect(until).toBeGreaterThan(50_000)
  expect(until).toBeLessThan(70_000)

  const product = (await create('later')).body
  const ingest = await stack.api.finished(headers.get('location') ?? '')
  expect(ingest).toMatchObject({ state: 'committed', product_id: product['id'], parked: null })
  expect(stepsOf(ingest).slice(0, 4)).toEqual(['accept', 'park', 'unpark', 'start'])
  const { images } = (await stack.api.call('GET', '/v1/products/sku:later/images')).body
  expect(images).toMatchObject([{ label: 'front', main: true }])
})

test('whoever prefers to wait gets the image when the product comes', async () => {
  const waiting = upload('sku:soon', '?park=60', {}, { prefer: 'wait=60' })
  const parked = async () => (await stack.api.call('GET', '/v1/ingests?state=parked')).body['items'] as Json[]
  await expect.poll(async () => (await parked()).map(({ parked }) => parked?.sku), { timeout: 10_000 }).toContain('soon')
  await create('soon')
  expect(await waiting).toMatchObject({ status: 201, body: { main: true } })
})

test('a product that is there is not waited for, and the same request is the same with and without it', async () => {
  const again = () => upload('sku:key', '?park=60', {}, { 'idempotency-key': 'parked-1' })
  const first = await again()
  expect(first).toMatchObject({ status: 202, body: { state: 'parked' } })
  await create('key')
  expect((await again()).body).toEqual(first.body)
  await stack.api.finished(first.headers.get('location') ?? '')
  expect(await upload('sku:key', '?park=60', {}, { prefer: 'wait=60' })).toMatchObject({ status: 201 })
  const { images } = (await stack.api.call('GET', '/v1/products/sku:key/images')).body
  expect(images).toHaveLength(2)
})

test('when its time is over it is rejected, as its product is unknown', async () => {
  const { headers } = await upload('sku:never', '?park=1')
  const ingest = await stack.api.finished(headers.get('location') ?? '')
  expect(ingest).toMatchObject({
    state: 'rejected',
    parked: { sku: 'never' },
    error: { code: 'product_unknown', detail: 'No product with the SKU "never" came in time.' },
  })
})

test.for([
  ['sku:x', '?park=0', 400, 'request_invalid'],
  ['sku:x', '?park=soon', 400, 'request_invalid'],
  ['sku:x', '?park=999999999', 400, 'request_invalid'],
  ['sku:x', '?park=1&park=2', 400, 'request_invalid'],
  ['4711', '?park=60', 400, 'request_invalid'],
  ['model:x', '?park=60', 400, 'request_invalid'],
  [`sku:${'x'.repeat(300)}`, '?park=60', 404, 'product_unknown'],
  ['sku:x', '', 404, 'product_unknown'],
  ['sku:x', '?park=60&colour=red', 400, 'request_invalid'],
] as const)('%s with "%s" is refused: %i %s', async ([ref, query, status, code]) => {
  expect(await upload(ref, query)).toMatchObject({ status, body: { code } })
})

test('a file has nothing to wait for', async () => {
  const image = await drawSample({ seed: 7, width: 40, height: 30, format: 'png' })
  const answer = await answerOf(await stack.api.send('POST', '/v1/files?park=60', { body: formOf(image) }))
  expect(answer).toMatchObject({ status: 400, body: { code: 'request_invalid' } })
})
