/** docs/webhooks-out.md: its commands and its receiver work as they stand, and its answers are those that are given. */
import { once } from 'node:events'
import { mkdtemp, readFile, rm, symlink, writeFile } from 'node:fs/promises'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { expect, test } from 'vitest'
import { drawSample } from '@sluice/images/samples'
import { runExamples } from './page-examples.ts'
import { openStack } from './stack.ts'

const PAGE = resolve(import.meta.dirname, '../../docs/webhooks-out.md')

test('the examples of the page do what they say, each answer being the one that is shown', async () => {
  await using opened = new AsyncDisposableStack()
  const port = await freePort()
  const stack = opened.use(await openStack('embedded', { SLUICE_FETCH_ALLOW: `127.0.0.1:${port}` }))
  const directory = await mkdtemp(join(tmpdir(), 'sluice-webhooks-'))
  opened.defer(() => rm(directory, { recursive: true, force: true }))
  await writeFile(join(directory, 'photo.jpg'), await drawSample({ seed: 1, width: 60, height: 40, format: 'jpeg' }))
  // Where a reader would have installed the library.
  await symlink(resolve(import.meta.dirname, '../node_modules'), join(directory, 'node_modules'))

  const names = { 'http://127.0.0.1:8080': stack.api.url, 'https://shop.example.com': `http://127.0.0.1:${port}` }
  const environment = { TOKEN: stack.token, PORT: String(port) }
  const examples = await runExamples(await readFile(PAGE, 'utf8'), { directory, environment, names })
  const compared = examples.filter(({ shown }) => shown !== null)
  expect(compared).toHaveLength(7)
  expect(compared.map(({ printed }) => JSON.parse(printed) as unknown)).toEqual(
    compared.map(({ shown }) => JSON.parse(shown ?? '') as unknown),
  )
  expect(await readFile(join(directory, 'receiver.log'), 'utf8')).toBe('')
})

async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1')
  await once(server, 'listening')
  const address = server.address()
  server.close()
  await once(server, 'close')
  return typeof address === 'object' && address ? address.port : 0
}
