import { createHash } from 'node:crypto'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { drawSample } from '@sluice/images/samples'
import { answerOf, type Json } from './api.ts'
import { openStack, RUNNABLE, type Stack, WIRINGS } from './stack.ts'

describe.each(WIRINGS)('the main job, %s', (wiring) => {
  const run = RUNNABLE.includes(wiring) ? test : test.skip
  let stack: Stack
  let jpeg: Buffer

  beforeAll(async () => {
    if (!RUNNABLE.includes(wiring)) return
    stack = await openStack(wiring)
    jpeg = await drawSample({ seed: 1, width: 640, height: 480, format: 'jpeg' })
  })
  afterAll(async () => stack?.[Symbol.asyncDispose]())

  const names = async (product: string) =>
    (await stack.api.call('GET', `${product}/images`)).body['images'].map((image: Json) => image['name'])

  run('answers 202 at once and finishes behind it', async () => {
    const { api } = stack
    const product = await api.newProduct()
    const accepted = await answerOf(
      await api.send('POST', `${product}/images`, { body: jpeg, headers: { 'content-type': 'image/jpeg' } }),
    )
    expect(accepted.status).toBe(202)
    const location = accepted.headers.get('location') ?? ''
    expect(location).toBe(accepted.body['links'].self)

    const ingest = await api.finished(location)
    expect(ingest).toMatchObject({ state: 'committed', attempts: 1, error: null })
    expect(ingest['timeline'].map((entry: Json) => entry['step'])).toEqual(
      expect.arrayContaining(['validate', 'store', 'extract', 'name', 'commit']),
    )
    const image = await api.call('GET', ingest['result'].image)
    expect(image.body).toMatchObject({
      name: 'image',
      position: 1,
      main: true,
      file: { width: 640, height: 480, media_type: 'image/jpeg' },
    })
  })

  run('brings the same image in by every form, and stores its bytes once', async () => {
    const { api } = stack
    const product = await api.newProduct()
    const headers = { prefer: 'wait=60' }
    const png = await drawSample({ seed: 2, width: 300, height: 200, format: 'png' })
    const base64 = png.toString('base64')

    const multipart = await api.addImage(product, png, { label: 'one' })
    const inJson = await api.call(
      'POST',
      `${product}/images`,
      { file: { base64, media_type: 'image/png' }, label: 'two' },
      headers,
    )
    const typeFirst = await api.call(
      'POST',
      `${product}/images`,
      { label: 'three', file: { media_type: 'image/png', base64 } },
      headers,
    )
    const raw = await answerOf(
      await api.send('POST', `${product}/images?label=four`, { body: png, headers: { ...headers, 'content-type': 'image/png' } }),
    )
    const file = await answerOf(
      await api.send('POST', '/v1/files', { body: png, headers: { ...headers, 'content-type': 'image/png' } }),
    )
    expect(file.status).toBe(201)
    expect(file.headers.get('location')).toBe(`/v1/files/${file.body['id']}`)
    const byId = await api.call('POST', `${product}/images`, { file_id: file.body['id'], label: 'five' }, headers)

    for (const [index, answer] of [multipart, inJson, typeFirst, raw, byId].entries()) {
      expect(answer.status).toBe(201)
      expect(answer.headers.get('preference-applied')).toBe('wait')
      expect(answer.headers.get('location')).toBe(answer.body['links'].self)
      expect(answer.body).toMatchObject({
        name: index === 0 ? 'image' : `image_${index + 1}`,
        label: ['one', 'two', 'three', 'four', 'five'][index],
        position: index + 1,
        main: index === 0,
        file: { sha256: createHash('sha256').update(png).digest('hex'), bytes: png.length, mode: 'RGB', width: 300, height: 200 },
      })
    }
    const content = await api.send('GET', byId.body['file'].url)
    expect(Buffer.from(await content.arrayBuffer())).toEqual(png)
    expect(content.headers.get('x-content-type-options')).toBe('nosniff')
    const thumbnail = await api.send('GET', byId.body['file'].thumbnail.url)
    expect(thumbnail.headers.get('content-type')).toBe('image/webp')
    expect((await thumbnail.arrayBuffer()).byteLength).toBe(byId.body['file'].thumbnail.bytes)
  })

  run('serves ranges, and nothing again to who has it', async () => {
    const { api } = stack
    const { body } = await api.addImage(await api.newProduct(), jpeg)
    const { url } = body['file']
    const part = await api.send('GET', url, { headers: { range: 'bytes=100-199' } })
    expect(part.status).toBe(206)
    expect(Buffer.from(await part.arrayBuffer())).toEqual(jpeg.subarray(100, 200))
    const etag = part.headers.get('etag') ?? ''
    expect((await api.send('GET', url, { headers: { 'if-none-match': etag } })).status).toBe(304)
    expect((await api.send('GET', url, { headers: { range: `bytes=${jpeg.length}-` } })).status).toBe(416)
    expect((await api.send('HEAD', url)).headers.get('content-length')).toBe(String(jpeg.length))
    expect((await api.send('GET', `${url}?download=1`)).headers.get('content-disposition')).toContain('attachment')
  })

  run('gives names by one rule, and none twice', async () => {
    const { api } = stack
    const product = await api.newProduct()
    await api.addImage(product, jpeg)
    await api.addImage(product, jpeg, { name: 'front view.jpg' })
    await api.addImage(product, jpeg, { name: 'front view' })
    await api.addImage(product, jpeg, { name: 'image_2' })
    await api.addImage(product, jpeg)
    expect(await names(product)).toEqual(['image', 'front_view', 'front_view_2', 'image_2', 'image_3'])

    const last = (await api.call('GET', `${product}/images`)).body['images'].at(-1)
    expect((await api.call('DELETE', last['links'].self)).status).toBe(204)
    await api.addImage(product, jpeg)
    expect(await names(product)).toEqual(['image', 'front_view', 'front_view_2', 'image_2', 'image_4'])
  })

  run('puts images where they are asked to be', async () => {
    const { api } = stack
    const product = await api.newProduct()
    await api.addImage(product, jpeg, { name: 'a' })
    await api.addImage(product, jpeg, { name: 'b' })
    await api.addImage(product, jpeg, { name: 'c', position: '1', main: 'true', roles: 'thumbnail' })
    await api.addImage(product, jpeg, { name: 'd', position: '99' })
    expect(await names(product)).toEqual(['c', 'a', 'b', 'd'])

    const list = await api.call('GET', `${product}/images`)
    const etag = list.headers.get('etag') ?? ''
    const [c, a, b, d] = list.body['images']
    expect(list.body['images'].filter((image: Json) => image['main'])).toEqual([c])
    expect(c['roles'].sort()).toEqual(['image', 'thumbnail'])

    const order = { images: [d, b, a, c].map((image: Json) => image['id']) }
    expect((await api.call('PUT', `${product}/images/order`, order)).status).toBe(428)
    const reordered = await api.call('PUT', `${product}/images/order`, order, { 'if-match': etag })
    expect(reordered.status).toBe(200)
    expect(reordered.body['images'].map((image: Json) => [image['name'], image['position']])).toEqual([
      ['d', 1],
      ['b', 2],
      ['a', 3],
      ['c', 4],
    ])
    const late = await api.call('PUT', `${product}/images/order`, order, { 'if-match': etag })
    expect(late.status).toBe(412)
    expect(late.body).toMatchObject({ code: 'version_mismatched', version: reordered.body['version'], order: order.images })
    expect(
      (await api.call('PUT', `${product}/images/order`, { images: order.images.slice(1) }, { 'if-match': '*' })).body['code'],
    ).toBe('order_incomplete')

    const main = await api.call('PUT', `${product}/main_image`, { image_id: a['id'] })
    expect(main.body['images'].filter((image: Json) => image['main']).map((image: Json) => image['name'])).toEqual(['a'])
    expect((await api.call('GET', `${product}/main_image`)).body['name']).toBe('a')

    const changed = await api.call('PATCH', b['links'].self, {
      label: 'Rückseite',
      position: 1,
      roles: ['thumbnail'],
      excluded: true,
    })
    expect(changed.body).toMatchObject({ name: 'b', label: 'Rückseite', position: 1, roles: ['thumbnail'], excluded: true })
    expect((await api.call('GET', c['links'].self)).body['roles']).toEqual([])
    const stale = await api.call('PATCH', b['links'].self, { label: 'no' }, { 'if-match': etag })
    expect(stale.status).toBe(412)

    expect((await api.call('DELETE', a['links'].self, undefined, { 'if-match': etag })).status).toBe(412)
    expect((await api.call('DELETE', a['links'].self)).status).toBe(204)
    expect((await api.call('GET', `${product}/main_image`)).body['name']).toBe('b')
    expect((await api.call('DELETE', a['links'].self)).status).toBe(404)
  })

  run('finds a product by its id, its number and its SKU', async () => {
    const { api } = stack
    const created = await api.call('POST', '/v1/products', { sku: `Ärmel/${wiring} 1`, title: 'T' })
    expect(created.status).toBe(201)
    const { id, number, sku } = created.body as { id: string; number: number; sku: string }
    for (const ref of [id, String(number), `sku:${encodeURIComponent(sku)}`]) {
      expect((await api.call('GET', `/v1/products/${ref}`)).body).toMatchObject({ id, number, sku })
    }
    expect((await api.call('POST', '/v1/products', { sku })).body).toMatchObject({ status: 409, code: 'sku_taken' })
  })

  run('does a request with an Idempotency-Key once', async () => {
    const { api } = stack
    const product = await api.newProduct()
    const first = await api.addImage(product, jpeg, { label: 'x' }, { 'idempotency-key': 'k-1' })
    const again = await api.addImage(product, jpeg, { label: 'x' }, { 'idempotency-key': '"k-1"' })
    expect(first.status).toBe(201)
    expect([again.status, again.body]).toEqual([first.status, first.body])
    const other = await api.addImage(product, jpeg, { label: 'y' }, { 'idempotency-key': 'k-1' })
    expect(other.body).toMatchObject({ status: 422, code: 'idempotency_key_reused' })
    expect(await names(product)).toEqual(['image'])

    const refused = await api.addImage(product, Buffer.from('not an image'), { type: 'image/jpeg' }, { 'idempotency-key': 'k-2' })
    expect(refused.status).toBe(415)
    expect((await api.addImage(product, jpeg, {}, { 'idempotency-key': 'k-2' })).status).toBe(201)

    const many = await Promise.all(
      Array.from({ length: 20 }, () => api.addImage(product, jpeg, { label: 'z' }, { 'idempotency-key': 'k-3' })),
    )
    const statuses = new Set(many.map((answer) => answer.status))
    expect([...statuses].every((status) => status === 201 || status === 409)).toBe(true)
    expect((await api.addImage(product, jpeg, { label: 'z' }, { 'idempotency-key': 'k-3' })).status).toBe(201)
    expect(await names(product)).toEqual(['image', 'image_2', 'image_3'])
  })

  run('lists ingests by filter, page by page', async () => {
    const { api } = stack
    const product = await api.newProduct()
    for (let index = 0; index < 5; index++) await api.addImage(product, jpeg, { label: `L${index}` })
    await api.addImage(product, jpeg.subarray(0, jpeg.length / 2))
    const seen: Json[] = []
    let next: string | null = `/v1/ingests?product=${product.split('/').at(-1)}&state=committed&limit=2`
    for (let page = 0; next !== null && page < 10; page++) {
      const { body }: { body: Json } = await api.call('GET', next)
      seen.push(...body['items'])
      next = body['next']
    }
    expect(new Set(seen.map((ingest) => ingest['id'])).size).toBe(5)
    expect(seen.every((ingest) => ingest['state'] === 'committed')).toBe(true)
    const rejected = await api.call('GET', `/v1/ingests?product=${product.split('/').at(-1)}&state=rejected&q=truncated`)
    expect(rejected.body['items']).toHaveLength(1)
    expect((await api.call('GET', '/v1/ingests?state=gone')).status).toBe(400)
    expect((await api.call('POST', `${seen[0]?.['links'].self}/replay`)).body['code']).toBe('ingest_not_replayable')
  })
})
