import { randomUUID } from 'node:crypto'
import { createHash } from 'node:crypto'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { drawSample } from '@sluice/images/samples'
import type { Json } from './api.ts'
import { applied, newImport, planned, type Row, rowsOf, sendRows, settled } from './import-api.ts'
import { openStack, type Stack } from './stack.ts'

let stack: Stack
const images: { bytes: Uint8Array; digest: string }[] = []

beforeAll(async () => {
  stack = await openStack('embedded')
  for (let seed = 1; seed <= 6; seed++) {
    const bytes = await drawSample({ seed, width: 24, height: 24, format: 'png' })
    const digest = createHash('sha256').update(bytes).digest('hex')
    const sent = { method: 'POST', body: Buffer.from(bytes), headers: { 'content-type': 'image/png', prefer: 'wait=30' } }
    expect((await stack.api.send(sent.method, '/v1/files', sent)).status).toBe(201)
    images.push({ bytes, digest })
  }
})
afterAll(async () => {
  await stack?.[Symbol.asyncDispose]()
})

const sha = (n: number) => images[n]?.digest ?? ''
const sku = () => `imp-${randomUUID()}`

async function newProduct(): Promise<string> {
  const name = sku()
  expect((await stack.api.call('POST', '/v1/products', { sku: name })).status).toBe(201)
  return name
}

interface Shown {
  readonly version: number
  readonly images: readonly Json[]
}

async function shown(name: string): Promise<Shown> {
  return (await stack.api.call('GET', `/v1/products/sku:${name}/images`)).body as unknown as Shown
}

/** What undoing must give back, and what a second import must leave alone. */
function essence({ images }: Shown) {
  return images.map(({ id, number, name, label, roles, excluded, stores, file }) => ({
    id,
    number,
    name,
    label,
    roles,
    excluded,
    stores,
    sha256: file.sha256,
  }))
}

/** An import of these rows, applied to its end. */
async function run(rows: readonly Row[], options: object = {}): Promise<Json> {
  const id = await newImport(stack.api, options)
  await sendRows(stack.api, id, rows)
  return applied(stack.api, id)
}

describe('an import', () => {
  test('answers which bytes are here', async () => {
    const unknown = '0'.repeat(64)
    const { status, body } = await stack.api.call('POST', '/v1/files/check', { digests: [sha(0), unknown] })
    expect([status, body['files'][unknown]]).toEqual([200, null])
    expect((await stack.api.call('GET', `/v1/files/${body['files'][sha(0)]}`)).body['sha256']).toBe(sha(0))
  })

  test('brings each image to its place, and says before what it will do', async () => {
    const [old, unheard] = [await newProduct(), sku()]
    const rows: Row[] = [
      { product: `sku:${old}`, sha256: sha(0), label: 'front', position: 1, roles: ['thumbnail'] },
      { sku: old, base64: Buffer.from(images[1]?.bytes ?? []).toString('base64'), position: 2 },
      { sku: unheard, sha256: sha(2), main: true },
      { sku: sku(), sha256: sha(2) },
    ]
    const id = await newImport(stack.api, { create_products: false })
    await sendRows(stack.api, id, rows)
    const plan = await planned(stack.api, id)
    expect(plan.map(({ action }) => action)).toEqual(['attach', 'attach', 'refuse', 'refuse'])
    expect((await shown(old)).version).toBe(1)
    const done = await applied(stack.api, id)
    expect(done['counts'].states).toMatchObject({ done: 2, failed: 2 })
    const after = await shown(old)
    expect(after.images.map(({ label, file, roles }) => [label, file.sha256, roles])).toEqual([
      ['front', sha(0), ['image', 'thumbnail']],
      ['', sha(1), []],
    ])
  })

  test('creates products where it may', async () => {
    const name = sku()
    const id = await newImport(stack.api, { create_products: true })
    await sendRows(stack.api, id, [
      { sku: name, sha256: sha(0) },
      { sku: name, sha256: sha(1), position: 1 },
    ])
    expect((await planned(stack.api, id)).map(({ action }) => action)).toEqual(['create', 'attach'])
    await applied(stack.api, id)
    expect((await shown(name)).images.map(({ file, main }) => [file.sha256, main])).toEqual([
      [sha(1), true],
      [sha(0), false],
    ])
  })

  test('does nothing the second time: no version, no byte, no decode', async () => {
    const name = await newProduct()
    const rows: Row[] = [
      { sku: name, sha256: sha(0), label: 'a', position: 3, roles: ['small_image'] },
      { sku: name, sha256: sha(1), label: 'b', position: 1, main: true },
      { sku: name, sha256: sha(1), label: 'c', position: 2, excluded: true },
    ]
    await run(rows)
    const before = await shown(name)
    expect(before.images.map(({ label }) => label)).toEqual(['b', 'c', 'a'])
    const log = stack.log().length
    const again = await run(rows)
    expect(again['counts']).toMatchObject({ states: { skipped: 3, done: 0 }, actions: { skip: 3 } })
    expect(await shown(name)).toEqual(before)
    expect(stack.log().slice(log)).not.toContain('ingest.accepted')
  })

  test('reorders, updates and, in a sync, detaches; and all of that can be undone', async () => {
    const name = await newProduct()
    await run([0, 1, 2, 3].map((n) => ({ sku: name, sha256: sha(n), label: `old ${n}`, roles: n === 0 ? ['thumbnail'] : [] })))
    const before = await shown(name)

    const id = await newImport(stack.api, { mode: 'sync' })
    await sendRows(stack.api, id, [
      { sku: name, sha256: sha(3) },
      { sku: name, sha256: sha(4), label: 'new' },
      { sku: name, sha256: sha(1), label: 'other' },
    ])
    const plan = await planned(stack.api, id)
    expect(plan.map(({ line, action }) => [line, action])).toEqual([
      [1, 'update'],
      [2, 'attach'],
      [3, 'update'],
      [-1, 'detach'],
      [-2, 'detach'],
    ])
    const done = await applied(stack.api, id)
    expect(done['counts'].states).toMatchObject({ done: 5 })
    const after = await shown(name)
    expect(after.images.map(({ file, label }) => [file.sha256, label])).toEqual([
      [sha(3), 'old 3'],
      [sha(4), 'new'],
      [sha(1), 'other'],
    ])
    expect(after.images.filter(({ main }) => main)).toHaveLength(1)

    expect((await stack.api.call('POST', `/v1/imports/${id}/undo`)).status).toBe(202)
    const undone = await settled(stack.api, id)
    expect(undone).toMatchObject({ state: 'undone', undo: { restored: 1, changed_since: 0, unrestorable: 0, open: 0 } })
    const restored = await shown(name)
    expect(essence(restored)).toEqual(essence(before))
    expect(restored.images.map(({ position }) => position)).toEqual(before.images.map(({ position }) => position))
  })

  test('leaves a product alone that others have changed since, until it is forced', async () => {
    const name = await newProduct()
    await run([{ sku: name, sha256: sha(0) }])
    const before = await shown(name)
    const id = await newImport(stack.api)
    await sendRows(stack.api, id, [{ sku: name, sha256: sha(1), position: 1 }])
    await applied(stack.api, id)
    const [first] = (await shown(name)).images
    await stack.api.call('PATCH', `/v1/products/sku:${name}/images/${first?.['id']}`, { label: 'theirs' })
    await stack.api.call('POST', `/v1/imports/${id}/undo`)
    expect((await settled(stack.api, id))['undo']).toMatchObject({ changed_since: 1, restored: 0 })
    expect((await shown(name)).images).toHaveLength(2)
    const { body } = await stack.api.call('GET', `/v1/imports/${id}/products?state=changed_since`)
    expect(body['items']).toMatchObject([{ product: `sku:${name}`, error: { code: 'version_mismatched' } }])
    await stack.api.call('POST', `/v1/imports/${id}/undo`, { force: true })
    expect((await settled(stack.api, id))['undo']).toMatchObject({ changed_since: 0, restored: 1 })
    expect(essence(await shown(name))).toEqual(essence(before))
  })

  test('refuses a plan whose products have moved', async () => {
    const name = await newProduct()
    const id = await newImport(stack.api)
    await sendRows(stack.api, id, [{ sku: name, sha256: sha(0) }])
    await planned(stack.api, id)
    const { plan_hash } = (await stack.api.call('GET', `/v1/imports/${id}`)).body
    await run([{ sku: name, sha256: sha(1) }])
    const refused = await stack.api.call('POST', `/v1/imports/${id}/apply`, { plan_hash })
    expect([refused.status, refused.body['code'], refused.body['products']]).toEqual([412, 'plan_outdated', [`sku:${name}`]])
    await applied(stack.api, id)
    expect((await shown(name)).images).toHaveLength(2)
  })

  test('keeps what is wrong with a row, by field, and goes on', async () => {
    const name = await newProduct()
    const id = await newImport(stack.api)
    const lines = [
      '{"sku":"' + name + '","sha256":"' + sha(0) + '"}',
      '{"sku":"' + name + '","sha256":"zz","position":0,"colour":"red"}',
      'not json',
      '',
      '[]',
      JSON.stringify({ sku: name, base64: 'AAAA' }),
      JSON.stringify({ sku: name, file_id: randomUUID() }),
      JSON.stringify({ sku: name, url: 'http://127.0.0.1/a.png' }),
      JSON.stringify({ sku: name, sha256: sha(1), url: 'https://example.com/a.png' }),
      JSON.stringify({ sha256: sha(1) }),
    ]
    const { body } = await sendText(id, lines.join('\n'), 'application/x-ndjson')
    expect(body).toMatchObject({ received: 9, added: 9, invalid: 8, last_line: 10 })
    const rows = await rowsOf(stack.api, id)
    const faults = Object.fromEntries(rows.map(({ line, error }) => [line, error?.errors?.map(({ field }: Json) => field)]))
    expect(faults).toEqual({
      1: undefined,
      2: ['colour', 'sha256', 'position'],
      3: ['row'],
      5: ['row'],
      6: ['base64'],
      7: ['file_id'],
      8: ['url'],
      9: ['url'],
      10: ['product'],
    })
    expect((await applied(stack.api, id))['counts'].states).toMatchObject({ done: 1, invalid: 8 })
  })

  test('takes a page that is sent twice once', async () => {
    const id = await newImport(stack.api)
    const name = await newProduct()
    await sendRows(stack.api, id, [{ sku: name, sha256: sha(0) }], 7)
    const again = await sendRows(stack.api, id, [{ sku: name, sha256: sha(0) }], 7)
    expect(again).toMatchObject({ received: 1, added: 0, known: 1 })
    expect((await applied(stack.api, id))['counts'].total).toBe(1)
    expect((await rowsOf(stack.api, id)).map(({ line }) => line)).toEqual([7])
  })

  test('reads CSV with a header', async () => {
    const id = await newImport(stack.api)
    const name = await newProduct()
    const csv = [
      'sku,sha256,label,position,roles',
      `${name},${sha(0)},"a ""b"",\nc",2,`,
      `${name},${sha(1)},,1,"thumbnail,small_image"`,
      `${name},${sha(1)}`,
    ].join('\r\n')
    const { status, body } = await sendText(id, csv, 'text/csv')
    expect([status, body]).toMatchObject([200, { received: 3, invalid: 1, last_line: 5 }])
    await applied(stack.api, id)
    expect((await shown(name)).images.map(({ label, roles }) => [label, roles])).toEqual([
      ['', ['image', 'small_image', 'thumbnail']],
      ['a "b",\nc', []],
    ])
    const bad = await sendText(await newImport(stack.api), 'sku,sha256\n"abc', 'text/csv')
    expect([bad.status, bad.body['code']]).toEqual([400, 'csv_invalid'])
  })

  test('lets rows wait for their product', async () => {
    const [late, never] = [sku(), sku()]
    const id = await newImport(stack.api, { park_seconds: 3600 })
    await sendRows(stack.api, id, [{ sku: late, sha256: sha(0) }])
    await stack.api.call('POST', `/v1/imports/${id}/apply`)
    const waiting = await stack.api.call('GET', `/v1/imports/${id}`)
    expect(waiting.body['counts'].states.parked).toBe(1)
    await stack.api.call('POST', '/v1/products', { sku: late })
    expect((await settled(stack.api, id))['counts'].states).toMatchObject({ done: 1 })
    expect((await shown(late)).images).toHaveLength(1)

    const brief = await newImport(stack.api, { park_seconds: 1 })
    await sendRows(stack.api, brief, [{ sku: never, sha256: sha(0) }])
    expect((await applied(stack.api, brief))['counts'].states).toMatchObject({ failed: 1 })
    expect((await rowsOf(stack.api, brief))[0]?.error.code).toBe('park_expired')
  })

  test('stops at a row that fails, and goes on when it is told to', async () => {
    const names = [await newProduct(), await newProduct()]
    const id = await newImport(stack.api, { on_error: 'stop' })
    await sendRows(stack.api, id, [
      { sku: names[0] ?? '', sha256: '1'.repeat(64) },
      { sku: names[1] ?? '', sha256: sha(0) },
    ])
    const stopped = await applied(stack.api, id)
    expect([stopped['state'], stopped['counts'].states.failed]).toEqual(['stopped', 1])
    await stack.api.call('POST', `/v1/imports/${id}/resume`)
    const done = await settled(stack.api, id)
    expect([done['state'], done['counts'].states]).toMatchObject(['finished', { done: 1, failed: 1 }])
  })

  test('detaches nothing where a row of the product fails', async () => {
    const name = await newProduct()
    await run([0, 1].map((n) => ({ sku: name, sha256: sha(n) })))
    const broken = Buffer.concat([Buffer.from(images[5]?.bytes ?? []).subarray(0, 60), Buffer.alloc(500)])
    const done = await run([{ sku: name, base64: broken.toString('base64') }], { mode: 'sync' })
    expect(done['counts'].states).toMatchObject({ failed: 1, skipped: 2 })
    expect((await shown(name)).images.map(({ file }) => file.sha256)).toEqual([sha(0), sha(1)])
  })

  test('says what differs in single store views', async () => {
    await stack.api.call('PUT', '/v1/stores/de', { name: 'German', website: 'base' })
    const name = await newProduct()
    const rows: Row[] = [
      { sku: name, sha256: sha(0), stores: { de: { label: 'vorne' } } },
      { sku: name, sha256: sha(1), stores: { nowhere: { label: 'x' } } },
    ]
    const done = await run(rows)
    expect(done['counts'].states).toMatchObject({ done: 1, invalid: 1 })
    expect((await shown(name)).images[0]?.['stores']).toMatchObject([{ label: 'vorne' }])
    const again = await run(rows)
    expect(again['counts'].states).toMatchObject({ skipped: 1, invalid: 1 })
  })

  test('tells its whole story as JSON Lines, and as events', async () => {
    const name = await newProduct()
    const id = await newImport(stack.api)
    await sendRows(stack.api, id, [{ sku: name, sha256: sha(0) }])
    await stack.api.call('POST', `/v1/imports/${id}/apply`)
    const events = await (await stack.api.send('GET', `/v1/imports/${id}/events`)).text()
    expect(events).toContain('"state":"finished"')
    const report = await (await stack.api.send('GET', `/v1/imports/${id}/report`)).text()
    expect(
      report
        .trim()
        .split('\n')
        .map((line) => JSON.parse(line).state),
    ).toEqual(['done'])
  })
})

async function sendText(id: string, body: string, type: string): Promise<{ status: number; body: Json }> {
  const answer = await stack.api.send('POST', `/v1/imports/${id}/rows`, { body, headers: { 'content-type': type } })
  return { status: answer.status, body: (await answer.json()) as Json }
}
