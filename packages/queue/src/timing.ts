import { DEFAULT_LIMITS } from '@sluice/core'

/** How long things may take. The limits of jobs are set by operators; tests shorten the rest, and nothing else should. */
export const TIMING = {
  /** An answer to a producer, whatever the network does. */
  produceMsMax: 3_000,
  lockMs: DEFAULT_LIMITS.jobLockMs,
  stalledCheckMs: DEFAULT_LIMITS.jobStalledCheckMs,
  /** An idle worker looks for jobs this often even when no wake-up call came. */
  idleLookMs: 5_000,
  /**
   * A consumer's connection that owes an answer for this long is given up: on a half-open connection nothing else ever ends the
   * wait. Longer than 10 s, the longest time that BullMQ blocks on Redis.
   */
  silenceMsMax: 15_000,
  /** TCP keep-alive begins after this time. */
  keepAliveAfterMs: 5_000,
  connectMsMax: 5_000,
  /** The wait before the server is tried again. BullMQ would let it grow to 20 s; work should go on soon after an outage. */
  reconnectMsMax: 1_000,
  /** What aborted jobs have to come to an end when a consumer stops, and a connection to close. */
  settleMsMax: 5_000,
} as const

export type Timing = { readonly [name in keyof typeof TIMING]: number }

/** A job that kills its worker, or is put back, is the core's to give up: it counts attempts. These only end a runaway. */
export const STALLS_MAX = 100
export const STARTS_MAX = 100_000
