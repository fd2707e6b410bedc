/** Jobs: ids only. The database holds the rest. */
import type { IngestId } from '../ids.ts'
import type { Lane } from '../ingest.ts'

/** Ids only: the database holds the rest. The job's own id is `<ingestId>-<epoch>`. */
export interface IngestJob {
  readonly ingestId: IngestId
  readonly epoch: number
}

export interface JobQueue {
  /**
   * At least once; a job that is there already is not added again, and keeps its place. Fails fast with `service_unavailable`.
   * Interactive jobs, which they are by default, run before all others that wait. An ended job counts as there for a while, and so does
   * one that comes back later, but with `again` neither does.
   */
  add(jobs: readonly IngestJob[], options?: { readonly lane?: Lane; readonly again?: boolean }): Promise<void>
  /** How many jobs wait in each lane, and how many come back later. Cheap, and true: it is counted, not kept. */
  waiting(): Promise<QueueWaiting>
}

export interface QueueWaiting extends Readonly<Record<Lane, number>> {
  readonly delayed: number
}

/**
 * `failed`: given up, and kept for operators to see until the ingest runs under a new epoch. `again`: the job is due after
 * `waitMs`, and that is no failure of the job.
 */
export type JobOutcome =
  | { readonly kind: 'done' | 'failed'; readonly note: string }
  | { readonly kind: 'again'; readonly waitMs: number; readonly note: string }

/** The signal is aborted when the grace period of a shutdown is over. */
export type JobHandler = (job: IngestJob, signal: AbortSignal) => Promise<JobOutcome>

/** Takes jobs until it is stopped. */
export interface JobConsumer {
  /** Takes no new job, lets running ones finish for `graceMs`, then aborts them; resolves when all have ended. Twice is fine. */
  stop(graceMs: number): Promise<void>
}
