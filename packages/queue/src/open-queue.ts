import type { IngestJob, JobConsumer, JobHandler, JobQueue, Lane } from '@sluice/core'
import type { OnError, Process, Producer } from './backend.ts'
import { openBackend, type QueueConnection } from './connection.ts'
import { startConsumer } from './consumer.ts'
import { keepProducer, type KeptProducer } from './producer.ts'
import { jobId, jobOptions, QUEUES } from './queues.ts'
import { TIMING, type Timing } from './timing.ts'

export interface IngestQueue extends JobQueue, AsyncDisposable {
  /** Starts at once, or as soon as the server can be reached. */
  consume(handler: JobHandler, options: { readonly concurrency: number }): JobConsumer
  counts(): Promise<QueueCounts>
  /** Throws `service_unavailable` when the server cannot be reached. */
  ping(): Promise<void>
}

const JOB_STATES = ['waiting', 'active', 'delayed', 'completed', 'failed'] as const

/** BullMQ's words: what waits with a priority, which is all that is not interactive, it calls prioritized. */
const WAITING_STATES = ['waiting', 'prioritized', 'delayed'] as const

/** Jobs per state. Completed and failed ones are kept for a while only. */
export type QueueCounts = Readonly<Record<(typeof JOB_STATES)[number], number>>

export interface QueueOptions {
  /** Told of every broken connection and every failed attempt to mend it. */
  readonly onError?: OnError
  readonly timing?: Partial<Timing>
}

/** An outage does not fail this: what is asked of the queue fails until it is over. Disposing stops the consumers without grace. */
export async function openQueue(connection: QueueConnection, options: QueueOptions = {}): Promise<IngestQueue> {
  const timing = { ...TIMING, ...options.timing }
  const onError = options.onError ?? (() => undefined)
  const backend = openBackend(connection, timing, onError)
  const producer = keepProducer(backend, 'ingest', timing)
  const consumers: JobConsumer[] = []

  const queue: IngestQueue = {
    async add(jobs, { lane = 'interactive', again = false } = {}) {
      if (again) await producer.ask((bull) => forgetEnded(bull, jobs.map(jobId), NOT_COMING))
      const bullJobs = jobs.map((job) => toBullJob(job, lane))
      if (jobs.length > 0) await producer.ask((bull) => addAll(bull, bullJobs))
    },
    async waiting() {
      const { waiting = 0, prioritized = 0, delayed = 0 } = await producer.ask((bull) => bull.getJobCounts(...WAITING_STATES))
      return { interactive: waiting, import: prioritized, delayed }
    },
    consume(handler, { concurrency }) {
      const open = (process: Process) => backend.openConsumer('ingest', process, concurrency)
      const consumer = startConsumer(open, forgettingFailures(producer, handler), timing, onError)
      consumers.push(consumer)
      return consumer
    },
    async counts() {
      const counts = await producer.ask((bull) => bull.getJobCounts(...JOB_STATES, 'prioritized'))
      const of = (state: keyof QueueCounts) => counts[state] ?? 0
      return {
        waiting: of('waiting') + (counts['prioritized'] ?? 0),
        active: of('active'),
        delayed: of('delayed'),
        completed: of('completed'),
        failed: of('failed'),
      }
    },
    async ping() {
      await producer.ask((bull) => bull.isPaused())
    },
    async [Symbol.asyncDispose]() {
      await Promise.all(consumers.map((consumer) => consumer.stop(0)))
      await producer.close()
    },
  }
  await queue.ping().catch(onError)
  return queue
}

/**
 * On Postgres a bulk makes two temporary tables, which costs as much as ten single adds, and leaves dead rows in the catalogue;
 * after a commit there is mostly one job to add.
 */
const BULK_FROM = 8

/** One after the other, since on Postgres each has a connection of its own: together they would arrive in any order. */
async function addAll(producer: Producer, jobs: readonly ReturnType<typeof toBullJob>[]): Promise<void> {
  if (jobs.length >= BULK_FROM) await producer.addBulk([...jobs])
  else for (const { name, data, opts } of jobs) await producer.add(name, data, opts)
}

/** What was given up is not to be seen as such while it is tried again. What cannot be removed is seen for longer, and that is all. */
function forgettingFailures(producer: KeptProducer, handler: JobHandler): JobHandler {
  return async (job, signal) => {
    const before = jobId({ ...job, epoch: job.epoch - 1 })
    if (job.epoch > 0) await producer.ask((bull) => forgetEnded(bull, [before], ['failed'])).catch(() => undefined)
    return handler(job, signal)
  }
}

/**
 * Whoever asks for a job again knows that it is overdue. One that still waits for later was put there by a worker whose clock is
 * ahead: BullMQ has no other, and the job would come as much too late.
 */
const NOT_COMING = ['completed', 'failed', 'delayed']

/** BullMQ would take a job that it still shows for one that is there. One that ends at this moment has done its work. */
async function forgetEnded(producer: Producer, jobIds: readonly string[], states: readonly string[]): Promise<void> {
  for (const id of jobIds) if (states.includes(await producer.getJobState(id))) await producer.remove(id)
}

function toBullJob(job: IngestJob, lane: Lane) {
  const data = { ingestId: job.ingestId, epoch: job.epoch }
  return { name: QUEUES.ingest.jobName, data, opts: jobOptions('ingest', job, lane) }
}
