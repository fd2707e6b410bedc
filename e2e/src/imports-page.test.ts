/** docs/imports.md: the requests of its second half work as they stand, and are answered as is shown. */
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { expect, test } from 'vitest'
import { drawSample } from '@sluice/images/samples'
import { runExamples } from './page-examples.ts'
import { openStack } from './stack.ts'

const PAGE = resolve(import.meta.dirname, '../../docs/imports.md')

test('the requests over HTTP are answered as the page says', async () => {
  await using opened = new AsyncDisposableStack()
  const stack = opened.use(await openStack('embedded'))
  const directory = await mkdtemp(join(tmpdir(), 'sluice-imports-'))
  opened.defer(() => rm(directory, { recursive: true, force: true }))
  for (const [seed, name] of ['front.png', 'back.png'].entries())
    await writeFile(join(directory, name), await drawSample({ seed, width: 60, height: 40, format: 'png' }))

  const page = (await readFile(PAGE, 'utf8')).split('\n## Over HTTP\n')[1] ?? ''
  const names = { 'http://127.0.0.1:8080': stack.api.url }
  const examples = await runExamples(page, { directory, environment: { TOKEN: stack.token }, names })
  const compared = examples.filter(({ shown }) => shown !== null)
  expect(compared).toHaveLength(5)
  expect(compared.map(({ printed }) => printed)).toEqual(compared.map(({ shown }) => shown))
})
