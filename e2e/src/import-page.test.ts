/** docs/imports.md: the commands of `sluice import` work as they stand, and what they say is what is shown. */
import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { delimiter, join, resolve } from 'node:path'
import { expect, test } from 'vitest'
import { drawSample } from '@sluice/images/samples'
import { runExamples } from './page-examples.ts'
import { openStack } from './stack.ts'

const PAGE = resolve(import.meta.dirname, '../../docs/imports.md')
const PROGRAM = resolve(import.meta.dirname, '../../services/cli/src/main.ts')

test('the examples of the command do what they say', async () => {
  await using opened = new AsyncDisposableStack()
  const stack = opened.use(await openStack('embedded'))
  const directory = await mkdtemp(join(tmpdir(), 'sluice-imports-'))
  opened.defer(() => rm(directory, { recursive: true, force: true }))
  await mkdir(join(directory, 'photos'))
  for (const [seed, name] of ['shirt_1.jpg', 'shirt_2.jpg', 'socks_1.jpg'].entries())
    await writeFile(join(directory, 'photos', name), await drawSample({ seed, width: 60, height: 40, format: 'jpeg' }))
  await mkdir(join(directory, 'bin'))
  await writeFile(join(directory, 'bin/sluice'), `#!/bin/sh\nexec '${process.execPath}' '${PROGRAM}' "$@"\n`, { mode: 0o755 })

  const page = (await readFile(PAGE, 'utf8')).split('\n## With the command\n')[1]?.split('\n## ')[0] ?? ''
  const environment = { TOKEN: stack.token, PATH: [join(directory, 'bin'), process.env['PATH']].join(delimiter) }
  const names = { 'http://127.0.0.1:8080': stack.api.url }
  const examples = await runExamples(page, { directory, environment, names, answers: 'text' })
  const compared = examples.filter(({ shown }) => shown !== null)
  expect(compared).toHaveLength(6)
  const plain = (text: string) => withoutChance(text.replaceAll(`${directory}/`, ''))
  expect(compared.map(({ printed }) => plain(printed))).toEqual(compared.map(({ shown }) => plain(shown ?? '')))
})

/** Ids, hashes and times differ from run to run, and with them the widths of columns. */
function withoutChance(text: string): string[] {
  const known = text
    .replace(/[0-9a-f]{8}-[0-9a-f-]{27}/g, '<id>')
    .replace(/[0-9a-f]{64}/g, '<hash>')
    .replace(/\d{4}-\d\d-\d\dT[\d:.]+Z/g, '<time>')
    .replace(/#[0-9a-f]{20}/g, '#<fingerprint>')
  return known
    .trim()
    .split('\n')
    .map((line) => line.trim().replace(/ {2,}/g, '  '))
}
