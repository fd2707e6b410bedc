import { expect, test, vi } from 'vitest'
import { drawSample } from '@sluice/images/samples'
import type { Json } from './api.ts'
import { newImport, rowsOf, sendRows, settled } from './import-api.ts'
import { environment, up } from './sluice-process.ts'

const ROWS = 60

test('an import goes on after SIGKILL, as often as that happens, and brings each image once', async () => {
  const variables: Record<string, string> = {
    ...(await environment()),
    SLUICE_BOOTSTRAP_TOKEN: 'imports-token-of-some-length',
    SLUICE_LIMIT_RECONCILE_AFTER_MS: '4000',
    SLUICE_LIMIT_JOB_LOCK_MS: '3000',
    SLUICE_LIMIT_INGEST_MS_MAX: '3000',
    SLUICE_LIMIT_UPKEEP_EVERY_MS: '500',
    // What is killed or late counts as an attempt, and a busy machine is late often.
    SLUICE_LIMIT_ATTEMPTS_MAX: '50',
    SLUICE_LIMIT_IMPORT_LEASE_MS: '1000',
    SLUICE_LIMIT_IMPORT_IN_FLIGHT_MAX: '8',
  }
  let running = await up(variables, '--no-demo')
  const id = await newImport(running.api, { create_products: true })
  const rows = await Promise.all(
    Array.from({ length: ROWS }, async (_, index) => {
      const image = Buffer.from(await drawSample({ seed: index + 1, width: 300, height: 300, format: 'png' }))
      return {
        sku: `crash-${index % 6}`,
        base64: image.toString('base64'),
        label: String(index),
        position: 1 + Math.floor(index / 6),
      }
    }),
  )
  await sendRows(running.api, id, rows)
  expect((await running.api.call('POST', `/v1/imports/${id}/apply`)).status).toBe(202)

  for (const share of [0.1, 0.4]) {
    await vi.waitFor(async () => {
      const { states } = (await running.api.call('GET', `/v1/imports/${id}`)).body['counts']
      expect(states.done).toBeGreaterThanOrEqual(ROWS * share)
    }, 60_000)
    running.process.child.kill('SIGKILL')
    await running.process.exit()
    running = await up(variables, '--no-demo')
  }

  const done = await settled(running.api, id)
  expect((await rowsOf(running.api, id)).filter(({ state }) => state !== 'done')).toEqual([])
  expect(done['counts'].states).toMatchObject({ done: ROWS, failed: 0 })
  for (let product = 0; product < 6; product++) {
    const { body } = await running.api.call('GET', `/v1/products/sku:crash-${product}/images`)
    const labels = (body['images'] as Json[]).map(({ label }) => label)
    expect(labels).toEqual(Array.from({ length: ROWS / 6 }, (_, place) => String(place * 6 + product)))
  }
})
