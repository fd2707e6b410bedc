import { expect, test, vi } from 'vitest'
import { drawSample } from '@sluice/images/samples'
import type { Json } from './api.ts'
import { applied, newImport, rowsOf, sendRows } from './import-api.ts'
import { openOrigin } from './origin.ts'
import { openStack } from './stack.ts'

test('rows of addresses are fetched once, a fault of one is its own, and who has asked is told of the end', async () => {
  await using origin = await openOrigin()
  await using stack = await openStack('embedded', { SLUICE_FETCH_ALLOW: origin.host })
  const { api } = stack
  const bytes = await drawSample({ seed: 1, width: 60, height: 40, format: 'jpeg' })
  let fetched = 0
  origin.answers.set('/a.jpg', (_request, response) => {
    fetched += 1
    response.writeHead(200, { 'content-type': 'image/jpeg' }).end(bytes)
  })
  const told: Json[] = []
  origin.answers.set('/events', (request, response) => {
    let body = ''
    request.on('data', (chunk) => (body += String(chunk)))
    request.on('end', () => {
      told.push(JSON.parse(body) as Json)
      response.writeHead(204).end()
    })
  })
  const subscription = { url: origin.url('/events'), events: ['import.finished', 'product.images_changed'] }
  expect((await api.call('POST', '/v1/webhooks', subscription)).status).toBe(201)

  const rows = [
    { sku: 'from-afar', url: origin.url('/a.jpg'), label: 'a' },
    { sku: 'from-afar', url: origin.url('/absent.jpg') },
  ]
  const run = async () => {
    const id = await newImport(api, { create_products: true, name: 'afar' })
    await sendRows(api, id, rows)
    return { id, ...(await applied(api, id)) }
  }
  const first: Json = await run()
  expect((await rowsOf(api, first['id'])).map(({ state, error }) => [state, error?.code])).toEqual([
    ['done', undefined],
    ['failed', 'url_unreachable'],
  ])
  await vi.waitFor(() => {
    const finished = told.find(({ type }) => type === 'import.finished')
    expect(finished?.['data']).toEqual({ import_id: first['id'], name: 'afar', rows: { done: 1, failed: 1 } })
    expect(told.some(({ type }) => type === 'product.images_changed')).toBe(true)
  }, 15_000)

  const again: Json = await run()
  expect(again['counts'].states).toMatchObject({ skipped: 1, failed: 1 })
  expect(fetched).toBe(1)
})
