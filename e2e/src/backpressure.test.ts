import { drawSample } from '@sluice/images/samples'
import { expect, test } from 'vitest'
import { answerOf, formOf } from './api.ts'
import { openStack } from './stack.ts'

test.for([
  ['ingests', { SLUICE_LIMIT_INGESTS_WAITING_MAX: '1' }],
  ['bytes', { SLUICE_LIMIT_STAGED_BYTES_MAX: '1' }],
] as const)(
  'uploads are turned away while too many %s wait, say when to come again, and are taken when there is room',
  async ([what, bound]) => {
    await using stack = await openStack('embedded', { ...bound, SLUICE_LIMIT_LOAD_MS_MAX: '1' })
    const { api } = stack
    const image = await drawSample({ seed: 1, width: 40, height: 30, format: 'jpeg' })
    // Whatever it is that waits: parked images hold bytes, and the worker cannot take them.
    const send = (path: string) => api.send('POST', path, { body: formOf(image) }).then(answerOf)
    if (what === 'bytes') {
      const parked = await send('/v1/products/sku:later/images?park=600')
      expect(parked).toMatchObject({ status: 202, body: { state: 'parked' } })
      const refused = await send('/v1/files')
      expect(refused).toMatchObject({ status: 503, body: { code: 'service_busy' } })
      expect(Number(refused.headers.get('retry-after'))).toBeGreaterThan(0)
      await api.call('POST', '/v1/products', { sku: 'later' })
      await expect.poll(async () => (await send('/v1/files')).status, { timeout: 20_000 }).toBe(202)
      return
    }
    const answers = await Promise.all(Array.from({ length: 40 }, () => send('/v1/files')))
    const statuses = new Set(answers.map(({ status }) => status))
    expect([...statuses].toSorted()).toEqual([202, 503])
    for (const { status, headers } of answers) expect(headers.has('retry-after')).toBe(status === 503)
    await expect.poll(async () => (await send('/v1/files')).status, { timeout: 20_000 }).toBe(202)
  },
)
