/** docs/uploads.md: its commands work as they stand, and its answers are those that are given. */
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { expect, test } from 'vitest'
import { drawSample } from '@sluice/images/samples'
import { runExamples } from './page-examples.ts'
import { openStack } from './stack.ts'

const PAGE = resolve(import.meta.dirname, '../../docs/uploads.md')

test('the examples of the page do what they say, each answer being the one that is shown', async () => {
  await using opened = new AsyncDisposableStack()
  const stack = opened.use(await openStack('embedded'))
  const directory = await mkdtemp(join(tmpdir(), 'sluice-uploads-'))
  opened.defer(() => rm(directory, { recursive: true, force: true }))
  await writeFile(join(directory, 'front.jpg'), await drawSample({ seed: 1, width: 300, height: 200, format: 'jpeg' }))

  const names = { 'http://127.0.0.1:8080': stack.api.url }
  const examples = await runExamples(await readFile(PAGE, 'utf8'), { directory, environment: { TOKEN: stack.token }, names })
  const compared = examples.filter(({ shown }) => shown !== null)
  expect(compared).toHaveLength(4)
  for (const { command, printed, shown } of compared) {
    expect([command, JSON.parse(printed)]).toEqual([command, JSON.parse(shown ?? '')])
  }
})
