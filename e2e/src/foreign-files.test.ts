/** Files of another tenant, named where nobody answers at once: in rows of imports, and in events. */
import { randomUUID } from 'node:crypto'
import postgres from 'postgres'
import { afterAll, beforeAll, expect, test, vi } from 'vitest'
import { hashToken } from '@sluice/core'
import { drawSample } from '@sluice/images/samples'
import { type Api, apiOf, type Json } from './api.ts'
import { applied, newImport, planned, rowsOf, sendRows } from './import-api.ts'
import { openStack, type Stack } from './stack.ts'

let stack: Stack
let stranger: Api
let file: Json

beforeAll(async () => {
  stack = await openStack('embedded')
  const png = await drawSample({ seed: 1, width: 64, height: 64, format: 'png' })
  file = (await stack.api.addImage(await stack.api.newProduct(), png)).body['file']
  const [sql, secret, tenant] = [postgres(stack.databaseUrl, { max: 1 }), randomUUID(), randomUUID()]
  try {
    await sql`insert into tenants (id, name) values (${tenant}, 'other')`
    const token = { id: randomUUID(), tenant_id: tenant, name: 'x', role: 'admin', sha256: hashToken(secret), prefix: 'x' }
    await sql`insert into tokens ${sql(token)}`
  } finally {
    await sql.end()
  }
  stranger = apiOf(stack.api.url, secret)
  await stranger.call('POST', '/v1/products', { sku: 'theirs' })
})
afterAll(async () => stack?.[Symbol.asyncDispose]())

async function bringsNothing(): Promise<void> {
  const { body } = await stranger.call('GET', '/v1/products/sku:theirs/images')
  expect(body['images']).toEqual([])
  const { body: ingests } = await stranger.call('GET', '/v1/ingests?state=committed')
  expect(ingests['items']).toEqual([])
}

test('a row of an import brings none of them, by its id or by its digest', async () => {
  const id = await newImport(stranger)
  const [byId, byDigest] = [{ file_id: file['id'] }, { sha256: file['sha256'] }]
  await sendRows(stranger, id, [
    { sku: 'theirs', ...byId },
    { sku: 'theirs', ...byDigest },
  ])
  await planned(stranger, id)
  await applied(stranger, id).catch(() => undefined)
  const codes = (await rowsOf(stranger, id)).map((row) => row['error']?.code)
  // An id is looked up when the row comes, a digest when its bytes are needed.
  expect(codes).toEqual(['row_invalid', 'file_reference_unknown'])
  await bringsNothing()
})

test('an event brings none of them', async () => {
  const mapping = { product: { sku: '/sku' }, source: { file_id: '/file' } }
  const given = { name: 'Shop', verifier: { kind: 's3' }, secrets: ['a-token-for-events'], mapping }
  const { body: source } = await stranger.call('POST', '/v1/hook-sources', given)
  const body = JSON.stringify({ sku: 'theirs', file: file['id'] })
  const sent = await stranger.send('POST', `/v1/hooks/${source['id']}`, { token: 'a-token-for-events', body })
  expect(sent.status).toBe(200)
  const events = async () => (await stranger.call('GET', `/v1/hook-sources/${source['id']}/events`)).body['items'] as Json[]
  await vi.waitFor(async () => expect(await events()).toMatchObject([{ state: 'quarantined' }]), { timeout: 60_000 })
  expect(JSON.stringify(await events())).toContain('file_reference_unknown')
  await bringsNothing()
})
