/** What becomes of an image by URL when its worker dies: docs/urls.md. */
import { expect, test, vi } from 'vitest'
import { drawSample } from '@sluice/images/samples'
import { openOrigin } from './origin.ts'
import { environment, stagedFiles, up } from './sluice-process.ts'

test('a worker that is killed in the middle of a fetch loses nothing, and leaves nothing behind', async () => {
  await using origin = await openOrigin()
  const bytes = await drawSample({ seed: 1, width: 60, height: 40, format: 'jpeg' })
  origin.answers.set('/front.jpg', (_request, response) => {
    if (origin.asked('/front.jpg').length > 1) response.end(bytes)
    else response.writeHead(200, { 'content-length': bytes.length }).write(bytes.subarray(0, 100))
  })
  const variables = {
    ...(await environment()),
    SLUICE_BOOTSTRAP_TOKEN: 'urls-token-of-some-length',
    SLUICE_FETCH_ALLOW: origin.host,
    SLUICE_LIMIT_SOURCE_RETRY_MS_MAX: '3000',
    SLUICE_LIMIT_RECONCILE_AFTER_MS: '4000',
    SLUICE_LIMIT_JOB_LOCK_MS: '3000',
    SLUICE_LIMIT_INGEST_MS_MAX: '3000',
    SLUICE_LIMIT_UPKEEP_EVERY_MS: '500',
  }
  const first = await up(variables, '--no-demo')
  const product = await first.api.newProduct()
  const { headers } = await first.api.call('POST', `${product}/images`, { url: origin.url('/front.jpg') })
  await vi.waitFor(() => expect(origin.asked('/front.jpg')).toHaveLength(1), 10_000)
  first.process.child.kill('SIGKILL')
  await first.process.exit()

  const second = await up(variables, '--no-demo')
  expect(await second.api.finished(headers.get('location') ?? '')).toMatchObject({ state: 'committed', attempts: 2 })
  const { body } = await second.api.call('GET', `${product}/images`)
  expect(body['images']).toHaveLength(1)
  // What was half written is swept after an hour, as that of an upload.
  const isStaged = (path: string) => !path.includes('/partial/')
  await vi.waitFor(async () => expect((await stagedFiles(variables)).filter(isStaged)).toEqual([]), 10_000)
})
