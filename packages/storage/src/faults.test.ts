import type { Objects } from '@sluice/core'
import { SluiceError } from '@sluice/core'
import { randomBytes, randomUUID } from 'node:crypto'
import { mkdtemp, readdir, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as wait } from 'node:timers/promises'
import { Client } from 'minio'
import { afterAll, beforeEach, describe, expect, inject, it } from 'vitest'
import type { Fault, FaultServer } from './fault-server.ts'
import { openFaultServer } from './fault-server.ts'
import { openMinioObjects } from './minio.ts'

const MIB = 1024 * 1024
const IDLE_MS = 600
const CALM = new AbortController().signal
const { kind, endPoint, port, accessKey, secretKey } = inject('s3')
const credentials = { accessKey, secretKey, region: 'us-east-1' }
const client = new Client({ endPoint, port, useSSL: false, ...credentials })

const dir = await mkdtemp(join(tmpdir(), 'sluice-faults-'))
// What is left behind there can be counted: this is the only process that uses it.
process.env['TMPDIR'] = dir
afterAll(() => rm(dir, { recursive: true, force: true }))

const server = await openFaultServer({ host: endPoint, port })
const [bucket, staging] = [newBucket(), newBucket()]
const objects = await openMinioObjects(optionsFor(server.endpoint, { kind: 'bucket', bucket: staging }))
const onVolume = await openMinioObjects(optionsFor(server.endpoint, { kind: 'volume', dir: join(dir, 'volume') }))
afterAll(async () => {
  await objects[Symbol.asyncDispose]()
  await onVolume[Symbol.asyncDispose]()
  await server[Symbol.asyncDispose]()
})
beforeEach(() => {
  server.fault = () => null
  server.seen.length = 0
})

const CALLS: readonly (readonly [string, (objects: Objects) => Promise<unknown>])[] = [
  ['stage', (objects) => objects.stage(newKey(), chunksOf(randomBytes(10)), CALM)],
  ['checkOut', (objects) => objects.checkOut(newKey(), CALM)],
  ['unstage', (objects) => objects.unstage(newKey())],
  ['listStaged', (objects) => objects.listStaged(new Date(), 10)],
  ['putBlob', (objects) => objects.putBlob(newKey(), randomBytes(10), 'image/png', CALM)],
  ['statBlob', (objects) => objects.statBlob(newKey())],
  ['readBlob', (objects) => objects.readBlob(newKey(), null, CALM)],
  ['ping', (objects) => objects.ping()],
]

describe('a server in trouble', () => {
  it.each(CALLS)('that is silent makes %s an outage', async (_name, call) => {
    server.fault = always({ kind: 'silence' })
    await expect(call(objects)).rejects.toMatchObject({ code: 'service_unavailable' })
  })

  it.each(CALLS)('that answers 503 makes %s an outage', async (_name, call) => {
    server.fault = always({ kind: 'answer', status: 503, body: '<Error><Code>SlowDown</Code></Error>' })
    await expect(call(objects)).rejects.toMatchObject({ code: 'service_unavailable' })
  })

  it.each(CALLS)('that refuses us makes %s an outage', async (_name, call) => {
    server.fault = always({ kind: 'answer', status: 403, body: '<Error><Code>InvalidAccessKeyId</Code></Error>' })
    await expect(call(objects)).rejects.toMatchObject({ code: 'service_unavailable' })
  })

  it.each(CALLS)('that drops connections makes %s an outage', async (_name, call) => {
    server.fault = always({ kind: 'reset' })
    await expect(call(objects)).rejects.toMatchObject({ code: 'service_unavailable' })
  })

  it('tells the caller neither its address nor the key, and the log why', async () => {
    server.fault = always({ kind: 'answer', status: 500, body: '<Error><Code>InternalError</Code></Error>' })
    const error: unknown = await objects.statBlob('secret-key').catch((error: unknown) => error)
    if (!SluiceError.is(error)) throw new Error('Not an error of ours')
    expect(error.message).not.toMatch(/127|localhost|secret-key/)
    expect(error.cause).toMatchObject({ status: 500 })
  })

  it.each([{ kind: 'answer', status: 503 }, { kind: 'answer', status: 500 }, { kind: 'reset' }] as const)(
    'is asked again after a passing %j',
    async (fault) => {
      const [key, bytes] = [newKey(), randomBytes(MIB)]
      server.fault = first(2, fault)
      await objects.stage(key, chunksOf(bytes), CALM)
      server.fault = () => null
      await using copy = await objects.checkOut(key, CALM)
      expect(copy?.bytes).toBe(MIB)
    },
  )

  it('is asked three times and no more', async () => {
    server.fault = always({ kind: 'answer', status: 500 })
    await expect(objects.putBlob(newKey(), randomBytes(10), 'image/png', CALM)).rejects.toMatchObject({
      code: 'service_unavailable',
    })
    expect(server.seen).toHaveLength(3)
  })
})

describe('a server without room', () => {
  const full: Fault = { kind: 'answer', status: 507, body: '<Error><Code>XMinioStorageFull</Code></Error>' }

  it.each([10, 200_000])('is told apart from one that is away, for %i bytes', async (size) => {
    server.fault = always(full)
    await expect(objects.stage(newKey(), chunksOf(randomBytes(size)), CALM)).rejects.toMatchObject({ code: 'storage_full' })
    await expect(objects.putBlob(newKey(), randomBytes(size), 'image/png', CALM)).rejects.toMatchObject({ code: 'storage_full' })
  })

  it('may say so while copying', async () => {
    const key = newKey()
    await objects.stage(key, chunksOf(randomBytes(10)), CALM)
    await using copy = (await objects.checkOut(key, CALM)) ?? never()
    server.fault = (request) => (request.method === 'PUT' ? full : null)
    await expect(objects.promote(key, copy, newKey(), 'image/png', CALM)).rejects.toMatchObject({ code: 'storage_full' })
  })
})

describe('bytes that do not arrive as they were sent', () => {
  it('are an outage when the answer is cut off, and leave no copy behind', async () => {
    const key = newKey()
    await objects.stage(key, chunksOf(randomBytes(MIB)), CALM)
    server.fault = always({ kind: 'cut', afterBytes: 64 * 1024 })
    await expect(objects.checkOut(key, CALM)).rejects.toMatchObject({ code: 'service_unavailable' })
    expect(await temporaryFiles()).toEqual([])
  })

  it('are an outage in the middle of a blob', async () => {
    const key = newKey()
    await objects.putBlob(key, randomBytes(MIB), 'image/png', CALM)
    server.fault = always({ kind: 'cut', afterBytes: 64 * 1024 })
    const blob = (await objects.readBlob(key, null, CALM)) ?? never()
    await expect(readAll(blob)).rejects.toMatchObject({ code: 'service_unavailable' })
  })

  it.skipIf(kind !== 'minio')('are refused by the server, which knows their hash', async () => {
    const [key, blobKey] = [newKey(), newKey()]
    await onVolume.stage(key, chunksOf(randomBytes(MIB)), CALM)
    await using copy = (await onVolume.checkOut(key, CALM)) ?? never()
    server.fault = (request) => (request.method === 'PUT' ? { kind: 'damage' } : null)
    await expect(onVolume.promote(key, copy, blobKey, 'image/png', CALM)).rejects.toMatchObject({ code: 'bytes_damaged' })
    expect(await onVolume.statBlob(blobKey)).toBeNull()
  })

  it('are not taken for stored because the server says so', async () => {
    server.fault = (request) => (request.method === 'PUT' ? { kind: 'answer', status: 200 } : null)
    await expect(objects.putBlob(newKey(), randomBytes(10), 'image/webp', CALM)).rejects.toMatchObject({ code: 'bytes_damaged' })
  })

  it('do not become a blob when a copy fails behind a 200', async () => {
    const key = newKey()
    await objects.stage(key, chunksOf(randomBytes(10)), CALM)
    await using copy = (await objects.checkOut(key, CALM)) ?? never()
    const body = '<?xml version="1.0"?><Error><Code>InternalError</Code></Error>'
    server.fault = (request) => (request.method === 'PUT' ? { kind: 'answer', status: 200, body } : null)
    await expect(objects.promote(key, copy, newKey(), 'image/png', CALM)).rejects.toMatchObject({ code: 'service_unavailable' })
  })

  it('are not taken for a range when the server ignores the range', async () => {
    server.fault = always({ kind: 'answer', status: 200, body: 'everything' })
    await expect(objects.readBlob(newKey(), { start: 2, end: 3 }, CALM)).rejects.toMatchObject({ code: 'service_unavailable' })
  })
})

describe('slowness', () => {
  it('of a reader is borne', async () => {
    const [key, bytes] = [newKey(), randomBytes(8 * MIB)]
    await objects.putBlob(key, bytes, 'image/png', CALM)
    const chunks: Uint8Array[] = []
    for await (const chunk of (await objects.readBlob(key, null, CALM)) ?? never()) {
      if (chunks.length === 1) await wait(3 * IDLE_MS)
      chunks.push(chunk)
    }
    expect(bytes.equals(Buffer.concat(chunks))).toBe(true)
  })

  it('of 64 readers keeps no upload waiting, and the next reader may give up', async () => {
    const [key, abortion] = [newKey(), new AbortController()]
    await using direct = await openMinioObjects({
      ...optionsFor(`http://${endPoint}:${port}`, { kind: 'bucket', bucket: staging }),
      idleMsMax: 15_000,
    })
    await direct.putBlob(key, randomBytes(8 * MIB), 'image/png', CALM)
    const readers = await Promise.all(Array.from({ length: 64 }, () => direct.readBlob(key, null, abortion.signal)))
    await direct.stage(newKey(), chunksOf(randomBytes(10)), AbortSignal.timeout(10_000))
    expect(readers).not.toContain(null)
    const [reason, impatient] = [new Error('enough'), new AbortController()]
    const queued = direct.readBlob(key, null, impatient.signal)
    setImmediate(() => impatient.abort(reason))
    await expect(queued).rejects.toBe(reason)
    abortion.abort()
  })

  it.each([
    ['an upload', () => objects.stage(newKey(), chunksOf(randomBytes(8 * MIB)), CALM)],
    ['a blob', () => objects.putBlob(newKey(), randomBytes(8 * MIB), 'image/png', CALM)],
  ])('without end of %s is an outage', async (_name, call) => {
    server.fault = always({ kind: 'silence' })
    await expect(call()).rejects.toMatchObject({ code: 'service_unavailable' })
  })

  it.each(['stage', 'putBlob', 'promote'] as const)(
    'of %s ends at once with an abortion, and nothing is there',
    async (method) => {
      const [key, bytes, reason, abortion] = [newKey(), randomBytes(8 * MIB), new Error('enough'), new AbortController()]
      await onVolume.stage(key, chunksOf(bytes), CALM)
      await using copy = (await onVolume.checkOut(key, CALM)) ?? never()
      server.fault = (request) => {
        if (request.method !== 'PUT') return null
        setImmediate(() => abortion.abort(reason))
        return { kind: 'silence' }
      }
      const calls = {
        stage: () => objects.stage(key, chunksOf(bytes), abortion.signal),
        putBlob: () => objects.putBlob(key, bytes, 'image/png', abortion.signal),
        promote: () => onVolume.promote(key, copy, key, 'image/png', abortion.signal),
      }
      await expect(calls[method]()).rejects.toBe(reason)
      server.fault = () => null
      expect(await objects.checkOut(key, CALM)).toBeNull()
      expect(await objects.statBlob(key)).toBeNull()
      expect(await temporaryFiles()).toEqual([])
    },
  )
})

describe('the start', () => {
  it('makes a bucket once for five who open at once', async () => {
    const options = { ...optionsFor(server.endpoint, { kind: 'bucket', bucket: newBucket() }), bucket: newBucket() }
    const opened = await Promise.all(Array.from({ length: 5 }, () => openMinioObjects(options)))
    for (const each of opened) {
      await each.ping()
      await each[Symbol.asyncDispose]()
    }
    expect(await client.bucketExists(options.bucket)).toBe(true)
  })

  it('waits for a server that comes late', async () => {
    server.fault = first(2, { kind: 'answer', status: 503 })
    await using late = await openMinioObjects({ ...optionsFor(server.endpoint, volume()), startMsMax: 10_000 })
    await expect(late.ping()).resolves.toBeUndefined()
  })

  it('does not wait for ever', async () => {
    const gone = await openFaultServer({ host: endPoint, port })
    await gone[Symbol.asyncDispose]()
    const opening = openMinioObjects({ ...optionsFor(gone.endpoint, volume()), startMsMax: 700 })
    await expect(opening).rejects.toMatchObject({ code: 'service_unavailable' })
  })

  it('is noticed to be over by a ping when the bucket goes away', async () => {
    const options = { ...optionsFor(server.endpoint, volume()), bucket: newBucket() }
    await using opened = await openMinioObjects(options)
    await client.removeBucket(options.bucket)
    await expect(opened.ping()).rejects.toMatchObject({ code: 'service_unavailable' })
    await expect(opened.putBlob(newKey(), randomBytes(1), 'image/png', CALM)).rejects.toMatchObject({
      code: 'service_unavailable',
    })
  })
})

type Options = Parameters<typeof openMinioObjects>[0]

function optionsFor(endpoint: string, staging: Options['staging']): Options {
  return { ...credentials, endpoint, bucket, staging, idleMsMax: IDLE_MS, startMsMax: 0 }
}

function volume(): Options['staging'] {
  return { kind: 'volume', dir: join(dir, randomUUID()) }
}

function always(fault: Fault): FaultServer['fault'] {
  return () => fault
}

function first(times: number, fault: Fault): FaultServer['fault'] {
  let count = 0
  return () => ((count += 1) <= times ? fault : null)
}

function newKey(): string {
  return `faults/${randomUUID()}`
}

function newBucket(): string {
  return `faults-${randomBytes(8).toString('hex')}`
}

async function* chunksOf(bytes: Uint8Array): AsyncGenerator<Uint8Array, void, undefined> {
  for (let at = 0; at < bytes.length; at += 60_000) yield bytes.subarray(at, at + 60_000)
}

async function readAll(bytes: AsyncIterable<Uint8Array>): Promise<Buffer> {
  const chunks: Uint8Array[] = []
  for await (const chunk of bytes) chunks.push(chunk)
  return Buffer.concat(chunks)
}

/** What lies in the scratch directory. */
async function temporaryFiles(): Promise<string[]> {
  const names = await readdir(dir)
  const scratch = names.find((name) => name.startsWith('sluice-objects-'))
  return scratch === undefined ? [] : readdir(join(dir, scratch))
}

function never(): never {
  throw new Error('There should be something')
}
