/** Whatever is not over tells why: `waiting` of `GET /v1/ingests/{id}`. */
import postgres from 'postgres'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { drawSample } from '@sluice/images/samples'
import { answerOf, formOf, type Json } from './api.ts'
import { openOrigin, type Origin } from './origin.ts'
import { openStack, type Stack } from './stack.ts'

let origin: Origin
let stack: Stack
let sql: postgres.Sql
beforeAll(async () => {
  origin = await openOrigin()
  stack = await openStack('embedded', {
    SLUICE_FETCH_ALLOW: origin.host,
    SLUICE_LIMIT_FETCH_PER_HOST_MAX: '1',
    SLUICE_LIMIT_UPKEEP_EVERY_MS: '86400000',
  })
  sql = postgres(stack.databaseUrl, { max: 1, onnotice: () => undefined })
})
afterAll(async () => {
  await sql?.end()
  await stack?.[Symbol.asyncDispose]()
  await origin?.[Symbol.asyncDispose]()
})

const read = async (id: string) => (await stack.api.call('GET', `/v1/ingests/${id}`)).body
const eventually = (id: string, wanted: Json) =>
  expect.poll(async () => (await read(id))['waiting'], { timeout: 60_000, interval: 100 }).toMatchObject(wanted)
async function bringFrom(path: string): Promise<string> {
  const { status, body } = await stack.api.call('POST', '/v1/files', { url: origin.url(path) })
  expect(status).toBe(202)
  return body['id']
}

test('for its product, and for nothing when it is over', async () => {
  const image = await drawSample({ seed: 5, width: 40, height: 30, format: 'png' })
  const path = '/v1/products/sku:later/images?park=3600'
  const { body } = await answerOf(await stack.api.send('POST', path, { body: formOf(image) }))
  const parked = await read(body['id'])
  const detail = expect.stringContaining('"later"')
  expect(parked['waiting']).toEqual({ reason: 'product', detail, until: parked['parked'].until })
  await stack.api.call('POST', '/v1/products', { sku: 'later' })
  expect(await stack.api.finished(`/v1/ingests/${body['id']}`)).toMatchObject({ state: 'committed', waiting: null })
})

test('for a server that does not give its file, with the last error and the time of the next attempt', async () => {
  origin.answers.set('/away.png', (_request, response) => void response.writeHead(503, { 'retry-after': '3600' }).end())
  const id = await bringFrom('/away.png')
  await eventually(id, { reason: 'source', detail: expect.stringContaining('503') })
  const { state, waiting, updated_at: updatedAt } = await read(id)
  expect(state).toBe('received')
  const waitMs = new Date(waiting.until).getTime() - new Date(updatedAt).getTime()
  expect(waitMs).toBeGreaterThan(100_000)
  expect(waitMs).toBeLessThan(130_000)
  // The same host is left alone for all of this tenant.
  await eventually(await bringFrom('/other.png'), { reason: 'turn', detail: expect.stringContaining(origin.host) })
})

test('for its turn, while it is fetched, and when its worker died', async () => {
  const id = await bringFrom('/third.png')
  await eventually(id, { reason: 'turn' })
  const shown = async (change: postgres.PendingQuery<postgres.Row[]>) => {
    await sql`update ingests set postponed_because = null, due_at = null, ${change} where id = ${id}`
    return (await read(id))['waiting']
  }
  expect(await shown(sql`updated_at = now()`)).toMatchObject({ reason: 'queue', until: null })
  expect(await shown(sql`state = 'running', updated_at = now()`)).toMatchObject({ reason: 'running' })
  const interrupted = await shown(sql`state = 'running', updated_at = now() - interval '150 seconds'`)
  expect(interrupted).toMatchObject({ reason: 'interrupted', until: expect.any(String) })
})
