/** docs/urls.md: its commands work as they stand, and its answers are those that are given. */
import { mkdtemp, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { expect, test } from 'vitest'
import { drawSample } from '@sluice/images/samples'
import { openOrigin } from './origin.ts'
import { runExamples } from './page-examples.ts'
import { openStack } from './stack.ts'

const PAGE = resolve(import.meta.dirname, '../../docs/urls.md')

test('the examples of the page do what they say, each answer being the one that is shown', async () => {
  await using opened = new AsyncDisposableStack()
  const origin = opened.use(await openOrigin())
  const bytes = await drawSample({ seed: 1, width: 60, height: 40, format: 'jpeg' })
  origin.answers.set('/front.jpg', ({ headers }, response) => {
    if (headers['if-none-match'] === '"1"') response.writeHead(304).end()
    else response.writeHead(200, { etag: '"1"' }).end(bytes)
  })
  const stack = opened.use(await openStack('embedded', { SLUICE_FETCH_ALLOW: origin.host }))
  const directory = await mkdtemp(join(tmpdir(), 'sluice-urls-'))
  opened.defer(() => rm(directory, { recursive: true, force: true }))

  const names = { 'http://127.0.0.1:8080': stack.api.url, 'https://cdn.example.com': origin.url('') }
  const examples = await runExamples(await readFile(PAGE, 'utf8'), { directory, environment: { TOKEN: stack.token }, names })
  const compared = examples.filter(({ shown }) => shown !== null)
  expect(compared).toHaveLength(4)
  expect(compared.map(({ printed }) => JSON.parse(printed) as unknown)).toEqual(
    compared.map(({ shown }) => JSON.parse(shown ?? '') as unknown),
  )
})
