import { type IngestJob, isUuid, type Lane } from '@sluice/core'

const DAY_S = 24 * 60 * 60

/** Every queue: one per kind of work, with what its jobs may cost and how long they are remembered. */
export const QUEUES = {
  ingest: {
    /** The word on each job in Bull Board. */
    jobName: 'process',
    title: 'Ingest',
    description: 'One job runs the remaining steps of one ingest; the database holds the rest.',
    job: {
      /** For handlers that throw, which the core's does not: it answers `again`. */
      attempts: 10,
      backoff: { type: 'exponential', delay: 500, jitter: 0.5 },
      /** Ids only: what is longer is a mistake. */
      sizeLimit: 512,
      /** One line per postponement; a long outage must not fill the store. */
      keepLogs: 20,
      stackTraceLimit: 5,
    },
    /** How long ended jobs are shown to operators; what happened is in the database. `age` is in seconds. */
    keep: {
      removeOnComplete: { age: DAY_S, count: 1_000 },
      removeOnFail: { age: 7 * DAY_S, count: 5_000 },
    },
  },
} as const

export type QueueName = keyof typeof QUEUES

/** Unique per time that an ingest was queued: BullMQ ignores an id that it still keeps, completed or failed. */
export function jobId(job: IngestJob): string {
  return `${job.ingestId}-${job.epoch}`
}

/**
 * One job in this many removes, when it ends, what is no longer kept. On Postgres each removal sorts all ended jobs, and parallel
 * ones can deadlock: when every job did it, 8 at a time, 10,000 jobs met more than ten deadlocks and ran at 269 per second.
 * With this they met none, and ran at 1,200 to 1,700.
 */
const TIDY_ONE_IN = 64

/** BullMQ runs jobs without a priority first, and among the others those with the smallest number. */
const PRIORITIES: Readonly<Record<Lane, { readonly priority?: number }>> = { interactive: {}, import: { priority: 1 } }

/** What BullMQ must know of a job beside its payload. */
export function jobOptions(name: QueueName, job: IngestJob, lane: Lane) {
  const draw = Number.parseInt(job.ingestId.slice(-2), 16)
  return { jobId: jobId(job), ...PRIORITIES[lane], ...(draw % TIDY_ONE_IN === 0 ? QUEUES[name].keep : {}) }
}

/** Null for what this version cannot have added; Bull Board lets an operator edit what a job carries. */
export function parseIngestJob(data: unknown): IngestJob | null {
  if (typeof data !== 'object' || data === null || !('ingestId' in data) || !('epoch' in data)) return null
  const { ingestId, epoch } = data
  if (typeof ingestId !== 'string' || !isUuid(ingestId) || !Number.isInteger(epoch)) return null
  return { ingestId: ingestId as IngestJob['ingestId'], epoch: epoch as number }
}
