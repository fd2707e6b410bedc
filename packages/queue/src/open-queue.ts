import type { IngestJob, JobConsumer, JobHandler, JobQueue } from '@sluice/core'
import type { Backend, OnError, Producer } from './backend.ts'
import { startConsumer } from './consumer.ts'
import { answerWithin, endsWithin } from './deadline.ts'
import { postgresBackend, type PostgresConnection } from './postgres.ts'
import { jobId, QUEUES } from './queues.ts'
import { redisBackend, type RedisConnection } from './redis.ts'
import { TIMING, type Timing } from './timing.ts'

export type QueueConnection = RedisConnection | PostgresConnection

const JOB_STATES = ['waiting', 'active', 'delayed', 'completed', 'failed'] as const

/** Jobs per state. Completed and failed ones are kept for a while only. */
export type QueueCounts = Readonly<Record<(typeof JOB_STATES)[number], number>>

export interface IngestQueue extends JobQueue, AsyncDisposable {
  /** Starts at once, or as soon as the server can be reached. */
  consume(handler: JobHandler, options: { readonly concurrency: number }): JobConsumer
  counts(): Promise<QueueCounts>
  /** Throws `service_unavailable` when the server cannot be reached. */
  ping(): Promise<void>
}

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
  const producer = keepProducer(backend, timing)
  const consumers: JobConsumer[] = []
  const ask = <T>(question: (producer: Producer) => Promise<T>) =>
    answerWithin(timing.produceMsMax, async () => question(await producer.ready()))

  const queue: IngestQueue = {
    async add(jobs) {
      if (jobs.length > 0) await ask((producer) => producer.addBulk(jobs.map(toBullJob)))
    },
    consume(handler, { concurrency }) {
      const open = backend.openConsumer.bind(backend, 'ingest')
      const consumer = startConsumer((process) => open(process, concurrency), handler, timing, onError)
      consumers.push(consumer)
      return consumer
    },
    async counts() {
      const counts = await ask((producer) => producer.getJobCounts(...JOB_STATES))
      const of = (state: keyof QueueCounts) => counts[state] ?? 0
      return {
        waiting: of('waiting'),
        active: of('active'),
        delayed: of('delayed'),
        completed: of('completed'),
        failed: of('failed'),
      }
    },
    async ping() {
      await ask((producer) => producer.isPaused())
    },
    async [Symbol.asyncDispose]() {
      await Promise.all(consumers.map((consumer) => consumer.stop(0)))
      await producer.close()
    },
  }
  await queue.ping().catch(onError)
  return queue
}

export function openBackend(connection: QueueConnection, timing: Timing, onError: OnError): Backend {
  return connection.kind === 'redis' ? redisBackend(connection, timing, onError) : postgresBackend(connection, timing, onError)
}

function toBullJob(job: IngestJob) {
  return { name: QUEUES.ingest.jobName, data: { ingestId: job.ingestId, epoch: job.epoch }, opts: { jobId: jobId(job) } }
}

/** A producer whose first connection failed stays broken, so that the next question gets a new one. */
function keepProducer(backend: Backend, timing: Timing) {
  let current: Promise<Producer> | null = null
  let last: Producer | null = null

  async function connect(): Promise<Producer> {
    last = backend.openProducer('ingest')
    try {
      await last.waitUntilReady()
      return last
    } catch (error) {
      current = null
      await close(last, timing)
      throw error
    }
  }
  return {
    ready: () => (current ??= connect()),
    close: async () => {
      if (last) await close(last, timing)
    },
  }
}

/** By force: Redis's farewell waits for an answer, and every add has had its own. */
async function close(producer: Producer, timing: Timing): Promise<void> {
  await endsWithin(timing.settleMsMax, producer.getBackend().close(true))
}
