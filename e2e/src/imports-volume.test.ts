import { createHash } from 'node:crypto'
import { describe, expect, test } from 'vitest'
import { drawSample } from '@sluice/images/samples'
import type { Api, Json } from './api.ts'
import { applied, newImport, planned, type Row, rowsOf, sendRows, settled } from './import-api.ts'
import { openStack, RUNNABLE } from './stack.ts'

const PRODUCTS = 400
const IMAGES = 60
const ROWS = 2_000

/** Files whose bytes rows can name. */
async function upload(api: Api): Promise<string[]> {
  const digests: string[] = []
  for (let seed = 1; seed <= IMAGES; seed++) {
    const bytes = Buffer.from(await drawSample({ seed, width: 16, height: 16, format: 'png' }))
    const sent = { body: bytes, headers: { 'content-type': 'image/png', prefer: 'wait=60' } }
    expect((await api.send('POST', '/v1/files', sent)).status).toBe(201)
    digests.push(createHash('sha256').update(bytes).digest('hex'))
  }
  return digests
}

/** Five to a product, in positions that are not those of the lines. */
function manifest(digests: readonly string[]): Row[] {
  return Array.from({ length: ROWS }, (_, index) => {
    const place = Math.floor(index / PRODUCTS)
    const product = index % PRODUCTS
    const sha256 = digests[(product * 7 + place * 11) % digests.length]
    return { sku: `volume-${product}`, sha256, label: `row ${index}`, position: 1 + ((place + product) % 5) }
  })
}

async function orderOf(api: Api, product: number): Promise<string[]> {
  const { body } = await api.call('GET', `/v1/products/sku:volume-${product}/images`)
  return (body['images'] as Json[]).map(({ label }) => label)
}

const withAction = (rows: readonly Json[]) => rows.map(({ line, action }) => `${line} ${action}`)

describe.each(RUNNABLE.filter((wiring) => wiring !== 'production with a staging bucket'))('2,000 rows on %s', (wiring) => {
  test('are applied as planned, all of them; are the same the next time; and can be undone', async () => {
    await using stack = await openStack(wiring)
    const { api } = stack
    const rows = manifest(await upload(api))
    const id = await newImport(api, { create_products: true })
    for (let at = 0; at < rows.length; at += 500) await sendRows(api, id, rows.slice(at, at + 500), at + 1)
    const plan = await planned(api, id)
    expect(plan.filter(({ action }) => action === 'create')).toHaveLength(PRODUCTS)
    const { plan_hash } = (await api.call('GET', `/v1/imports/${id}`)).body

    const done = await applied(api, id, { plan_hash })
    expect(done['counts'].states).toMatchObject({ done: ROWS, failed: 0, pending: 0, running: 0 })
    expect(withAction(await rowsOf(api, id))).toEqual(withAction(plan))
    for (const product of [0, 1, 199, PRODUCTS - 1]) {
      const own = rows.filter(({ sku }) => sku === `volume-${product}`)
      const expected = own.toSorted((a, b) => Number(a['position']) - Number(b['position'])).map(({ label }) => label)
      expect(await orderOf(api, product)).toEqual(expected)
    }

    const again = await newImport(api, { create_products: true })
    await sendRows(api, again, rows)
    expect((await applied(api, again))['counts']).toMatchObject({ states: { skipped: ROWS }, actions: { skip: ROWS } })

    await api.call('POST', `/v1/imports/${id}/undo`)
    expect((await settled(api, id))['undo']).toMatchObject({ restored: PRODUCTS, changed_since: 0, unrestorable: 0 })
    expect(await orderOf(api, 7)).toEqual([])
  })
})
