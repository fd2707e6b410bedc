import { type ChildProcess, execFileSync, spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync } from 'node:fs'
import { mkdtemp, rm } from 'node:fs/promises'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { delimiter, join, resolve } from 'node:path'
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest'

const ROOT = resolve(import.meta.dirname, '../..')

/** PATH as it was before pnpm put this repository's programs, its Node among them, in front. */
const bare = (process.env['PATH'] ?? '')
  .split(delimiter)
  .filter((directory) => !directory.includes('node_modules') && !directory.includes('pnpm'))
const npx = bare.map((directory) => join(directory, 'npx')).find((path) => existsSync(path))

/** The README's first command, in a clone of what is committed, on a machine with nothing but Node and npm. */
describe.skipIf(!npx || !existsSync(join(ROOT, '.git')))('the first five minutes (skipped without npx or git history)', () => {
  const stack = new AsyncDisposableStack()
  let clone: string
  let variables: Record<string, string | undefined>

  beforeAll(async () => {
    clone = await mkdtemp(join(tmpdir(), 'sluice-clone-'))
    stack.defer(() => rm(clone, { recursive: true, force: true }))
    execFileSync('git', ['clone', '--quiet', ROOT, clone])
    const [http, console] = [await freePort(), await freePort()]
    variables = {
      PATH: bare.join(delimiter),
      HOME: process.env['HOME'],
      SLUICE_HTTP_PORT: http,
      SLUICE_CONSOLE_PORT: console,
    }
  })
  afterAll(() => stack.disposeAsync())

  test('one command installs, starts, shows what it does, and a pasted curl line answers', async () => {
    const started = start('start')
    await vi.waitFor(() => expect(started.output()).toMatch(/Ctrl-C stops it\.|ELIFECYCLE/), { timeout: 240_000, interval: 500 })
    const output = started.output()
    expect(output).toContain(`Sluice is ready at http://127.0.0.1:${variables['SLUICE_HTTP_PORT']}`)
    expect(output).toMatch(/demo +image_3 +file id/)
    const pasted = execFileSync('sh', ['-c', /curl .*/.exec(output)?.[0] ?? 'false'], { encoding: 'utf8' })
    expect((JSON.parse(pasted) as { images: unknown[] }).images).toHaveLength(5)
    await started.stop()
  }, 300_000)

  /** In a process group of its own, so that it can be stopped as Ctrl-C stops it: all of it at once. */
  function start(script: string): { output: () => string; stop: () => Promise<void> } {
    const child: ChildProcess = spawn(npx ?? '', ['-y', 'pnpm@12.21.0', script], { cwd: clone, env: variables, detached: true })
    const texts: string[] = []
    child.stdout?.on('data', (text) => void texts.push(String(text)))
    child.stderr?.on('data', (text) => void texts.push(String(text)))
    const closed = once(child, 'close')
    const signal = (name: NodeJS.Signals) => {
      if (child.exitCode === null && child.signalCode === null && child.pid) process.kill(-child.pid, name)
    }
    stack.defer(async () => {
      signal('SIGKILL')
      await closed
    })
    return {
      output: () => texts.join(''),
      stop: async () => {
        signal('SIGINT')
        await closed
      },
    }
  }
})

async function freePort(): Promise<string> {
  const server = createServer().listen(0, '127.0.0.1')
  await once(server, 'listening')
  const address = server.address()
  server.close()
  await once(server, 'close')
  return String(typeof address === 'object' && address ? address.port : 0)
}
