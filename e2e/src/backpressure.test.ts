import { once } from 'node:events'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { drawSample } from '@sluice/images/samples'
import { expect, test } from 'vitest'
import { answerOf, formOf } from './api.ts'
import { openStack, type Stack } from './stack.ts'

async function sender({ api }: Stack) {
  const image = await drawSample({ seed: 1, width: 40, height: 30, format: 'jpeg' })
  return async (path: string) => answerOf(await api.send('POST', path, { body: formOf(image) }))
}

test('uploads are turned away while too many ingests wait, say when to come again, and are taken when there is room', async () => {
  const answer = Promise.withResolvers<void>()
  const server = createServer((_request, response) => void answer.promise.then(() => response.writeHead(404).end()))
  await once(server.listen(0, '127.0.0.1'), 'listening')
  const host = `127.0.0.1:${(server.address() as AddressInfo).port}`
  await using stack = await openStack('embedded', {
    SLUICE_FETCH_ALLOW: host,
    SLUICE_LIMIT_INGESTS_WAITING_MAX: '1',
    SLUICE_LIMIT_LOAD_MS_MAX: '1',
  })
  const send = await sender(stack)
  // It waits for a server that does not answer.
  expect((await stack.api.call('POST', '/v1/files', { url: `http://${host}/a.jpg` })).status).toBe(202)
  const refused = await send('/v1/files')
  expect(refused).toMatchObject({ status: 503, body: { code: 'service_busy' } })
  expect(Number(refused.headers.get('retry-after'))).toBeGreaterThan(0)
  const byUrl = await stack.api.call('POST', '/v1/files', { url: `http://${host}/b.jpg` })
  expect(byUrl).toMatchObject({ status: 503, body: { code: 'service_busy' } })
  answer.resolve()
  await expect.poll(async () => (await send('/v1/files')).status, { timeout: 20_000 }).toBe(202)
  server.close()
})

test('so they are while too many bytes wait, as those of images without a product, and taken when that has come', async () => {
  await using stack = await openStack('embedded', { SLUICE_LIMIT_STAGED_BYTES_MAX: '1', SLUICE_LIMIT_LOAD_MS_MAX: '1' })
  const send = await sender(stack)
  const parked = await send('/v1/products/sku:later/images?park=600')
  expect(parked).toMatchObject({ status: 202, body: { state: 'parked' } })
  const refused = await send('/v1/files')
  expect(refused).toMatchObject({ status: 503, body: { code: 'service_busy' } })
  expect(Number(refused.headers.get('retry-after'))).toBeGreaterThan(0)
  await stack.api.call('POST', '/v1/products', { sku: 'later' })
  await expect.poll(async () => (await send('/v1/files')).status, { timeout: 20_000 }).toBe(202)
})
