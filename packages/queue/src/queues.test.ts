import { ingestJobs } from '@sluice/core/testing'
import { describe, expect, inject, test, vi } from 'vitest'
import type { QueueConnection } from './connection.ts'
import { openQueue } from './open-queue.ts'
import { parseIngestJob } from './queues.ts'
import { newNamespace, openTestDatabase } from './testing/places.ts'

const redisUrl = inject('redisUrl')

test('takes only payloads that it may have written', () => {
  const [job] = ingestJobs(1)
  expect(parseIngestJob({ ...job })).toEqual(job)
  for (const wrong of [null, 'text', {}, { ...job, epoch: '1' }, { ...job, epoch: 1.5 }, { ...job, ingestId: '../1' }]) {
    expect(parseIngestJob(wrong)).toBeNull()
  }
})

describe('what is kept of ended jobs', () => {
  // 1,000 and what has ended since the last removal; that none happens in 1,500 jobs is less likely than 1 in 10 billion.
  const BOUNDED = { completed: expect.toSatisfy((kept: number) => kept < 2_500), errors: [] }

  test('is bounded on Postgres, and no removal fails', async () => {
    await using database = await openTestDatabase(inject('postgresUrl'))
    expect(await runManyJobs({ kind: 'postgres', url: database.url })).toEqual(BOUNDED)
  })

  test.skipIf(redisUrl === null)('is bounded on Redis', async () => {
    expect(await runManyJobs({ kind: 'redis', url: redisUrl ?? '', namespace: newNamespace() })).toEqual(BOUNDED)
  })
})

async function runManyJobs(connection: QueueConnection): Promise<{ completed: number; errors: unknown[] }> {
  const errors: unknown[] = []
  await using queue = await openQueue(connection, { onError: (error) => errors.push(error) })
  await queue.add(ingestJobs(3_000, 0))
  queue.consume(async () => ({ kind: 'done', note: 'committed' }), { concurrency: 8 })
  const isIdle = async () => expect(await queue.counts()).toMatchObject({ waiting: 0, active: 0, delayed: 0, failed: 0 })
  await vi.waitFor(isIdle, { timeout: 25_000, interval: 50 })
  const { completed } = await queue.counts()
  return { completed, errors }
}
