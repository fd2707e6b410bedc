import { type IngestJob, type JobHandler, SluiceError } from '@sluice/core'
import { ingestJobs } from '@sluice/core/testing'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { describe, expect, inject, test, vi } from 'vitest'
import type { QueueConnection } from './connection.ts'
import { type IngestQueue, openQueue } from './open-queue.ts'
import { openFaultProxy } from './testing/fault-proxy.ts'
import { newNamespace, openTestDatabase, through } from './testing/places.ts'
import { openRedisServer } from './testing/redis-server.ts'

const redisUrl = inject('redisUrl')

/** Short, so that what takes seconds of silence does not take a minute here. The silence is longer than the idle look. */
const TIMING = {
  produceMsMax: 1_000,
  silenceMsMax: 3_000,
  idleLookMs: 1_000,
  settleMsMax: 1_000,
  reconnectMsMax: 200,
  lockMs: 2_000,
  stalledCheckMs: 500,
}

type Use = (connection: QueueConnection) => Promise<void>

describe('outages of Postgres', () => {
  outageTests(async (use) => {
    await using database = await openTestDatabase(inject('postgresUrl'))
    await use({ kind: 'postgres', url: database.url })
  })
})

describe.skipIf(redisUrl === null)('outages of Redis', () => {
  outageTests((use) => use({ kind: 'redis', url: redisUrl ?? '', namespace: newNamespace() }))

  test('loses nothing when Redis is killed and starts again', async () => {
    await using redis = await openRedisServer()
    await using queue = await openQueue({ kind: 'redis', url: redis.url }, { timing: TIMING })
    const { seen, handler } = noting()
    queue.consume(handler, { concurrency: 4 })
    const jobs = ingestJobs(600)
    await addAll(queue, jobs.slice(0, 200))
    const rest = addAll(queue, jobs.slice(200))
    await redis.kill()
    await expectUnavailable(queue)
    await redis.start()
    await rest
    await eventually(() => expect(jobs.filter((job) => !seen.has(job.ingestId))).toEqual([]))
    await eventually(async () => expect(await queue.counts()).toMatchObject({ waiting: 0, active: 0, delayed: 0, failed: 0 }))
  })
})

function outageTests(withConnection: (use: Use) => Promise<void>): void {
  test('fails fast while the server is away, and goes on by itself when it is back', () =>
    withConnection(async (connection) => {
      await using proxy = await openFaultProxy(connection.url)
      await using queue = await openQueue(through(connection, proxy.port), { timing: TIMING })
      const { seen, handler } = noting()
      queue.consume(handler, { concurrency: 4 })
      const jobs = ingestJobs(600)
      await addAll(queue, jobs.slice(0, 200))
      const rest = addAll(queue, jobs.slice(200))
      await proxy.down()
      await expectUnavailable(queue)
      await proxy.up()
      await rest
      await eventually(() => expect(jobs.filter((job) => !seen.has(job.ingestId))).toEqual([]))
    }))

  test('notices a connection that has gone silent, and goes on by another', () =>
    withConnection(async (connection) => {
      await using proxy = await openFaultProxy(connection.url)
      await using queue = await openQueue(through(connection, proxy.port), { timing: TIMING })
      const { seen, handler } = noting()
      queue.consume(handler, { concurrency: 2 })
      const jobs = ingestJobs(40)
      await addAll(queue, jobs.slice(0, 20))
      await eventually(() => expect(seen.size).toBe(20))
      proxy.silence()
      await expectUnavailable(queue)
      await addAll(queue, jobs.slice(20))
      await eventually(() => expect(jobs.filter((job) => !seen.has(job.ingestId))).toEqual([]))
    }))

  test('starts before its server does', () =>
    withConnection(async (connection) => {
      await using proxy = await openFaultProxy(connection.url)
      await proxy.down()
      const errors: unknown[] = []
      const onError = (error: unknown) => errors.push(error)
      await using queue = await openQueue(through(connection, proxy.port), { timing: TIMING, onError })
      const { seen, handler } = noting()
      queue.consume(handler, { concurrency: 2 })
      await expectUnavailable(queue)
      expect(errors).not.toEqual([])
      await proxy.up()
      await addAll(queue, ingestJobs(10))
      await eventually(() => expect(seen.size).toBe(10))
    }))

  test('stops while the server is away', () =>
    withConnection(async (connection) => {
      await using proxy = await openFaultProxy(connection.url)
      await using queue = await openQueue(through(connection, proxy.port), { timing: TIMING })
      const { seen, handler } = noting()
      const consumer = queue.consume(handler, { concurrency: 2 })
      await addAll(queue, ingestJobs(1))
      await eventually(() => expect(seen.size).toBe(1))
      await proxy.down()
      await consumer.stop(100)
    }))

  test('gives the job of a killed process to another', () =>
    withConnection(async (connection) => {
      await using queue = await openQueue(connection, { timing: TIMING })
      const [job] = ingestJobs(1)
      await queue.add([job!])
      const file = new URL('testing/hanging-consumer.ts', import.meta.url)
      const child = spawn(process.execPath, [file.pathname, JSON.stringify({ connection, timing: TIMING })], {
        stdio: ['ignore', 'pipe', 'inherit'],
      })
      try {
        const [line] = await once(child.stdout, 'data')
        expect(String(line).trim()).toBe(job!.ingestId)
      } finally {
        child.kill('SIGKILL')
      }
      const { seen, handler } = noting()
      queue.consume(handler, { concurrency: 1 })
      await eventually(async () => expect(await queue.counts()).toMatchObject({ completed: 1, active: 0 }))
      expect([...seen]).toEqual([job!.ingestId])
    }))
}

/** A handler that notes whom it has seen: once or more often, as an outage may have it. */
function noting(): { seen: Set<string>; handler: JobHandler } {
  const seen = new Set<string>()
  const handler: JobHandler = async (job) => {
    seen.add(job.ingestId)
    return { kind: 'done', note: 'committed' }
  }
  return { seen, handler }
}

/** Adds them one by one as the relay would: what could not be added is tried again. */
async function addAll(queue: IngestQueue, jobs: readonly IngestJob[]): Promise<void> {
  for (const job of jobs) await vi.waitFor(() => queue.add([job]), { timeout: 20_000, interval: 50 })
}

async function expectUnavailable(queue: IngestQueue): Promise<void> {
  const error = await queue.add(ingestJobs(1)).catch((error: unknown) => error)
  expect(SluiceError.is(error, 'service_unavailable')).toBe(true)
}

function eventually(check: () => void | Promise<void>): Promise<void> {
  return vi.waitFor(check, { timeout: 25_000, interval: 25 })
}
