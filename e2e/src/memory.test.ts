import { spawn, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { createServer } from 'node:net'
import { readFile } from 'node:fs/promises'
import { request } from 'node:http'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { Readable } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import { afterAll, beforeAll, describe, expect, inject, test, vi } from 'vitest'
import { createTestDatabase } from '@sluice/database/testing'
import { hashToken } from '@sluice/core'
import { openDatabase } from '@sluice/database'
import { wires, RUNNABLE, WIRINGS } from './stack.ts'

const INTAKE = resolve(import.meta.dirname, '../../services/intake/src/main.ts')
const UPLOADS = 16
const FILE_BYTES = 50 * 1024 * 1024
const RSS_BYTES_MAX = 300 * 1024 * 1024
const TOKEN = 'memory-test-token-of-some-length'

/**
 * The intake runs as a process of its own, as in production, with Node's default heap. Its peak is VmHWM of /proc: the most
 * memory that it ever had resident, kept by the kernel, so no sample can miss it.
 */
describe.runIf(process.platform === 'linux').each(WIRINGS)(
  'memory of the intake under sixteen uploads of 50 MiB at once, %s',
  (wiring) => {
    // The stand-in for S3 keeps objects in the memory of this process: 800 MiB at a time are beyond it.
    const isRunnable =
      RUNNABLE.includes(wiring) && (wiring !== 'production with a staging bucket' || inject('s3').kind === 'minio')
    const run = isRunnable ? test : test.skip
    const stack = new AsyncDisposableStack()
    let port: number
    let process_: ChildProcess
    let product: string

    beforeAll(async () => {
      if (!isRunnable) return
      const dataDir = await mkdtemp(join(tmpdir(), 'sluice-memory-'))
      stack.defer(() => rm(dataDir, { recursive: true, force: true }))
      const testDatabase = stack.use(await createTestDatabase(inject('postgresUrl')))
      product = await prepare(testDatabase.url)
      const [httpPort, opsPort] = await Promise.all([freePort(), freePort()])
      port = httpPort
      process_ = spawn(process.execPath, [INTAKE], {
        env: {
          PATH: process.env['PATH'],
          SLUICE_DATA_DIR: dataDir,
          SLUICE_DATABASE_URL: testDatabase.url,
          SLUICE_SECRET_KEY: 'a-secret-key-for-nothing-but-tests',
          SLUICE_HTTP_PORT: String(httpPort),
          SLUICE_OPS_PORT: String(opsPort),
          ...wires(wiring, dataDir),
        },
        stdio: ['ignore', 'ignore', 'inherit'],
      })
      stack.defer(async () => {
        process_.kill('SIGTERM')
        if (process_.exitCode === null) await once(process_, 'exit')
      })
      await vi.waitFor(async () => expect((await fetch(`http://127.0.0.1:${opsPort}/ready`)).status).toBe(200), {
        timeout: 30_000,
      })
    })
    afterAll(() => stack.disposeAsync())

    run(
      'stays below 300 MiB by multipart',
      async () => {
        const statuses = await Promise.all(Array.from({ length: UPLOADS }, () => upload(multipart())))
        expect(statuses).toEqual(statuses.map(() => 202))
        await checkPeak('multipart')
      },
      300_000,
    )

    run(
      'stays below 300 MiB by base64',
      async () => {
        const statuses = await Promise.all(Array.from({ length: UPLOADS }, () => upload(base64())))
        expect(statuses).toEqual(statuses.map(() => 202))
        await checkPeak('base64')
      },
      300_000,
    )

    async function checkPeak(form: string): Promise<void> {
      const peak = await peakBytes(process_.pid ?? 0)
      process.stdout.write(`peak RSS of the intake, ${wiring}, up to and with ${form}: ${Math.round(peak / 1024 / 1024)} MiB\n`)
      expect(peak).toBeLessThan(RSS_BYTES_MAX)
    }

    /** Sent as it is made, so that this process holds no file either. */
    async function upload({ type, body, bytes }: Upload): Promise<number> {
      const headers = { authorization: `Bearer ${TOKEN}`, 'content-type': type, 'content-length': bytes }
      const sent = request({ port, host: '127.0.0.1', method: 'POST', path: `/v1/products/${product}/images`, headers })
      const answered = once(sent, 'response')
      await pipeline(Readable.from(body), sent)
      const [response] = await answered
      response.resume()
      return response.statusCode
    }
  },
)

interface Upload {
  readonly type: string
  readonly bytes: number
  readonly body: Iterable<Uint8Array>
}

/** A JPEG as far as the intake looks: its signature and a long comment. The worker, which would refuse it, does not run. */
function* jpegBytes(): Iterable<Uint8Array> {
  const chunk = Buffer.alloc(64 * 1024, 0x20)
  const head = Buffer.from(chunk)
  head.set([0xff, 0xd8, 0xff, 0xfe, 0xff, 0xfe])
  yield head
  for (let sent = chunk.length; sent < FILE_BYTES; sent += chunk.length) yield chunk
}

function multipart(): Upload {
  const before = Buffer.from(
    '--b\r\ncontent-disposition: form-data; name="file"; filename="a.jpg"\r\ncontent-type: image/jpeg\r\n\r\n',
  )
  const after = Buffer.from('\r\n--b\r\ncontent-disposition: form-data; name="label"\r\n\r\nx\r\n--b--\r\n')
  return {
    type: 'multipart/form-data; boundary=b',
    bytes: before.length + FILE_BYTES + after.length,
    body: around(before, jpegBytes(), after),
  }
}

function base64(): Upload {
  const before = Buffer.from('{"file":{"base64":"')
  const after = Buffer.from('","media_type":"image/jpeg"},"label":"x"}')
  return {
    type: 'application/json',
    bytes: before.length + 4 * Math.ceil(FILE_BYTES / 3) + after.length,
    body: around(before, encoded(), after),
  }
}

function* around(before: Uint8Array, bytes: Iterable<Uint8Array>, after: Uint8Array): Iterable<Uint8Array> {
  yield before
  yield* bytes
  yield after
}

function* encoded(): Iterable<Uint8Array> {
  let rest = Buffer.alloc(0)
  for (const chunk of jpegBytes()) {
    const bytes = Buffer.concat([rest, chunk])
    const whole = bytes.length - (bytes.length % 3)
    yield Buffer.from(bytes.subarray(0, whole).toString('base64'))
    rest = bytes.subarray(whole)
  }
  if (rest.length > 0) yield Buffer.from(rest.toString('base64'))
}

/** A token and a product, straight in the database: no console and no worker runs here. */
async function prepare(url: string): Promise<string> {
  await using database = await openDatabase({ url, poolMax: 2, applicationName: 'test' })
  const { createToken, defaultTenant } = await import('@sluice/runtime')
  const tenantId = await defaultTenant(database)
  const { record } = await createToken(database, tenantId, { name: 'memory', role: 'writer', expiresAt: null }, TOKEN)
  expect(hashToken(TOKEN)).toHaveLength(64)
  const id = crypto.randomUUID()
  await database.products.create({ id: id as never, tenantId: record.tenantId, sku: 'memory', title: null })
  return id
}

async function peakBytes(pid: number): Promise<number> {
  const status = await readFile(`/proc/${pid}/status`, 'utf8')
  return Number(/VmHWM:\s+(\d+) kB/.exec(status)?.[1]) * 1024
}

async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1')
  await once(server, 'listening')
  const address = server.address()
  server.close()
  return typeof address === 'object' && address ? address.port : 0
}
