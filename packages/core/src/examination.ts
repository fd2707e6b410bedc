/** What an examination looks for, and what is kept of it. */
import type { Ingest } from './ingest.ts'

/**
 * - `orphan`: objects of ours that no row speaks of.
 * - `foreign`: objects that cannot be ours.
 * - `missing`, `damaged`: files whose object is not there, or has another length.
 * - `thumbnail`: files without their thumbnail.
 * - `unreferenced`: blobs that no file shows any more.
 * - `unfinished`: removals whose remover has died.
 * - `staged`: staged bytes that nothing needs.
 * - `stuck`: ingests that nobody works on and that are nowhere in line.
 * - `unrelayed`: promises that nobody brings to a queue that has room.
 */
export const FINDING_KINDS = [
  'orphan',
  'foreign',
  'missing',
  'damaged',
  'thumbnail',
  'unreferenced',
  'unfinished',
  'staged',
  'stuck',
  'unrelayed',
] as const

export type FindingKind = (typeof FINDING_KINDS)[number]
export type Tally = Readonly<Record<FindingKind, number>>

export interface Waiters {
  /** Idle for too long and in no line: all of them, and some. */
  readonly stuck: number
  readonly examples: readonly Ingest[]
  /** Parked, and their time is over. */
  readonly overdue: number
  readonly outbox: number
  /** How long the first in line has been there; 0 when nobody is. */
  readonly outboxOldestMs: number
  /** Begun by somebody who did not end them. */
  readonly unfinished: number
}

export interface Examinations {
  /** What waits, over all tenants. `idleMs` as for `Ingests.requeueIdle`, for removals as for `Blobs.takeOverRemovals`. */
  waiters(idleMs: { readonly ingest: number; readonly parked: number; readonly removal: number }, limit: number): Promise<Waiters>
  /** Replaces what was found, and adds to what was mended. */
  record(found: Tally, mended: Tally): Promise<void>
  /** Null when there was none. */
  last(): Promise<{ readonly at: Date; readonly found: Tally; readonly mended: Tally } | null>
}
