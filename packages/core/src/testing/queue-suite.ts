import { randomUUID } from 'node:crypto'
import { describe, expect, test, vi } from 'vitest'
import type { IngestId } from '../ids.ts'
import type { IngestJob, JobConsumer, JobHandler, JobOutcome, JobQueue } from '../ports.ts'

/** A queue from both ends, as a driver opens it. */
export interface TestedQueue extends JobQueue, AsyncDisposable {
  consume(handler: JobHandler, options: { readonly concurrency: number }): JobConsumer
  counts(): Promise<Readonly<Record<'waiting' | 'active' | 'delayed' | 'completed' | 'failed', number>>>
  ping(): Promise<void>
}

export function ingestJobs(count: number, epoch = 1): IngestJob[] {
  return Array.from({ length: count }, () => ({ ingestId: randomUUID() as IngestId, epoch }))
}

const DONE: JobOutcome = { kind: 'done', note: 'committed' }

/** Waits for a condition; the deadline is for what never comes. */
function eventually(check: () => void | Promise<void>): Promise<void> {
  return vi.waitFor(check, { timeout: 20_000, interval: 15 })
}

/** What every queue promises. `open` gives an empty one. */
export function queueSuite(name: string, open: () => Promise<TestedQueue>): void {
  describe(`queue: ${name}`, () => {
    processing(open)
    lanes(open)
    comingBack(open)
    stopping(open)
  })
}

type Open = () => Promise<TestedQueue>

/** A handler that notes whom it has seen. */
function noting(seen: string[], outcome: JobOutcome = DONE): JobHandler {
  return async (job) => {
    seen.push(`${job.ingestId}-${job.epoch}`)
    return outcome
  }
}

function idsOf(jobs: readonly IngestJob[]): string[] {
  return jobs.map((job) => `${job.ingestId}-${job.epoch}`).sort()
}

function processing(open: Open): void {
  test.for([1, 3])('runs each of 200 jobs once with %i consumers', async (consumers) => {
    await using queue = await open()
    const jobs = ingestJobs(200)
    const seen: string[] = []
    for (let n = 0; n < consumers; n++) queue.consume(noting(seen), { concurrency: 4 })
    await queue.add(jobs.slice(0, 100))
    for (const job of jobs.slice(100, 120)) await queue.add([job])
    await queue.add(jobs.slice(120))
    await eventually(async () => expect(await queue.counts()).toMatchObject({ waiting: 0, active: 0, completed: 200 }))
    expect(seen.toSorted()).toEqual(idsOf(jobs))
  })

  test('runs jobs that were there before the consumer', async () => {
    await using queue = await open()
    const jobs = ingestJobs(10)
    await queue.add(jobs)
    expect(await queue.counts()).toEqual({ waiting: 10, active: 0, delayed: 0, completed: 0, failed: 0 })
    const seen: string[] = []
    queue.consume(noting(seen), { concurrency: 2 })
    await eventually(() => expect(seen.toSorted()).toEqual(idsOf(jobs)))
  })

  test('runs the same job once, and an ingest of a new epoch again', async () => {
    await using queue = await open()
    const [job] = ingestJobs(1) as [IngestJob]
    const seen: string[] = []
    await queue.add([job, job])
    await queue.add([job])
    queue.consume(noting(seen), { concurrency: 4 })
    await eventually(async () => expect(await queue.counts()).toMatchObject({ completed: 1 }))
    const requeued = { ...job, epoch: 2 }
    await queue.add([job, requeued])
    await eventually(async () => expect(await queue.counts()).toMatchObject({ waiting: 0, active: 0, completed: 2 }))
    expect(seen.toSorted()).toEqual(idsOf([job, requeued]))
  })

  test('takes a thousand jobs at once, and none', async () => {
    await using queue = await open()
    await queue.add([])
    await queue.add(ingestJobs(1_000))
    expect(await queue.counts()).toEqual({ waiting: 1_000, active: 0, delayed: 0, completed: 0, failed: 0 })
  })

  test('never runs more jobs at a time than it was told to', async () => {
    await using queue = await open()
    const gate = Promise.withResolvers<void>()
    let running = 0
    let most = 0
    await queue.add(ingestJobs(12))
    const handler: JobHandler = async () => {
      most = Math.max(most, ++running)
      await gate.promise
      running--
      return DONE
    }
    queue.consume(handler, { concurrency: 3 })
    await eventually(async () => expect(await queue.counts()).toMatchObject({ active: 3, waiting: 9 }))
    // A job that is active may not have come to its handler yet.
    await eventually(() => expect(running).toBe(3))
    gate.resolve()
    await eventually(async () => expect(await queue.counts()).toMatchObject({ active: 0, completed: 12 }))
    expect(most).toBe(3)
  })

  test('shows a job that was given up as failed, until its ingest runs under a new epoch', async () => {
    await using queue = await open()
    const [dead, other] = ingestJobs(2) as [IngestJob, IngestJob]
    let starts = 0
    const failed: JobOutcome = { kind: 'failed', note: 'attempts_exhausted' }
    const handler: JobHandler = async ({ epoch }) => {
      starts++
      return epoch === 1 ? failed : DONE
    }
    queue.consume(handler, { concurrency: 1 })
    await queue.add([dead, other])
    await eventually(async () => expect(await queue.counts()).toMatchObject({ failed: 2, waiting: 0, active: 0 }))
    await queue.add([dead])
    expect(await queue.counts()).toMatchObject({ failed: 2, waiting: 0 })
    await queue.add([{ ...dead, epoch: 2 }])
    await eventually(async () => expect(await queue.counts()).toMatchObject({ failed: 1, completed: 1, waiting: 0, active: 0 }))
    expect(starts).toBe(3)
  })

  test('answers a ping', async () => {
    await using queue = await open()
    await expect(queue.ping()).resolves.toBeUndefined()
  })
}

function lanes(open: Open): void {
  test('runs what is interactive before all that is imported, and each lane in its order', async () => {
    await using queue = await open()
    const [first, second, third, ...imported] = ingestJobs(13) as [IngestJob, IngestJob, IngestJob, ...IngestJob[]]
    await queue.add(imported.slice(0, 9), { lane: 'import' })
    await queue.add([first])
    await queue.add(imported.slice(9), { lane: 'import' })
    await queue.add([second, third], { lane: 'interactive' })
    expect(await queue.waiting()).toEqual({ interactive: 3, import: 10, delayed: 0 })
    expect(await queue.counts()).toMatchObject({ waiting: 13 })
    const seen: string[] = []
    queue.consume(noting(seen), { concurrency: 1 })
    await eventually(async () => expect(await queue.counts()).toMatchObject({ completed: 13 }))
    expect(seen).toEqual([first, second, third, ...imported].map((job) => `${job.ingestId}-${job.epoch}`))
    expect(await queue.waiting()).toEqual({ interactive: 0, import: 0, delayed: 0 })
  })

  test('keeps a job in its lane when it comes back', async () => {
    await using queue = await open()
    const [postponed, other, interactive] = ingestJobs(3) as [IngestJob, IngestJob, IngestJob]
    const order: string[] = []
    const handler: JobHandler = async (job) => {
      order.push(job.ingestId)
      if (order.length > 1) return DONE
      await queue.add([other], { lane: 'import' })
      await queue.add([interactive])
      return { kind: 'again', waitMs: 0, note: 'not yet' }
    }
    queue.consume(handler, { concurrency: 1 })
    await queue.add([postponed], { lane: 'import' })
    await eventually(async () => expect(await queue.counts()).toMatchObject({ completed: 3 }))
    expect(order.slice(0, 2)).toEqual([postponed.ingestId, interactive.ingestId])
    expect(order.slice(2).toSorted()).toEqual([postponed.ingestId, other.ingestId].toSorted())
  })

  test('counts what comes back later apart', async () => {
    await using queue = await open()
    queue.consume(async () => ({ kind: 'again', waitMs: 600_000, note: 'much later' }), { concurrency: 1 })
    await queue.add(ingestJobs(1), { lane: 'import' })
    await queue.add(ingestJobs(1))
    await eventually(async () => expect(await queue.waiting()).toEqual({ interactive: 0, import: 0, delayed: 2 }))
  })

  test('runs an ended job again if that is asked for, and one that waits or runs still once', async () => {
    await using queue = await open()
    const [ended, running, waiting] = ingestJobs(3) as [IngestJob, IngestJob, IngestJob]
    const gate = Promise.withResolvers<void>()
    const seen: string[] = []
    const handler: JobHandler = async (job) => {
      seen.push(job.ingestId)
      if (job.ingestId === running.ingestId) await gate.promise
      return DONE
    }
    queue.consume(handler, { concurrency: 1 })
    await queue.add([ended])
    await eventually(async () => expect(await queue.counts()).toMatchObject({ completed: 1 }))
    await queue.add([ended])
    await queue.add([running])
    await eventually(() => expect(seen).toEqual([ended.ingestId, running.ingestId]))
    await queue.add([waiting])
    await queue.add([waiting, running, ended], { again: true })
    expect(await queue.counts()).toMatchObject({ waiting: 2, active: 1, completed: 0 })
    gate.resolve()
    await eventually(async () => expect(await queue.counts()).toMatchObject({ waiting: 0, active: 0, completed: 3 }))
    expect(seen).toEqual([ended.ingestId, running.ingestId, waiting.ingestId, ended.ingestId])
  })
}

function comingBack(open: Open): void {
  test('brings a job back that waits for much later, if it is asked for again', async () => {
    await using queue = await open()
    let starts = 0
    queue.consume(async () => (++starts === 1 ? { kind: 'again', waitMs: 600_000, note: 'a clock that is ahead' } : DONE), {
      concurrency: 1,
    })
    const jobs = ingestJobs(1)
    await queue.add(jobs)
    await eventually(async () => expect(await queue.counts()).toMatchObject({ delayed: 1 }))
    await queue.add(jobs)
    expect(await queue.counts()).toMatchObject({ delayed: 1 })
    await queue.add(jobs, { again: true })
    await eventually(async () => expect(await queue.counts()).toMatchObject({ delayed: 0, completed: 1 }))
    expect(starts).toBe(2)
  })

  test('brings a job back after its wait, not before', async () => {
    await using queue = await open()
    const starts: number[] = []
    const handler: JobHandler = async () => {
      starts.push(Date.now())
      return starts.length === 1 ? { kind: 'again', waitMs: 400, note: 'the store is away' } : DONE
    }
    queue.consume(handler, { concurrency: 1 })
    await queue.add(ingestJobs(1))
    await eventually(async () => expect(await queue.counts()).toMatchObject({ delayed: 1, failed: 0 }))
    await eventually(async () => expect(await queue.counts()).toMatchObject({ delayed: 0, completed: 1, failed: 0 }))
    const [first = Number.NaN, second = Number.NaN] = starts
    expect(second - first).toBeGreaterThanOrEqual(400)
    expect(starts).toHaveLength(2)
  })

  test('runs others while a job waits to come back', async () => {
    await using queue = await open()
    const [waiting, other] = ingestJobs(2) as [IngestJob, IngestJob]
    const seen: string[] = []
    const handler: JobHandler = async (job) => {
      seen.push(job.ingestId)
      return job.ingestId === waiting.ingestId ? { kind: 'again', waitMs: 600_000, note: 'much later' } : DONE
    }
    queue.consume(handler, { concurrency: 1 })
    await queue.add([waiting, other])
    await eventually(async () => expect(await queue.counts()).toMatchObject({ delayed: 1, completed: 1 }))
    expect(seen).toEqual([waiting.ingestId, other.ingestId])
  })

  test('brings a job back as often as it asks, at once when it names no wait', async () => {
    await using queue = await open()
    let starts = 0
    queue.consume(async () => (++starts <= 40 ? { kind: 'again', waitMs: 0, note: 'not yet' } : DONE), { concurrency: 1 })
    await queue.add(ingestJobs(1))
    await eventually(async () => expect(await queue.counts()).toMatchObject({ completed: 1, failed: 0 }))
    expect(starts).toBe(41)
  })

  test('tries a job again whose handler threw', async () => {
    await using queue = await open()
    let starts = 0
    const handler: JobHandler = async () => {
      if (++starts < 3) throw new Error('unforeseen')
      return DONE
    }
    queue.consume(handler, { concurrency: 1 })
    await queue.add(ingestJobs(1))
    await eventually(async () => expect(await queue.counts()).toMatchObject({ completed: 1, failed: 0 }))
    expect(starts).toBe(3)
  })
}

function stopping(open: Open): void {
  test('lets the running job finish before it has stopped, and takes no other', async () => {
    await using queue = await open()
    const gate = Promise.withResolvers<void>()
    const seen: string[] = []
    let aborted = false
    const handler: JobHandler = async (job, signal) => {
      seen.push(job.ingestId)
      await gate.promise
      aborted = signal.aborted
      return DONE
    }
    const consumer = queue.consume(handler, { concurrency: 1 })
    await queue.add(ingestJobs(2))
    await eventually(() => expect(seen).toHaveLength(1))
    let hasStopped = false
    const stopped = consumer.stop(15_000).then(() => (hasStopped = true))
    expect(await queue.counts()).toMatchObject({ active: 1, waiting: 1 })
    expect(hasStopped).toBe(false)
    gate.resolve()
    await stopped
    expect(await queue.counts()).toMatchObject({ active: 0, waiting: 1, completed: 1 })
    expect(seen).toHaveLength(1)
    expect(aborted).toBe(false)
  })

  test('aborts what still runs after the grace period, and the next consumer takes it', async () => {
    await using queue = await open()
    const started = Promise.withResolvers<void>()
    const handler: JobHandler = async (_job, signal) => {
      started.resolve()
      await new Promise<void>((resolve) => signal.addEventListener('abort', () => resolve(), { once: true }))
      return { kind: 'again', waitMs: 0, note: 'interrupted' }
    }
    const consumer = queue.consume(handler, { concurrency: 1 })
    const jobs = ingestJobs(1)
    await queue.add(jobs)
    await started.promise
    await consumer.stop(20)
    expect(await queue.counts()).toEqual({ waiting: 1, active: 0, delayed: 0, completed: 0, failed: 0 })
    const seen: string[] = []
    queue.consume(noting(seen), { concurrency: 1 })
    await eventually(async () => expect(await queue.counts()).toMatchObject({ completed: 1, failed: 0 }))
    expect(seen).toEqual(idsOf(jobs))
  })

  test('stops twice, and before anything ran', async () => {
    await using queue = await open()
    const seen: string[] = []
    const consumer = queue.consume(noting(seen), { concurrency: 1 })
    await Promise.all([consumer.stop(1_000), consumer.stop(1_000)])
    await consumer.stop(1_000)
    await queue.add(ingestJobs(3))
    expect(await queue.counts()).toMatchObject({ waiting: 3 })
    expect(seen).toEqual([])
  })

  test('stops its consumers when it is disposed of', async () => {
    const queue = await open()
    let aborted = false
    const started = Promise.withResolvers<void>()
    const handler: JobHandler = async (_job, signal) => {
      started.resolve()
      await new Promise<void>((resolve) => signal.addEventListener('abort', () => resolve(), { once: true }))
      aborted = true
      return { kind: 'again', waitMs: 0, note: 'interrupted' }
    }
    queue.consume(handler, { concurrency: 1 })
    await queue.add(ingestJobs(1))
    await started.promise
    await queue[Symbol.asyncDispose]()
    expect(aborted).toBe(true)
  })
}
