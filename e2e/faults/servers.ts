/** The servers of a run: each a process of its own that can be killed and comes back on the same port, behind a wire that can break. */
import { createHash } from 'node:crypto'
import { cp, mkdir, readdir, rm, stat } from 'node:fs/promises'
import { connect } from 'node:net'
import { join } from 'node:path'
import { type Child, openChild } from '@sluice/runtime/child'
import { type EmbeddedPostgres, openEmbeddedPostgres, findFreePort } from '@sluice/runtime/embedded-postgres'
import { findOnPath } from '../servers/programs.ts'
import { openTestS3, type TestS3 } from '../servers/s3.ts'
import { openProxy, type Proxy } from './proxy.ts'
import { listBucket, putObject } from './s3-requests.ts'

export interface Postgres extends AsyncDisposable {
  /** Straight to the server, for looking at what is there. */
  readonly url: string
  /** As the services reach it. */
  readonly proxied: string
  readonly proxy: Proxy
  /** Ends all sessions at once and recovers at the next start. */
  restartAtOnce(downMs: number): Promise<void>
}

export async function openPostgres(directory: string): Promise<Postgres> {
  const options = { dataDir: directory, port: await findFreePort(), durable: true }
  let server: EmbeddedPostgres = await openEmbeddedPostgres(options)
  const proxy = await openProxy(options.port)
  const { url } = server
  return {
    url,
    proxied: Object.assign(new URL(url), { port: String(proxy.port) }).href,
    proxy,
    async restartAtOnce(downMs) {
      // What `pg_ctl -m immediate` sends.
      process.kill(server.pid, 'SIGQUIT')
      await server.exited
      await server[Symbol.asyncDispose]()
      await pause(downMs)
      server = await openEmbeddedPostgres(options)
    },
    async [Symbol.asyncDispose]() {
      await proxy[Symbol.asyncDispose]()
      await server[Symbol.asyncDispose]()
    },
  }
}

export interface Redis extends AsyncDisposable {
  readonly proxied: string
  readonly proxy: Proxy
  /** `kill -9`. It comes back with its append-only file, with nothing, or with one that was copied earlier. */
  killAndRestart(comesBack: 'whole' | 'empty' | 'older'): Promise<void>
  /** For `older`. */
  remember(): Promise<void>
  ask(...command: string[]): Promise<string>
}

/** Null when this machine has no `redis-server`. */
export async function openRedis(directory: string): Promise<Redis | null> {
  const command = await findOnPath('redis-server')
  if (command === null) return null
  const [port, data, older] = [await findFreePort(), join(directory, 'data'), join(directory, 'older')]
  await mkdir(data, { recursive: true })
  const start = async () => {
    const settings = { appendonly: 'yes', 'maxmemory-policy': 'noeviction', save: '', bind: '127.0.0.1', port, dir: data }
    const asked = Object.entries(settings).flatMap(([name, value]) => [`--${name}`, String(value)])
    const child = await openChild({ command, arguments: asked, stopSignals: ['SIGTERM'], graceMs: 5_000 })
    await child.untilOutput(/Ready to accept connections/, 20_000)
    return child
  }
  let server: Child = await start()
  const proxy = await openProxy(port)
  return {
    proxied: `redis://127.0.0.1:${proxy.port}`,
    proxy,
    async killAndRestart(comesBack) {
      process.kill(server.pid, 'SIGKILL')
      await server.exited
      if (comesBack !== 'whole') await rm(data, { recursive: true, force: true })
      if (comesBack === 'older' && (await exists(older))) await cp(older, data, { recursive: true })
      await mkdir(data, { recursive: true })
      server = await start()
    },
    async remember() {
      await rm(older, { recursive: true, force: true })
      await cp(data, older, { recursive: true })
    },
    ask: (...words) => askRedis(port, words),
    async [Symbol.asyncDispose]() {
      await proxy[Symbol.asyncDispose]()
      await server[Symbol.asyncDispose]()
    },
  }
}

/** One command as an array of bulk strings; the answer as it comes: `:3\r\n`, `+OK\r\n`. */
async function askRedis(port: number, words: readonly string[]): Promise<string> {
  const { promise, resolve, reject } = Promise.withResolvers<string>()
  const socket = connect(port, '127.0.0.1').setTimeout(5_000, () => reject(new Error('Redis does not answer')))
  socket.on('error', reject).once('data', (bytes) => resolve(String(bytes)))
  socket.write(`*${words.length}\r\n${words.map((word) => `$${Buffer.byteLength(word)}\r\n${word}\r\n`).join('')}`)
  return promise.finally(() => socket.destroy())
}

/** What is stored, by its key: its size, and its digest where that costs little. */
type Listing = ReadonlyMap<string, { readonly bytes: number }>

export interface Objects extends AsyncDisposable {
  readonly environment: Readonly<Record<string, string>>
  /** Null where objects are files. */
  readonly proxy: Proxy | null
  readonly kind: TestS3['kind'] | 'folder'
  list(): Promise<Listing>
  /** Puts bytes at the path of a request to the store. */
  put(path: string, bytes: Uint8Array): Promise<void>
}

export async function openS3(): Promise<Objects> {
  const server = await openTestS3()
  const proxy = await openProxy(server.port)
  return {
    kind: server.kind,
    proxy,
    environment: {
      SLUICE_S3_ENDPOINT: `http://127.0.0.1:${proxy.port}`,
      SLUICE_S3_ACCESS_KEY: server.accessKey,
      SLUICE_S3_SECRET_KEY: server.secretKey,
      SLUICE_S3_BUCKET: BUCKET,
    },
    list: () => listBucket(server, BUCKET),
    put: (path, bytes) => putObject(server, path, bytes),
    async [Symbol.asyncDispose]() {
      await proxy[Symbol.asyncDispose]()
      await server[Symbol.asyncDispose]()
    },
  }
}

const BUCKET = 'faults'

/** As the embedded wiring has them. */
export function folderObjects(directory: string): Objects {
  const root = join(directory, 'objects', 'blobs')
  return {
    kind: 'folder',
    proxy: null,
    environment: {},
    async list() {
      const entries = await filesBelow(root)
      return new Map(await Promise.all(entries.map(async (key) => [key, { bytes: (await stat(join(root, key))).size }] as const)))
    },
    put: () => Promise.reject(new Error('Files are not put by requests.')),
    [Symbol.asyncDispose]: async () => {},
  }
}

/** Paths below a directory, with slashes; none when it is not there. */
export async function filesBelow(root: string): Promise<string[]> {
  const entries = await readdir(root, { recursive: true, withFileTypes: true }).catch(() => [])
  return entries.filter((entry) => entry.isFile()).map((entry) => join(entry.parentPath, entry.name).slice(root.length + 1))
}

export function sha256(bytes: Uint8Array): string {
  return createHash('sha256').update(bytes).digest('hex')
}

export function pause(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms))
}

async function exists(path: string): Promise<boolean> {
  return stat(path).then(
    () => true,
    () => false,
  )
}
