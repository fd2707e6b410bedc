import { drawSample } from '@sluice/images/samples'
import { expect, test } from 'vitest'
import { answerOf, formOf } from './api.ts'
import { openStack, type Stack } from './stack.ts'

async function sender({ api }: Stack) {
  const image = await drawSample({ seed: 1, width: 40, height: 30, format: 'jpeg' })
  return async (path: string) => answerOf(await api.send('POST', path, { body: formOf(image) }))
}

test('uploads are turned away while too many ingests wait, say when to come again, and are taken when there is room', async () => {
  await using stack = await openStack('embedded', { SLUICE_LIMIT_INGESTS_WAITING_MAX: '1', SLUICE_LIMIT_LOAD_MS_MAX: '1' })
  const send = await sender(stack)
  const answers = await Promise.all(Array.from({ length: 40 }, () => send('/v1/files')))
  expect(new Set(answers.map(({ status }) => status))).toEqual(new Set([202, 503]))
  for (const { status, headers } of answers) expect(headers.has('retry-after')).toBe(status === 503)
  await expect.poll(async () => (await send('/v1/files')).status, { timeout: 20_000 }).toBe(202)
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
