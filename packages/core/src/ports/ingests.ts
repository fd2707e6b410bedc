/** From a promise to its end, and the outbox between. */
import type { Problem } from '../errors.ts'
import type { Facts } from '../file.ts'
import type { FileId, ImageId, IngestId, TenantId, TokenId } from '../ids.ts'
import type { Ingest, IngestState, Lane, Parking, Placement, Postponed, Source, StagedSource, TimelineEntry } from '../ingest.ts'
import type { Limits } from '../limits.ts'
import type { ProductRef } from '../product-image.ts'
import type { ImageChange } from './images.ts'
import type { IngestJob } from './queue.ts'

export interface NewIngest {
  readonly id: IngestId
  readonly tenantId: TenantId
  readonly tokenId: TokenId
  readonly source: Source
  readonly target: Ingest['target']
  /** `interactive` when not given. */
  readonly lane?: Lane
  /** Instead of a target: the image goes to the product with this SKU, and waits so long for it if it is not there. */
  readonly park?: Omit<Parking, 'until'> & { readonly waitMs: number }
  /**
   * Binds a key that `reserve` gave to this ingest; throws `idempotency_key_in_flight` if it was lost meanwhile. A lease that
   * has ended is lost only when another owner took it over.
   */
  readonly idempotency: { readonly key: string; readonly fingerprint: string } | null
  /** For requests that wait for the result and bear no key; see `claimUnanswered`. */
  readonly answer: { readonly fingerprint: string; readonly leaseMs: number } | null
}

export interface Commit {
  readonly ingestId: IngestId
  readonly attempt: number
  /** When the run began, by the database's clock: a blob whose removal was not over by then may not be there. */
  readonly since: Date
  readonly file:
    | { readonly kind: 'new'; readonly id: FileId; readonly name: string | null; readonly facts: Facts; readonly reuses: boolean }
    | { readonly kind: 'existing'; readonly id: FileId }
  /** Null when the ingest has no target. `stem` is the name before its number; the id is for an image that is new. */
  readonly image:
    | { readonly kind: 'attach'; readonly id: ImageId; readonly stem: string; readonly placement: Placement }
    | { readonly kind: 'replace'; readonly id: ImageId; readonly change: ImageChange }
    | null
  readonly timeline: readonly TimelineEntry[]
}

export interface IngestFilter {
  /** None of them: nothing is found. */
  readonly states?: readonly IngestState[]
  readonly ids?: readonly IngestId[]
  /** Those of its problem, or of the last error before it was given up. */
  readonly codes?: readonly string[]
  readonly product?: ProductRef
  /** Both ends are included. */
  readonly createdFrom?: Date
  readonly createdTo?: Date
  /** Part of the file name, label, image name or problem; or a whole id, SKU or digest. Case is ignored. */
  readonly text?: string
}

export interface Delay {
  readonly because: Postponed['because']
  readonly waitMs: number
}

/** The lines `accept`, `park`, `unpark`, `start`, `finish`, `requeue` and `replay` of the timeline are written here, those of a run by the run. */
export interface Ingests {
  /**
   * One transaction: the ingest, its outbox row, the claim on the idempotency key. Afterwards nothing can lose it. It begins
   * at attempt 0 and epoch 0. The same id again returns the ingest as it is; whether the product exists is the commit's to ask.
   * With `park` it is received too if there is such a product, and else `parked`, outside the outbox: `Products.create` of that SKU
   * finds it there, however the two meet.
   */
  accept(ingest: NewIngest): Promise<Ingest>
  /**
   * Marks it running and counts an attempt, also when it is running: its worker may have died. Null when it is terminal, parked or
   * unknown, or when `epoch` is not its own.
   */
  start(id: IngestId, epoch: number): Promise<Ingest | null>
  /**
   * The one transaction that changes the catalogue: the ingest's row is locked, then the product's; the name gets its
   * number (never one that was given before), the rank its position; file, image, roles, the product's version, the
   * ingest's state and its timeline are written together. An ingest that is terminal is left alone and its state returned,
   * so that a commit may happen twice. Throws `ingest_unknown`, `product_unknown`, `file_reference_unknown`, `images_exceeded`,
   * `images_unsupported`, `image_unknown`, `main_image_changed`, `owned_by_organization`, and `service_unavailable` where the bytes of a new
   * file are being removed, or were since the run began: they must be stored again. The result names the file and the image that there are in the end.
   */
  commit(commit: Commit, limits: Pick<Limits, 'imagesPerProductMax'>): Promise<IngestState>
  /** Ends it as rejected or failed. False when it was terminal already, or is unknown. */
  end(id: IngestId, state: 'rejected' | 'failed', problem: Problem, timeline: readonly TimelineEntry[]): Promise<boolean>
  /**
   * Puts a running one back to `received`; with `forgiveAttempt` the attempt does not count. The problem stays to be seen until
   * the next release, the end or a replay; why it is put off, and for how long, until it starts again. False when it was not running.
   */
  release(
    id: IngestId,
    options: {
      forgiveAttempt: boolean
      problem: Problem | null
      timeline: readonly TimelineEntry[]
      postponed?: Delay
    },
  ): Promise<boolean>
  /** As if it had not been started: the attempt and the line of its start are taken back. False when it was not running. */
  putBack(id: IngestId, postponed?: Delay): Promise<boolean>
  /** Remembers what was fetched for it. Of an ingest that is not running, or has no URL, nothing is remembered. */
  noteFetched(id: IngestId, fetched: StagedSource): Promise<void>
  /**
   * Those of them that have failed are received again, with attempts at 0 and a new epoch, and queued: all in one statement. Where
   * bytes are staged for it, only one that has failed less than `failedMs` ago, and none whose place another took. All others stay as
   * they are. Answers them as they are now, by id.
   */
  replay(tenantId: TenantId, ids: readonly IngestId[], failedMs: number): Promise<readonly Ingest[]>
  find(tenantId: TenantId, id: IngestId): Promise<Ingest | null>
  /** In the order in which it was written, whatever the lines say of their times. */
  timeline(tenantId: TenantId, id: IngestId): Promise<readonly TimelineEntry[]>
  /** Newest first, the ids below `before`. */
  list(tenantId: TenantId, filter: IngestFilter, page: { before: IngestId | null; limit: number }): Promise<readonly Ingest[]>
  /**
   * An ingest that an equal request has made, whose answer nobody is waiting for any more and nobody got; from now on this caller
   * holds it; one that was accepted longer ago than `ageMsMax` is left alone. So the repeat of a request that was cut off finds its image, and two that were both answered are two.
   */
  claimUnanswered(tenantId: TenantId, fingerprint: string, leaseMs: number, ageMsMax: number): Promise<Ingest | null>
  /** Somebody still waits for the answer; with 0, nobody any more. */
  holdAnswer(id: IngestId, leaseMs: number): Promise<void>
  /** The answer was delivered, so that nobody may claim it. */
  markAnswered(id: IngestId): Promise<void>
  /**
   * Received or running, untouched for `idleMs` by the database's clock, not in the outbox: a new outbox row in the place in line
   * that it had, under the same epoch, since its job may still be there: two of them would run it twice. Those first that have
   * waited longest.
   */
  requeueIdle(idleMs: number, limit: number): Promise<readonly IngestId[]>
  /** Parked ones whose product is there go on; those whose time is over are rejected as `product_unknown`. At most `limit` of each. */
  settleParked(limit: number): Promise<{ readonly unparked: readonly IngestId[]; readonly expired: readonly IngestId[] }>
  /** Of these staging keys, those that an ingest still needs: one that is not over, or that has failed less than `failedMs` ago. */
  stagedInUse(keys: readonly string[], failedMs: number): Promise<ReadonlySet<string>>
  /**
   * How many there are per state, over all tenants, and the age since acceptance of the oldest that is received or running; 0 when
   * there is none.
   */
  census(): Promise<{ states: Readonly<Record<IngestState, number>>; oldestOpenMs: number; outbox: number }>
  /** Adds what has long been over to the sums that the census begins with. */
  tally(): Promise<void>
  /** What waits: received or running ingests, and the bytes that are staged for all that may still need them. */
  load(failedMs: number): Promise<Load>
}

export interface Waiting {
  readonly waiting: number
  readonly stagedBytes: number
}

/** Over all tenants, and for each of the thousand of whom most waits. */
export interface Load extends Waiting {
  readonly ofTenants: ReadonlyMap<TenantId, Waiting>
}

export interface OutboxEntry {
  readonly id: string
  readonly job: IngestJob
  readonly lane: Lane
  /** See `JobQueue.add`. */
  readonly again: boolean
}

/** Turns that a tenant has saved up at most while it had nothing to ask for. */
export const TURNS_SAVED_MAX = 16

export interface Outbox {
  /**
   * At most so many of each lane, the interactive ones first. Within a lane tenants take turns, one row for each unit of their
   * weight, whoever claims and however few rows at a time; a tenant that comes back after a while has `TURNS_SAVED_MAX` turns before
   * the others, so that ten images do not wait for as many of an import. Within a tenant those first that have waited longest.
   * Nobody else gets them until the lease ends or they are removed.
   */
  claim(room: Readonly<Record<Lane, number>>, leaseMs: number): Promise<readonly OutboxEntry[]>
  /** Removing what is not there is fine. */
  remove(ids: readonly string[]): Promise<void>
}
