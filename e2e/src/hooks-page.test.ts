/** docs/webhooks-in.md: its commands work as they stand, and its answers are those that are given. */
import { mkdtemp, readFile, rm } from 'node:fs/promises'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { expect, test, vi } from 'vitest'
import { drawSample } from '@sluice/images/samples'
import type { Json } from './api.ts'
import { runExamples } from './page-examples.ts'
import { openStack } from './stack.ts'

const PAGE = resolve(import.meta.dirname, '../../docs/webhooks-in.md')

test('the examples of the page bring four images, each answer being the one that is shown', async () => {
  await using opened = new AsyncDisposableStack()
  const drawn = await drawSample({ seed: 1, width: 24, height: 16, format: 'png' })
  const photos = createServer((_request, response) => void response.setHeader('content-type', 'image/png').end(drawn))
  await new Promise<void>((listening) => photos.listen(0, '127.0.0.1', listening))
  opened.defer(() => void photos.close())
  const host = `127.0.0.1:${(photos.address() as AddressInfo).port}`
  const stack = opened.use(await openStack('embedded', { SLUICE_FETCH_ALLOW: host }))
  const directory = await mkdtemp(join(tmpdir(), 'sluice-hooks-'))
  opened.defer(() => rm(directory, { recursive: true, force: true }))

  const names = { 'http://127.0.0.1:8080': stack.api.url, 'https://cdn.example.com': `http://${host}` }
  const examples = await runExamples(await readFile(PAGE, 'utf8'), { directory, environment: { TOKEN: stack.token }, names })
  const compared = examples.filter(({ shown }) => shown !== null)
  expect(compared.length).toBeGreaterThanOrEqual(7)
  for (const { command, printed, shown } of compared) {
    expect([command, JSON.parse(printed)]).toEqual([command, JSON.parse(shown ?? '')])
  }
  await vi.waitFor(
    async () => {
      const { images } = (await stack.api.call('GET', '/v1/products/sku:shirt-1/images')).body
      expect(images.map(({ label, file }: Json) => `${label} ${file.name}`).sort()).toEqual([
        ' detail.png',
        ' shirt-1_top.png',
        'From behind back.png',
        'From the front front.png',
      ])
    },
    { timeout: 30_000, interval: 50 },
  )
})
