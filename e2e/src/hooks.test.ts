/** Webhooks in: what is received, what it becomes, and what becomes of what cannot be mapped. */
import { createHmac } from 'node:crypto'
import { createServer, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { drawSample } from '@sluice/images/samples'
import type { Json } from './api.ts'
import {
  eventsOf,
  labelsOf,
  MAPPING,
  newProduct,
  newSource,
  OTHER,
  post,
  rawSigned,
  SECRET,
  type Sent,
  settled,
  signed,
} from './hook-sender.ts'
import { openStack, type Stack } from './stack.ts'

describe('webhooks in', () => {
  let stack: Stack
  let content: string
  let photos: Server
  let photosUrl: string
  const served = new Map<string, Buffer>()

  beforeAll(async () => {
    photos = createServer((request, response) => {
      const photo = served.get(request.url ?? '')
      if (photo) response.writeHead(200, { 'content-type': 'image/png' }).end(photo)
      else response.writeHead(404).end()
    })
    await new Promise<void>((resolve) => photos.listen(0, '127.0.0.1', resolve))
    const { port } = photos.address() as AddressInfo
    photosUrl = `http://127.0.0.1:${port}`
    stack = await openStack('embedded', { SLUICE_FETCH_ALLOW: `127.0.0.1:${port}` })
    content = (await drawSample({ seed: 1, width: 24, height: 16, format: 'png' })).toString('base64')
    for (const [index, name] of ['/a.png', '/b.png', '/photos/red shirt_2.png'].entries()) {
      served.set(encodeURI(name), await drawSample({ seed: index, width: 24, height: 16, format: 'png' }))
    }
  })
  afterAll(async () => {
    await stack?.[Symbol.asyncDispose]()
    photos.close()
  })

  const send = (source: Json, document: object, options?: Parameters<typeof signed>[1]) =>
    post(stack, source['url'], signed(document, options))

  test('the answer waits for nothing but the insert: it comes while nobody may process', async () => {
    const source = await newSource(stack, { enabled: false })
    const product = await newProduct(stack)
    for (let n = 0; n < 50; n += 1) {
      const sent = { type: 'images.added', sku: product.sku, images: [{ content, label: `${n}` }] }
      expect((await send(source, sent)).body).toEqual({ status: 'received' })
    }
    expect(await eventsOf(stack, source, '&state=received')).toHaveLength(50)
    expect(await labelsOf(stack, product)).toEqual([])
    await stack.api.call('PATCH', source['links'].self, { enabled: true })
    await settled(stack, source)
    expect((await labelsOf(stack, product)).sort()).toEqual(Array.from({ length: 50 }, (_, n) => `${n}`).sort())
  })

  test('what cannot be mapped waits in quarantine, and is applied when the mapping was mended: what was applied is not applied again', async () => {
    const source = await newSource(stack, { mapping: { ...MAPPING, source: { base64: '/bytes' } } })
    const product = await newProduct(stack)
    const late = `late-${crypto.randomUUID()}`
    await send(source, {
      type: 'images.added',
      sku: product.sku,
      images: [
        { content, label: 'wrong' },
        { bytes: content, label: 'right' },
      ],
    })
    await send(source, { type: 'images.added', sku: late, images: [{ bytes: content, label: 'late' }] })
    await settled(stack, source)
    expect(await labelsOf(stack, product)).toEqual(['right'])
    const quarantined = await eventsOf(stack, source, '&state=quarantined')
    expect(quarantined.map(({ error }) => error.code)).toEqual(['event_unmappable', 'event_unmappable'])
    const [unknown, faulty] = quarantined
    expect(unknown?.['items']).toEqual([
      { path: '/images/0', outcome: 'refused', errors: [{ field: 'product', message: 'does not exist' }] },
    ])
    expect(faulty?.['items']).toMatchObject([
      {
        path: '/images/0',
        outcome: 'refused',
        errors: [{ field: 'source.base64', message: 'is missing: there is nothing at /bytes' }],
      },
      { path: '/images/1', outcome: 'ingested', ingest: expect.stringContaining('/v1/ingests/') },
    ])
    const read = (await stack.api.call('GET', faulty?.['links'].self)).body
    expect(JSON.parse(read['body'])).toMatchObject({ sku: product.sku })
    expect(read['headers']).toEqual({ 'webhook-id': expect.any(String), 'webhook-timestamp': expect.any(String) })

    // Received again without having been mended, nothing changes.
    const redrive = (body: object) => stack.api.call('POST', `${source['links'].self}/redrive`, body)
    expect((await redrive({ events: [faulty?.['id']] })).body).toEqual({ events: 1 })
    await settled(stack, source)
    expect(await labelsOf(stack, product)).toEqual(['right'])

    const mended = { ...MAPPING, source: { base64: { at: '/content', default: content } } }
    expect((await stack.api.call('PATCH', source['links'].self, { mapping: mended })).status).toBe(200)
    await stack.api.call('POST', '/v1/products', { sku: late })
    expect(await redrive({})).toMatchObject({ status: 202, body: { events: 2 } })
    await settled(stack, source)
    expect((await labelsOf(stack, product)).sort()).toEqual(['right', 'wrong'])
    expect(await labelsOf(stack, { path: `/v1/products/sku:${late}` })).toEqual(['late'])
    expect(await eventsOf(stack, source, '&state=quarantined')).toEqual([])
  })

  test('a dry run shows what an event would do, with all that is wrong by its place, and does nothing', async () => {
    const source = await newSource(stack, {
      mapping: { ...MAPPING, image: { label: '/label', position: '/position', roles: '/roles' } },
    })
    const product = await newProduct(stack)
    const run = (body: object) => stack.api.call('POST', `${source['links'].self}/dry-run`, body)
    const images = [{ content, label: 'x', position: 2 }, { content, position: 'first', roles: ['nobody'] }, { label: 'y' }]
    const { status, body } = await run({ type: 'images.added', sku: product.sku, images })
    expect([status, body['outcome']]).toEqual([200, 'quarantined'])
    expect(body['items']).toEqual([
      {
        path: '/images/0',
        outcome: 'ingested',
        wanted: expect.objectContaining({
          product: { sku: product.sku },
          image: expect.objectContaining({ label: 'x', position: 2 }),
        }),
      },
      {
        path: '/images/1',
        outcome: 'refused',
        errors: [{ field: 'image.position', message: expect.stringContaining('whole number') }],
      },
      {
        path: '/images/2',
        outcome: 'refused',
        errors: [{ field: 'source.base64', message: expect.stringContaining('missing') }],
      },
    ])
    expect((await run({ type: 'other' })).body).toEqual({ outcome: 'ignored', because: 'The type is "other".', items: [] })
    const nobody = await run({ type: 'images.added', sku: 'nobody', images: [{ content }] })
    expect(nobody.body['items'][0]).toMatchObject({ outcome: 'refused', errors: [{ field: 'product' }] })
    expect(await labelsOf(stack, product)).toEqual([])
    expect(await eventsOf(stack, source)).toEqual([])
  })

  test('events of other types, and items that do not count, are passed over', async () => {
    const source = await newSource(stack, { mapping: { ...MAPPING, when: [{ value: '/kind', in: ['photo'] }] } })
    const product = await newProduct(stack)
    await send(source, { type: 'orders.created' })
    await send(source, {
      type: 'images.added',
      sku: product.sku,
      images: [{ kind: 'video' }, { kind: 'photo', content, label: 'a' }],
    })
    await settled(stack, source)
    expect(await labelsOf(stack, product)).toEqual(['a'])
    const [second, first] = await eventsOf(stack, source)
    expect([first?.['state'], second?.['state']]).toEqual(['ignored', 'processed'])
    expect(second?.['items'][0]).toMatchObject({ outcome: 'ignored', because: '/kind is none of photo.' })
  })

  test('an item with a key is brought once, in however many events it comes; older versions are passed over', async () => {
    const source = await newSource(stack, {
      mapping: { ...MAPPING, key: '/id', order_by: { event: '/updated_at' }, image: { label: '/label', slot: '/id' } },
    })
    const product = await newProduct(stack)
    const event = (hour: number, label: string) => ({
      type: 'images.added',
      sku: product.sku,
      updated_at: `2026-01-01T${hour}:00:00Z`,
      images: [{ id: 'front', content, label }],
    })
    for (const [hour, label] of [
      [11, 'first'],
      [13, 'third'],
      [12, 'second'],
      [13, 'third again'],
    ] as const) {
      await send(source, event(hour, label))
      await settled(stack, source)
    }
    expect(await labelsOf(stack, product)).toHaveLength(1)
    const events = (await eventsOf(stack, source)).toReversed()
    expect(events.map(({ items }) => items[0].outcome)).toEqual(['ingested', 'ingested', 'ignored', 'ingested'])
    expect(events[3]?.['items'][0].ingest).toBe(events[1]?.['items'][0].ingest)
    expect(events[0]?.['items'][0].ingest).not.toBe(events[1]?.['items'][0].ingest)
  })

  test('an image whose product comes later waits for it, and one whose address may not be fetched is seen in a dry run', async () => {
    const mapping = { ...MAPPING, source: { url: '/src' }, park_seconds: 600 }
    const source = await newSource(stack, { mapping })
    const sku = `later-${crypto.randomUUID()}`
    const event = { type: 'images.added', sku, images: [{ src: `${photosUrl}/a.png`, label: 'parked' }] }
    const run = async (document: object) => (await stack.api.call('POST', `${source['links'].self}/dry-run`, document)).body
    expect((await run(event))['items'][0]).toMatchObject({ outcome: 'ingested', wanted: { park_seconds: 600 } })
    const inside = await run({ ...event, images: [{ src: 'https://127.0.0.1:1/a.png' }] })
    expect(inside['items'][0].errors).toEqual([{ field: 'source.url', message: expect.stringContaining('url_forbidden') }])

    await send(source, event)
    await settled(stack, source)
    const [{ items }] = (await eventsOf(stack, source)) as [Json]
    expect((await stack.api.call('GET', items[0].ingest)).body['state']).toBe('parked')
    await stack.api.call('POST', '/v1/products', { sku })
    await settled(stack, source)
    expect(await labelsOf(stack, { path: `/v1/products/sku:${sku}` })).toEqual(['parked'])
  })

  test('images are fetched from the addresses that events tell, which stand in any form', async () => {
    await stack.api.call('POST', '/v1/products', { sku: 'red shirt' })
    const source = await newSource(stack, {
      verifier: { kind: 's3' },
      secrets: ['a-token-of-minio'],
      mapping: {
        type: '/EventName',
        types: ['s3:ObjectCreated:Put'],
        each: '/Records',
        product: { sku: { at: '/s3/object/key', decode: 'form', match: 'photos/{sku}_{position}.{type}', take: 'sku' } },
        source: { url: { at: '/s3/object/key', decode: 'form', prefix: `${photosUrl}/` } },
        image: { label: { at: '/s3/object/key', decode: 'form', match: 'photos/{sku}_{position}.{type}', take: 'position' } },
      },
    })
    const record = { s3: { bucket: { name: 'x' }, object: { key: 'photos%2Fred+shirt_2.png' } } }
    const body = JSON.stringify({ EventName: 's3:ObjectCreated:Put', Records: [record] })
    const refused = await post(stack, source['url'], { body, headers: { authorization: 'Bearer another-token' } })
    expect(refused.status).toBe(401)
    for (const status of ['received', 'known']) {
      const sent = await post(stack, source['url'], { body, headers: { authorization: 'Bearer a-token-of-minio' } })
      expect([sent.status, sent.body['status']]).toEqual([200, status])
    }
    await settled(stack, source)
    expect(await labelsOf(stack, { path: '/v1/products/sku:red%20shirt' })).toEqual(['2'])
  })

  test('an event with an unsigned id is known by its content, and an id that is told twice is suspicious', async () => {
    const product = await newProduct(stack)
    const source = await newSource(stack, {
      verifier: { kind: 'shopify' },
      secrets: ['hush-hush'],
      mapping: {
        type: { header: 'x-shopify-topic' },
        types: ['products/update'],
        each: '/images',
        product: { sku: { event: '/variants/0/sku' } },
        source: { url: '/src' },
        key: '/id',
        image: { label: '/alt' },
      },
    })
    const sent = (images: readonly unknown[], id: string): Sent => {
      const body = JSON.stringify({ id: 1, variants: [{ sku: product.sku }], images })
      const signature = createHmac('sha256', 'hush-hush').update(body).digest('base64')
      const headers = { 'x-shopify-topic': 'products/update', 'x-shopify-hmac-sha256': signature, 'x-shopify-webhook-id': id }
      return { body, headers }
    }
    const [a, b] = ['a', 'b'].map((name, index) => ({ id: index, src: `${photosUrl}/${name}.png`, alt: name }))
    const statuses = []
    for (const [images, id] of [
      [[a], 'one'],
      [[a], 'one'],
      [[a], 'two'],
      [[a, b], 'three'],
      [[b], 'one'],
    ] as const) {
      statuses.push((await post(stack, source['url'], sent(images, id))).body['status'])
      await settled(stack, source)
    }
    expect(statuses).toEqual(['received', 'known', 'known', 'received', 'received'])
    // The image that was known already did not come again with its product.
    expect(await labelsOf(stack, product)).toEqual(['a', 'b'])
    const [reused] = await eventsOf(stack, source, '&state=quarantined')
    expect(reused).toMatchObject({ said_id: 'one', error: { code: 'event_id_reused' } })
  })

  test('secrets are changed without a gap, never told and never logged', async () => {
    const source = await newSource(stack)
    const tried = async () => {
      const answers = []
      for (const secret of [SECRET, OTHER]) answers.push((await send(source, { type: 'x' }, { secret })).status)
      return answers
    }
    expect(await tried()).toEqual([200, 401])
    const change = (secrets: string[]) => stack.api.call('PATCH', source['links'].self, { secrets })
    expect((await change([OTHER, SECRET])).body['secrets']).toBe(2)
    expect(await tried()).toEqual([200, 200])
    await change([OTHER])
    expect(await tried()).toEqual([401, 200])
    const told = JSON.stringify((await stack.api.call('GET', '/v1/hook-sources')).body) + stack.log()
    for (const secret of [SECRET, OTHER, SECRET.slice(6), 'hush-hush', 'a-token-of-minio']) expect(told).not.toContain(secret)
  })

  test('what is not an event is refused before it is kept', async () => {
    const source = await newSource(stack)
    const { body, headers } = signed({ type: 'x' })
    expect((await post(stack, source['url'], { body: '', headers: {} })).status).toBe(401)
    expect((await post(stack, `${stack.api.url}/v1/hooks/${crypto.randomUUID()}`, { body, headers })).status).toBe(404)
    expect((await post(stack, `${stack.api.url}/v1/hooks/nobody`, { body, headers })).status).toBe(404)
    expect((await post(stack, source['url'], { body, headers: { ...headers, 'content-encoding': 'gzip' } })).status).toBe(415)
    expect((await send(source, { type: 'x'.repeat(1024 * 1024) })).status).toBe(413)
    expect(await eventsOf(stack, source)).toEqual([])
    const notJson = await post(stack, source['url'], rawSigned('{"type":'))
    expect([notJson.status, notJson.body['status']]).toEqual([200, 'received'])
    await settled(stack, source)
    expect(await eventsOf(stack, source)).toMatchObject([{ state: 'quarantined', error: { code: 'json_invalid' } }])
  })

  test('a source that means nothing is refused, with all that is wrong', async () => {
    const given = {
      name: 'x',
      verifier: { kind: 'hmac', header: 'X-Sig', timestamp_header: 'X-Time', signed: '{body}' },
      secrets: ['long enough'],
      mapping: {
        type: 'type',
        each: '/a~2',
        product: { sku: '/a', id: '/b' },
        source: { url: { at: '/a', match: '{a}{b}', take: 'a' } },
        image: { label: { at: '/x', value: 1 } },
      },
    }
    const { status, body } = await stack.api.call('POST', '/v1/hook-sources', given)
    expect(status).toBe(400)
    expect(body['errors'].map(({ field }: Json) => field).sort()).toEqual([
      'mapping.each',
      'mapping.image.label',
      'mapping.product',
      'mapping.source.url',
      'mapping.type',
      'mapping.types',
      'verifier.signed',
    ])
    const weak = await stack.api.call('POST', '/v1/hook-sources', {
      name: 'x',
      verifier: { kind: 'standard-webhooks' },
      secrets: ['whsec_short'],
      mapping: MAPPING,
    })
    expect(weak.body['errors']).toEqual([{ field: 'secrets.0', message: expect.stringContaining('whsec_') }])
  })
})
