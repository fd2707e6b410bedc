/** Uploads that are reserved first: docs/uploads.md. */
import { createHash } from 'node:crypto'
import { readdir } from 'node:fs/promises'
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest'
import { drawSample } from '@sluice/images/samples'
import type { Answer, Json } from './api.ts'
import { openStack, RUNNABLE, type Stack, type Wiring, wires } from './stack.ts'

const DIRECT = 'production with a staging bucket'
const SOON = { SLUICE_LIMIT_UPKEEP_EVERY_MS: '100', SLUICE_LIMIT_UPLOAD_LOOK_MS: '200' }

let seed = 100
const draw = () => drawSample({ seed: (seed += 1), width: 60, height: 40, format: 'png' })
const sha256 = (bytes: Uint8Array) => createHash('sha256').update(bytes).digest('hex')

/** Where clients reach the bucket, for the wiring that has one which they may reach. */
function openDirect(wiring: Wiring, environment: Record<string, string> = {}): Promise<Stack> {
  if (wiring !== DIRECT) return openStack(wiring, environment)
  const { SLUICE_S3_ENDPOINT: endpoint = '' } = wires(wiring, '')
  return openStack(wiring, { SLUICE_S3_PUBLIC_ENDPOINT: endpoint, ...environment })
}

function put({ put: { url, headers } }: Json, bytes: Uint8Array, change: Record<string, string> = {}): Promise<Response> {
  const { 'content-length': _, ...rest } = { ...headers, ...change }
  return fetch(url, { method: 'PUT', headers: rest, body: Buffer.from(bytes) })
}

async function putWell(reservation: Json, bytes: Uint8Array): Promise<void> {
  const answer = await put(reservation, bytes)
  expect([answer.status, answer.ok ? '' : await answer.text()]).toEqual([200, ''])
  await answer.body?.cancel()
}

describe.for(RUNNABLE)('an upload that was reserved (%s)', (wiring) => {
  let stack: Stack
  beforeAll(async () => {
    stack = await openDirect(wiring, SOON)
  })
  afterAll(() => stack?.[Symbol.asyncDispose]())

  const call = (...given: Parameters<Stack['api']['call']>): Promise<Answer> => stack.api.call(...given)
  async function reserve(bytes: Uint8Array, more: object = {}): Promise<Json> {
    const asked = { bytes: bytes.length, media_type: 'image/png', file_name: 'front.png', ...more }
    const { status, body } = await call('POST', '/v1/uploads', asked)
    expect([status, body['code']]).toEqual([201, undefined])
    return body
  }
  const complete = ({ id }: Json) => call('POST', `/v1/uploads/${id}/complete`)
  const finished = ({ id }: Json) => stack.api.finished(`/v1/ingests/${id}`)
  const imagesOf = async (product: string) => (await call('GET', `${product}/images`)).body['images'] as Json[]

  /** Of bytes that are at fault: at once where they pass through us, and in the ingest where nobody looks before. */
  async function refusalOf(upload: Json, bytes: Uint8Array): Promise<Json> {
    const answer = await put(upload, bytes)
    if (wiring !== DIRECT) return (await answer.json()) as Json
    await answer.body?.cancel()
    await complete(upload)
    const { state, error } = await finished(upload)
    return state === 'rejected' ? error : { state }
  }

  test('goes straight to its place, under one id, and comes to its product as it was asked for', async () => {
    const [product, bytes] = [await stack.api.newProduct(), await draw()]
    const upload = await reserve(bytes, { product: product.split('/').at(-1), label: 'From the front', sha256: sha256(bytes) })
    const bucketUrl = wiring === DIRECT ? 'uploads/' : `${stack.api.url}/v1/uploads/${upload['id']}/content?`
    expect(upload['put'].url).toContain(bucketUrl)
    await putWell(upload, bytes)
    const { status, headers, body } = await complete(upload)
    expect([status, headers.get('location'), body['id']]).toEqual([202, `/v1/ingests/${upload['id']}`, upload['id']])
    expect(await finished(upload)).toMatchObject({ state: 'committed', attempts: 1, bytes: bytes.length, file_name: 'front.png' })
    expect(await imagesOf(product)).toMatchObject([{ label: 'From the front', main: true, file: { sha256: sha256(bytes) } }])
    const { body: read } = await call('GET', `/v1/uploads/${upload['id']}`)
    expect(read).toMatchObject({ state: 'completed', links: { ingest: `/v1/ingests/${upload['id']}` } })
    expect(read['put']).toBeUndefined()
  })

  test('is found by a scan when nobody says that it is complete', async () => {
    const bytes = await draw()
    const upload = await reserve(bytes)
    await putWell(upload, bytes)
    await vi.waitFor(async () => expect((await call('GET', `/v1/ingests/${upload['id']}`)).status).toBe(200), 20_000)
    expect(await finished(upload)).toMatchObject({ state: 'committed' })
  })

  test('is one ingest, however often it is said to be complete, and whatever is sent again', async () => {
    const [product, bytes] = [await stack.api.newProduct(), await draw()]
    const upload = await reserve(bytes, { product: product.split('/').at(-1) })
    await putWell(upload, bytes)
    const answers = await Promise.all(Array.from({ length: 10 }, () => complete(upload)))
    expect(answers.map(({ status, body }) => [status, body['id']])).toEqual(answers.map(() => [202, upload['id']]))
    await putWell(upload, bytes)
    await finished(upload)
    expect((await complete(upload)).status).toBe(202)
    expect(await imagesOf(product)).toHaveLength(1)
  })

  test('is not complete before its bytes are there', async () => {
    const upload = await reserve(await draw())
    const { status, body } = await complete(upload)
    expect([status, body['code'], body['received']]).toEqual([409, 'upload_incomplete', 0])
    expect((await call('GET', `/v1/ingests/${upload['id']}`)).status).toBe(404)
  })

  test('whose bytes are not those that were promised ends as rejected, or is not taken', async () => {
    const [bytes, others] = [await draw(), await draw()]
    const upload = await reserve(bytes, { sha256: sha256(others) })
    expect(await refusalOf(upload, bytes)).toMatchObject({ status: 422, code: 'digest_mismatched' })
  })

  test('that is no image ends as rejected, or is not taken', async () => {
    const bytes = Buffer.from('<!doctype html><title>Not an image</title>')
    const upload = await reserve(bytes)
    expect(await refusalOf(upload, bytes)).toMatchObject({ status: 415 })
  })

  test('that is given up takes nothing more', async () => {
    const bytes = await draw()
    const upload = await reserve(bytes)
    expect((await call('DELETE', `/v1/uploads/${upload['id']}`)).status).toBe(204)
    expect((await call('DELETE', `/v1/uploads/${upload['id']}`)).status).toBe(204)
    await (await put(upload, bytes)).body?.cancel()
    expect((await complete(upload)).body['code']).toBe('upload_over')
    const done = await reserve(bytes)
    await putWell(done, bytes)
    await complete(done)
    expect((await call('DELETE', `/v1/uploads/${done['id']}`)).body['code']).toBe('upload_over')
  })

  test('is asked for with a size, a type and a product that are possible', async () => {
    const code = async (asked: object) => (await call('POST', '/v1/uploads', asked)).body['code']
    expect(await code({ bytes: 0 })).toBe('request_invalid')
    expect(await code({ bytes: 50 * 1024 * 1024 + 1 })).toBe('request_invalid')
    expect(await code({ bytes: 10, media_type: 'text/html' })).toBe('media_type_unsupported')
    expect(await code({ bytes: 10, product: 'sku:nobody' })).toBe('product_unknown')
    expect(await code({ bytes: 10, label: 'x' })).toBe('request_invalid')
    expect(await code({ bytes: 10, product: 'sku:nobody', roles: ['none'] })).toBe('role_unknown')
  })

  test.for([wiring].filter((each) => each !== DIRECT))('takes exactly what was signed', async () => {
    const bytes = await draw()
    const upload = await reserve(bytes)
    const refused = async (sent: Promise<Response>) => [(await sent).status, ((await (await sent).json()) as Json)['code']]
    expect(await refused(put(upload, Buffer.concat([bytes, bytes])))).toEqual([400, 'request_invalid'])
    expect(await refused(put(upload, bytes.subarray(1)))).toEqual([400, 'request_invalid'])
    expect(await refused(put(upload, bytes, { 'content-type': 'image/jpeg' }))).toEqual([415, 'media_type_mismatched'])
    const other = await reserve(bytes)
    for (const change of [{ signature: 'x' }, { expires: '9999999999' }, { tenant: crypto.randomUUID() }]) {
      const url = new URL(upload['put'].url)
      for (const [name, value] of Object.entries(change)) url.searchParams.set(name, value)
      expect(await refused(put({ put: { ...upload['put'], url } }, bytes))).toEqual([403, 'upload_link_invalid'])
    }
    const moved = upload['put'].url.replace(upload['id'], other['id'])
    expect(await refused(put({ put: { ...upload['put'], url: moved } }, bytes))).toEqual([403, 'upload_link_invalid'])
    await putWell(upload, bytes)
  })

  test.for([wiring].filter((each) => each === DIRECT))('is completed by an event of the bucket, and by no other', async () => {
    const secret = 'a-secret-that-only-the-bucket-knows'
    const mapping = { each: '/Records', completes_upload: '/s3/object/key' }
    const given = { name: 'Bucket', verifier: { kind: 's3' }, secrets: [secret], mapping }
    const { body: source } = await call('POST', '/v1/hook-sources', given)
    const notify = async (token: string, ...keys: string[]) => {
      const body = JSON.stringify({ Records: keys.map((key) => ({ s3: { object: { key } } })) })
      const answer = await stack.api.send('POST', `/v1/hooks/${source['id']}`, { token, body })
      await answer.body?.cancel()
      return answer.status
    }
    const bytes = await draw()
    const [there, missing] = [await reserve(bytes), await reserve(bytes)]
    await putWell(there, bytes)
    const keys = [there, missing].map(({ put: { url } }) =>
      encodeURIComponent(`uploads/${new URL(url).pathname.split('/uploads/')[1]}`),
    )
    expect(await notify('forged', ...keys)).toBe(401)
    expect(await notify(secret, ...keys.toReversed(), 'uploads/nothing', ...keys)).toBe(200)
    await vi.waitFor(async () => expect((await call('GET', `/v1/ingests/${there['id']}`)).status).toBe(200), 20_000)
    expect(await finished(there)).toMatchObject({ state: 'committed' })
    expect((await call('GET', `/v1/uploads/${missing['id']}`)).body['state']).toBe('open')
  })

  test.for([wiring].filter((each) => each === DIRECT))('comes from a form as a browser sends it', async () => {
    const bytes = await draw()
    const upload = await reserve(bytes)
    const form = new FormData()
    for (const [name, value] of Object.entries<string>(upload['post'].fields)) form.set(name, value)
    form.set('file', new Blob([Buffer.from(bytes)], { type: 'image/png' }))
    const answer = await fetch(upload['post'].url, { method: 'POST', body: form })
    expect([answer.status, await answer.text()]).toEqual([204, ''])
    expect((await complete(upload)).status).toBe(202)
    expect(await finished(upload)).toMatchObject({ state: 'committed' })
  })
})

test('a reservation that nobody uses vanishes, with what had come of it', async () => {
  await using stack = await openStack('embedded', { ...SOON, SLUICE_LIMIT_UPLOAD_MS_MAX: '1500' })
  const { headers } = await stack.api.call('POST', '/v1/uploads', { bytes: 100 })
  const parts = await stack.api.send('POST', '/v1/tus', {
    headers: { 'tus-resumable': '1.0.0', 'upload-length': '100', 'content-type': 'application/offset+octet-stream' },
    body: Buffer.alloc(50),
  })
  expect([parts.status, parts.headers.get('upload-offset')]).toEqual([201, '50'])
  const paths = [headers.get('location') ?? '', (parts.headers.get('location') ?? '').replace(/^.*\/tus/, '/v1/uploads')]
  for (const path of paths) {
    await vi.waitFor(async () => expect((await stack.api.call('GET', path)).body['state']).toBe('expired'), 20_000)
    expect((await stack.api.call('POST', `${path}/complete`)).body['code']).toBe('upload_over')
  }
  await vi.waitFor(async () => expect(await stagedIn(stack)).toEqual([]), 10_000)
})

async function stagedIn(stack: Stack): Promise<string[]> {
  const entries = await readdir(`${stack.dataDir}/objects/staged`, { recursive: true, withFileTypes: true })
  return entries.filter((entry) => entry.isFile()).map(({ name }) => name)
}

test('a tenant reserves only so many', async () => {
  await using stack = await openStack('embedded', { SLUICE_LIMIT_UPLOADS_OPEN_MAX: '2' })
  const ask = async () => (await stack.api.call('POST', '/v1/uploads', { bytes: 100 })).status
  expect([await ask(), await ask(), await ask()]).toEqual([201, 201, 422])
})
