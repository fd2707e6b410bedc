/** Sluice as a user starts it: in a process of its own, which a test may kill. */
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtemp, readdir, rm } from 'node:fs/promises'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { afterEach, expect, vi } from 'vitest'
import { type Api, apiOf } from './api.ts'

const SLUICE = resolve(import.meta.dirname, '../../services/cli/src/main.ts')

/** What a test has started or made; undone after it, last first. */
let cleanup: AsyncDisposableStack | null = null
afterEach(async () => {
  const stack = cleanup
  cleanup = null
  await stack?.disposeAsync()
})

export interface Process {
  readonly child: ChildProcess
  readonly output: () => string
  readonly exit: () => Promise<number | string>
}

export function run(args: readonly string[], environment: Record<string, string>): Process {
  const child = spawn(process.execPath, [SLUICE, ...args], {
    env: { PATH: process.env['PATH'], SLUICE_LOG_LEVEL: 'fatal', ...environment },
  })
  const texts: string[] = []
  for (const stream of [child.stdout, child.stderr]) stream.on('data', (text) => void texts.push(String(text)))
  const exited = once(child, 'exit')
  ;(cleanup ??= new AsyncDisposableStack()).defer(async () => {
    child.kill('SIGKILL')
    await exited
  })
  return {
    child,
    output: () => texts.join(''),
    exit: async () => {
      const [code, signal] = await exited
      return code ?? signal
    },
  }
}

export async function environment(): Promise<Record<string, string>> {
  const dataDir = await mkdtemp(join(tmpdir(), 'sluice-up-'))
  ;(cleanup ??= new AsyncDisposableStack()).defer(() => removeDirectory(dataDir))
  const [http, console] = [await freePort(), await freePort()]
  return { SLUICE_DATA_DIR: dataDir, SLUICE_HTTP_PORT: String(http), SLUICE_CONSOLE_PORT: String(console) }
}

/** A database server whose owner was killed ends a little later, and writes until then. */
function removeDirectory(directory: string): Promise<void> {
  return rm(directory, { recursive: true, force: true, maxRetries: 20, retryDelay: 250 })
}

async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1')
  await once(server, 'listening')
  const address = server.address()
  server.close()
  await once(server, 'close')
  return typeof address === 'object' && address ? address.port : 0
}

export async function up(variables: Record<string, string>, ...args: string[]): Promise<{ process: Process; api: Api }> {
  const process = run(['up', ...args], variables)
  await vi.waitFor(() => expect(process.output()).toContain('Ctrl-C stops it.'), { timeout: 60_000, interval: 100 })
  const token = variables['SLUICE_BOOTSTRAP_TOKEN'] ?? /Admin token\s+(\S+)/.exec(process.output())?.[1] ?? ''
  return { process, api: apiOf(`http://127.0.0.1:${variables['SLUICE_HTTP_PORT']}`, token) }
}

/** What is left beside the blobs: bytes that are staged, and what is half written. */
export async function stagedFiles(variables: Record<string, string>): Promise<string[]> {
  const objects = join(variables['SLUICE_DATA_DIR'] ?? '', 'objects')
  const files = (await readdir(objects, { recursive: true, withFileTypes: true })).filter((entry) => entry.isFile())
  return files.map((entry) => join(entry.parentPath, entry.name)).filter((path) => !path.startsWith(join(objects, 'blobs')))
}
