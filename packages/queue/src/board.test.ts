import type { ErrorCode, JobHandler } from '@sluice/core'
import { ingestJobs } from '@sluice/core/testing'
import fastify, { type FastifyInstance } from 'fastify'
import { describe, expect, inject, test, vi } from 'vitest'
import { jobPath, openBoard } from './board.ts'
import type { Replay } from './board-retry.ts'
import type { QueueConnection } from './connection.ts'
import { openQueue } from './open-queue.ts'
import { newNamespace, openTestDatabase } from './testing/places.ts'

const redisUrl = inject('redisUrl')

describe('the board on Postgres', () => {
  boardTests(async (use) => {
    await using database = await openTestDatabase(inject('postgresUrl'))
    await use({ kind: 'postgres', url: database.url })
  })
})

describe.skipIf(redisUrl === null)('the board on Redis', () => {
  boardTests((use) => use({ kind: 'redis', url: redisUrl ?? '', namespace: newNamespace() }))
})

async function openApp(connection: QueueConnection, replay: Replay = async () => ({ refused: [] })) {
  const app = fastify()
  await app.register(openBoard({ connection, basePath: '/queues', ingestUrl: (id) => `/ingests/${id}`, replay }))
  return Object.assign(app, { [Symbol.asyncDispose]: () => app.close() })
}

async function getJson(app: FastifyInstance, url: string): Promise<unknown> {
  const answer = await app.inject({ url })
  expect(answer.statusCode).toBe(200)
  return answer.json()
}

function boardTests(withConnection: (use: (connection: QueueConnection) => Promise<void>) => Promise<void>): void {
  test('shows the queue by its name, and with each job the way to its ingest', () =>
    withConnection(async (connection) => {
      await using queue = await openQueue(connection)
      const [job] = ingestJobs(1)
      await queue.add([job!])
      await using app = await openApp(connection)
      const page = await app.inject({ url: '/queues' })
      expect(page.statusCode).toBe(200)
      expect(page.body).toContain('<title>Sluice')
      expect(await getJson(app, '/queues/api/queues?activeQueue=ingest&status=waiting&page=1&jobsPerPage=10')).toMatchObject({
        queues: [
          {
            name: 'ingest',
            displayName: 'Ingest',
            description: expect.stringContaining('one ingest'),
            counts: { waiting: 1 },
            jobs: [
              {
                id: `${job!.ingestId}-1`,
                data: { ingestId: job!.ingestId, epoch: 1 },
                externalUrl: { displayText: 'Ingest', href: `/ingests/${job!.ingestId}` },
              },
            ],
          },
        ],
      })
      expect(jobPath('/queues', job!)).toBe(`/queues/queue/ingest/${job!.ingestId}-1`)
      expect((await app.inject({ url: jobPath('/queues', job!) })).body).toContain('<title>Sluice')
      expect(await getJson(app, '/queues/api/redis/stats')).toMatchObject({ backend: connection.kind })
    }))

  test('tells why a job was put off, and promotes it', () =>
    withConnection(async (connection) => {
      await using queue = await openQueue(connection)
      const [job] = ingestJobs(1)
      let starts = 0
      const again = { kind: 'again', waitMs: 600_000, note: 'the store is away' } as const
      queue.consume(async () => (++starts === 1 ? again : { kind: 'done', note: 'committed' }), { concurrency: 1 })
      await queue.add([job!])
      await vi.waitFor(async () => expect(await queue.counts()).toMatchObject({ delayed: 1 }), 10_000)
      await using app = await openApp(connection)
      const path = `/queues/api/queues/ingest/${job!.ingestId}-1`
      expect(await getJson(app, `${path}/logs`)).toEqual([expect.stringContaining('the store is away')])
      expect((await app.inject({ method: 'PUT', url: `${path}/promote` })).statusCode).toBe(204)
      await vi.waitFor(async () => expect(await queue.counts()).toMatchObject({ completed: 1 }), 10_000)
      expect(await getJson(app, path)).toMatchObject({ job: { returnValue: 'committed' }, status: 'completed' })
    }))

  test('shows why an ingest was given up, and replays it instead of its job', () =>
    withConnection(async (connection) => {
      await using queue = await openQueue(connection)
      const [job] = ingestJobs(1)
      const runs: number[] = []
      queue.consume(failingAt(1, runs), { concurrency: 1 })
      await queue.add([job!])
      await vi.waitFor(async () => expect(await queue.counts()).toMatchObject({ failed: 1 }), 10_000)
      await using app = await openApp(connection, async (_request, ids) => {
        await queue.add(ids.map((ingestId) => ({ ingestId, epoch: 2 })))
        return { refused: [] }
      })
      const path = `/queues/api/queues/ingest/${job!.ingestId}-1`
      expect(await getJson(app, path)).toMatchObject({
        status: 'failed',
        job: {
          failedReason: 'attempts_exhausted: Given up.',
          stacktrace: [],
          externalUrl: { href: `/ingests/${job!.ingestId}` },
        },
      })
      expect((await app.inject({ method: 'PUT', url: `${path}/retry` })).statusCode).toBe(204)
      await vi.waitFor(async () => expect(await queue.counts()).toMatchObject({ failed: 0, completed: 1 }), 10_000)
      expect(runs).toEqual([1, 2])
      expect((await app.inject({ method: 'PUT', url: `${path}/retry` })).statusCode).toBe(404)
      const ended = `/queues/api/queues/ingest/${job!.ingestId}-2/retry`
      expect((await app.inject({ method: 'PUT', url: ended })).statusCode).toBe(400)
    }))

  test('retries all that have failed, and says of how many it could not', () =>
    withConnection(async (connection) => {
      await using queue = await openQueue(connection)
      const jobs = ingestJobs(250)
      queue.consume(failingAt(1), { concurrency: 4 })
      await queue.add(jobs)
      await vi.waitFor(async () => expect(await queue.counts()).toMatchObject({ failed: 250 }), 20_000)
      // Of every ten one has no bytes any more, and of one only the job has failed.
      const codes = new Map(jobs.map(({ ingestId }, n) => [ingestId, CODES[n % 10]]))
      const asked: string[] = []
      await using app = await openApp(connection, async (_request, ids) => {
        asked.push(...ids)
        const refused = ids.flatMap((id) => {
          const code = codes.get(id)
          return code ? [{ id, code, detail: 'Not any more.' }] : []
        })
        return { refused }
      })
      const all = { method: 'PUT', url: '/queues/api/queues/ingest/retry/failed' } as const
      const answer = await app.inject(all)
      expect([answer.statusCode, answer.json()]).toEqual([200, { retried: 225, skipped: 25 }])
      expect(asked.toSorted()).toEqual(jobs.map(({ ingestId }) => ingestId).toSorted())
      // Those whose job was run again have failed again.
      await vi.waitFor(async () => expect(await queue.counts()).toMatchObject({ failed: 50, waiting: 0, active: 0 }), 20_000)
      const refused = jobs.find(({ ingestId }) => codes.get(ingestId) === 'ingest_bytes_gone')
      const one = await app.inject({ method: 'PUT', url: `/queues/api/queues/ingest/${refused!.ingestId}-1/retry` })
      expect([one.statusCode, one.json()]).toMatchObject([410, { message: 'Not any more.' }])
      expect((await app.inject({ ...all, url: all.url.replace('failed', 'completed') })).statusCode).toBe(400)
    }))
}

const CODES: readonly (ErrorCode | undefined)[] = [undefined, 'ingest_bytes_gone', 'ingest_not_replayable']

function failingAt(failing: number, runs: number[] = []): JobHandler {
  return async ({ epoch }) => {
    runs.push(epoch)
    return epoch === failing ? { kind: 'failed', note: 'attempts_exhausted: Given up.' } : { kind: 'done', note: 'committed' }
  }
}

test('answers 503 while the queue cannot be reached', async () => {
  await using app = await openApp({ kind: 'redis', url: 'redis://127.0.0.1:1' })
  const answer = await app.inject({ url: '/queues/api/queues' })
  expect(answer.statusCode).toBe(503)
  expect(answer.headers['retry-after']).toBe('3')
})
