/** More than there is room for: docs/performance.md. How fast it recovers is measured by `pnpm bench overload`. */
import { once } from 'node:events'
import { readdir } from 'node:fs/promises'
import { request as httpRequest } from 'node:http'
import { drawSample } from '@sluice/images/samples'
import { beforeEach, describe, expect, test } from 'vitest'
import { answerOf, formOf } from './api.ts'
import { describeCatalogue, newSharedProduct, type SharedProduct } from './dialects/clients.ts'
import { eventsOf, newSource, post, signed } from './hook-sender.ts'
import { newImport } from './import-api.ts'
import { openOrigin, type Origin } from './origin.ts'
import { openStack, RUNNABLE, type Stack } from './stack.ts'

const DEADLINE = { timeout: 60_000, interval: 100 }

describe.each(RUNNABLE)('a burst far beyond the bounds, %s', (wiring) => {
  test('is turned away with a time to come again; what was promised is there once; and then there is room', async () => {
    await using stack = await openStack(wiring, { SLUICE_LIMIT_INGESTS_WAITING_MAX: '6', SLUICE_LIMIT_LOAD_MS_MAX: '200' })
    const { api } = stack
    const product = await api.newProduct()
    const images = await Promise.all(
      Array.from({ length: 150 }, (_, seed) => drawSample({ seed, width: 64, height: 48, format: 'png' })),
    )
    const send = async (image: Buffer, label: string) =>
      answerOf(await api.send('POST', `${product}/images`, { body: formOf(image, { label }) }))
    const answers = await Promise.all(images.map((image, n) => send(image, String(n))))

    const promised = answers.flatMap(({ status, headers }, n) =>
      status === 202 ? [{ n, at: headers.get('location') ?? '' }] : [],
    )
    const refused = answers.filter(({ status }) => status !== 202)
    expect(promised.length).toBeGreaterThanOrEqual(1)
    expect(refused.length).toBeGreaterThan(50)
    for (const { status, headers, body } of refused) {
      expect([status, body['code']]).toEqual([503, 'service_busy'])
      expect(Number(headers.get('retry-after'))).toSatisfy((seconds: number) => seconds >= 1 && seconds <= 10)
    }
    const ends = await Promise.all(promised.map(({ at }) => api.finished(at)))
    expect(ends.map(({ state }) => state)).toEqual(promised.map(() => 'committed'))
    const labels = (await api.call('GET', `${product}/images`)).body['images'].map(({ label }: { label: string }) => label)
    expect(labels.toSorted()).toEqual(promised.map(({ n }) => String(n)).toSorted())

    const late = images.at(-1) ?? Buffer.alloc(0)
    await expect.poll(async () => (await send(late, 'late')).status, DEADLINE).toBe(202)
  })
})

type Way = (stack: Stack, product: SharedProduct, image: Buffer, origin: Origin) => Promise<Response>

const form = (image: Buffer, part: string, fields: Record<string, string> = {}) => {
  const data = new FormData()
  for (const [name, value] of Object.entries(fields)) data.set(name, value)
  data.set(part, new Blob([Uint8Array.from(image)], { type: 'image/png' }), 'a.png')
  return data
}
const asJson = (body: object) => ({ body: JSON.stringify(body), headers: { 'content-type': 'application/json' } })
const base64 = (image: Buffer) => image.toString('base64')

/** Each way in which bytes, or the promise of any, come in by HTTP. */
const WAYS: Record<string, Way> = {
  multipart: ({ api }, { path }, image) => api.send('POST', `${path}/images`, { body: formOf(image) }),
  'a raw body': ({ api }, { path }, image) =>
    api.send('POST', `${path}/images`, { body: Uint8Array.from(image), headers: { 'content-type': 'image/png' } }),
  base64: ({ api }, { path }, image) =>
    api.send('POST', `${path}/images`, asJson({ file: { base64: base64(image), media_type: 'image/png' } })),
  'a file alone': ({ api }, _, image) => api.send('POST', '/v1/files', { body: formOf(image) }),
  'an address': ({ api }, { path }, _, origin) => api.send('POST', `${path}/images`, asJson({ url: origin.url('/b.png') })),
  'a reservation': ({ api }, _, image) => api.send('POST', '/v1/uploads', asJson({ bytes: image.length })),
  tus: ({ api }, _, image) =>
    api.send('POST', '/v1/tus', { headers: { 'tus-resumable': '1.0.0', 'upload-length': String(image.length) } }),
  'rows of an import': async ({ api }, { sku }, image) =>
    api.send('POST', `/v1/imports/${await newImport(api)}/rows`, {
      body: JSON.stringify({ sku, base64: base64(image) }),
      headers: { 'content-type': 'application/x-ndjson' },
    }),
  OpenMage: ({ api }, { number }, image) =>
    api.send(
      'POST',
      `/api/rest/products/${number}/images`,
      asJson({ file_mime_type: 'image/png', file_content: base64(image), file_name: 'a' }),
    ),
  'OpenMage in XML': ({ api }, { number }, image) =>
    api.send('POST', `/api/rest/products/${number}/images`, {
      body: `<image><file_mime_type>image/png</file_mime_type><file_content>${base64(image)}</file_content></image>`,
      headers: { 'content-type': 'text/xml' },
    }),
  Akeneo: ({ api }, { sku }, image) => {
    const product = { identifier: sku, attribute: 'view_1', scope: null, locale: null }
    return api.send('POST', '/api/rest/v1/media-files', { body: form(image, 'file', { product: JSON.stringify(product) }) })
  },
  'token product images': ({ api, token }, { number }, image) =>
    api.send('POST', `/api/products/${number}/images`, {
      body: form(image, 'image'),
      headers: { authorization: `Token ${token}` },
    }),
  'Elastic Path': ({ api }, _, image) => api.send('POST', '/v2/files', { body: form(image, 'file') }),
}

describe('while there is no room', () => {
  /** It never answers: an ingest waits for it. */
  let origin: Origin
  beforeEach(async () => {
    origin = await openOrigin()
    origin.answers.set('/a.png', () => undefined)
  })

  test.each([
    [503, 'SLUICE_LIMIT_INGESTS_WAITING_MAX'],
    [429, 'SLUICE_LIMIT_TENANT_INGESTS_WAITING_MAX'],
  ])('every way in answers %i and when to come again, by %s', async (status, limit) => {
    await using stack = await openStack('embedded', {
      [limit]: '1',
      SLUICE_LIMIT_LOAD_MS_MAX: '1',
      SLUICE_FETCH_ALLOW: origin.host,
    })
    await using _closedFirst = origin
    await describeCatalogue(stack)
    const product = await newSharedProduct(stack)
    const image = await drawSample({ seed: 1, width: 40, height: 30, format: 'png' })
    expect((await stack.api.call('POST', '/v1/files', { url: origin.url('/a.png') })).status).toBe(202)
    for (const [name, send] of Object.entries(WAYS)) {
      const response = await send(stack, product, image, origin)
      await response.text()
      const seconds = Number(response.headers.get('retry-after'))
      expect([name, response.status, seconds >= 1 && seconds <= 10]).toEqual([name, status, true])
    }
  })

  test('the answer does not wait for the bytes', async () => {
    await using stack = await openStack('embedded', {
      SLUICE_LIMIT_INGESTS_WAITING_MAX: '1',
      SLUICE_LIMIT_LOAD_MS_MAX: '1',
      SLUICE_FETCH_ALLOW: origin.host,
    })
    await using _closedFirst = origin
    expect((await stack.api.call('POST', '/v1/files', { url: origin.url('/a.png') })).status).toBe(202)
    const headers = { authorization: `Bearer ${stack.token}`, 'content-type': 'image/png', 'content-length': 10_000_000 }
    const sent = httpRequest(new URL('/v1/files', stack.api.url), { method: 'POST', headers })
    sent.on('error', () => undefined)
    sent.write(Buffer.alloc(100))
    const [answer] = await once(sent, 'response')
    expect(answer.statusCode).toBe(503)
    sent.destroy()
  })
})

test('uploads that are under way count, and make room when they end', async () => {
  await using stack = await openStack('embedded', { SLUICE_LIMIT_UPLOADS_AT_ONCE_MAX: '1' })
  const { api, token } = stack
  const image = await drawSample({ seed: 1, width: 40, height: 30, format: 'png' })
  const headers = { authorization: `Bearer ${token}`, 'content-type': 'image/png', 'content-length': image.length }
  const slow = httpRequest(new URL('/v1/files', api.url), { method: 'POST', headers })
  const before = await filesIn(stack.dataDir)
  slow.write(image.subarray(0, 10))
  await expect.poll(() => filesIn(stack.dataDir), DEADLINE).toBeGreaterThan(before)
  const send = async () => (await answerOf(await api.send('POST', '/v1/files', { body: formOf(image) }))).body['code'] ?? 'taken'
  expect(await send()).toBe('service_busy')
  slow.end(image.subarray(10))
  const [answer] = await once(slow, 'response')
  expect(answer.statusCode).toBe(202)
  await expect.poll(send, DEADLINE).toBe('taken')
})

const filesIn = async (dir: string) =>
  (await readdir(dir, { recursive: true, withFileTypes: true })).filter((entry) => entry.isFile()).length

test('events wait in the inbox up to a bound, then their sender is told, and nothing that was acknowledged is lost', async () => {
  await using stack = await openStack('embedded', { SLUICE_LIMIT_HOOK_EVENTS_WAITING_MAX: '3', SLUICE_LIMIT_LOAD_MS_MAX: '1' })
  const source = await newSource(stack, { enabled: false })
  const statuses: number[] = []
  for (let n = 0; n < 5; n += 1) statuses.push((await post(stack, source['url'], signed({ type: 'other' }))).status)
  expect(statuses).toEqual([200, 200, 200, 429, 429])
  await stack.api.call('PATCH', `/v1/hook-sources/${source['id']}`, { enabled: true })
  const states = async () => (await eventsOf(stack, source)).map(({ state }) => state)
  await expect.poll(states, DEADLINE).toEqual(['ignored', 'ignored', 'ignored'])
  expect((await post(stack, source['url'], signed({ type: 'other' }))).status).toBe(200)
})
