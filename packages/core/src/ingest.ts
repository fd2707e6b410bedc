import type { Problem } from './errors.ts'
import type { Digest, FileId, ImageId, IngestId, ProductId, TenantId } from './ids.ts'
import type { ImageChange } from './ports.ts'

/**
 * received → running → committed | rejected | failed. Rejected: the bytes or the request are at fault, never retried.
 * Failed: given up after bounded attempts, can be replayed. Parked: its product does not exist yet, and the caller asked to wait.
 */
export const INGEST_STATES = ['received', 'parked', 'running', 'committed', 'rejected', 'failed'] as const

export type IngestState = (typeof INGEST_STATES)[number]

/** Nothing happens to these any more, except that a failed one may be replayed. */
export const TERMINAL_STATES = ['committed', 'rejected', 'failed'] as const satisfies readonly IngestState[]

export function isTerminal(state: IngestState): boolean {
  return (TERMINAL_STATES as readonly IngestState[]).includes(state)
}

/** Where an ingest stands in line: what somebody waits for goes before what is imported in volume. */
export const LANES = ['interactive', 'import'] as const

export type Lane = (typeof LANES)[number]

/** What an ingest asks for whose product is not there yet. */
export interface Parking {
  readonly sku: string
  readonly until: Date
  readonly placement: Placement
}

/** Where the bytes of an ingest come from. */
export type Source =
  | {
      readonly kind: 'staged'
      readonly key: string
      readonly digest: Digest
      readonly bytes: number
      /** As the uploader said, reduced to its essence; null where the dialect does not ask. */
      readonly declaredType: string | null
      /** Whether a declared type that differs from the content is refused. */
      readonly typeMustMatch: boolean
      readonly fileName: string | null
      /** True: a file of the same bytes and name that is there already serves, instead of a new one. */
      readonly reusesFile: boolean
    }
  | { readonly kind: 'file'; readonly fileId: FileId }
  /** To be fetched by the worker. The name is the one that was given; null, and the server's is taken. */
  | { readonly kind: 'url'; readonly url: string; readonly fileName: string | null }
  /** Staged by the client itself, or in parts: together they are the file. Nobody has hashed it yet. */
  | {
      readonly kind: 'uploaded'
      readonly keys: readonly string[]
      readonly bytes: number
      readonly declaredType: string | null
      readonly typeMustMatch: boolean
      readonly fileName: string | null
      /** What the uploader promised. */
      readonly sha256: Digest | null
    }

export type StagedSource = Extract<Source, { kind: 'staged' }>

/** What the image is to be on its product. */
export interface Placement {
  /** As it was given; null for the default, `image`. The step `name` makes a stem of it. */
  readonly name: string | null
  readonly label: string
  readonly excluded: boolean
  /** 1 is the front, and later images move back; null is the end, unless there is a position. */
  readonly rank: number | null
  /** The sort key itself, which moves nothing else. At most one of rank and position is given. */
  readonly position: number | null
  readonly roles: readonly string[]
  /** True, false, or null: only if the product has no main image. */
  readonly main: boolean | null
  /**
   * The main image that this one is to replace, or null in it for none: when another is the main one by then, the ingest is
   * rejected as `main_image_changed`. Null where that does not matter.
   */
  readonly replacesMain: { readonly imageId: ImageId | null } | null
  /** Where set, label, position, exclusion and roles hold in this store view only, and the global ones are defaults. */
  readonly store: number | null
  /**
   * One image per slot: when the product has an image in this slot, its file is replaced, its roles are added, and all else
   * about it stays. Null: the image is always a new one.
   */
  readonly slot: string | null
  /** One image per file: when the product has an image of this file, its roles are added, and it is the image that was asked for. */
  readonly oncePerFile: boolean
}

/** What becomes of the file. */
export type Target = { readonly productId: ProductId } & (
  | { readonly kind: 'attach'; readonly placement: Placement }
  /** The image stays what and where it is and shows the new file; the change is made with it. */
  | { readonly kind: 'replace'; readonly imageId: ImageId; readonly change: ImageChange }
)

export const POSTPONED_BECAUSE = ['outage', 'error', 'source', 'turn', 'shutdown'] as const

/** Why an ingest that had been started waits for its next start, and until when. `turn`: enough is fetched from its host as it is. */
export interface Postponed {
  readonly because: (typeof POSTPONED_BECAUSE)[number]
  readonly until: Date
}

/** One accepted request to bring one image somewhere. */
export interface Ingest {
  readonly id: IngestId
  readonly tenantId: TenantId
  readonly state: IngestState
  readonly source: Source
  /** What was fetched from the address that is its source, so that a later run need not fetch it again. */
  readonly fetched: StagedSource | null
  readonly lane: Lane
  /** Null: the file is kept without a product, or the product is not there yet. */
  readonly target: Target | null
  /** Until the product is there. It stays when the wait was in vain. */
  readonly parking: Parking | null
  /** Starts so far that were not undone by an outage or a shutdown. */
  readonly attempts: number
  /** How often it was queued anew; a job of an earlier epoch is stale. */
  readonly epoch: number
  /** Until it is started again. */
  readonly postponed: Postponed | null
  readonly result: { readonly fileId: FileId; readonly imageId: ImageId | null } | null
  readonly problem: Problem | null
  readonly createdAt: Date
  readonly updatedAt: Date
  readonly finishedAt: Date | null
}

/** All that an ingest has in staging. */
export function stagedKeysOf({ source, fetched }: Pick<Ingest, 'source' | 'fetched'>): readonly string[] {
  if (source.kind === 'staged') return [source.key]
  if (source.kind === 'uploaded') return source.keys
  return source.kind === 'url' && fetched ? [fetched.key] : []
}

/** One line of an ingest's timeline. */
export interface TimelineEntry {
  readonly at: Date
  /** A step of the pipeline, or `accept`, `park`, `unpark`, `start`, `finish`, `requeue`, `replay`. */
  readonly step: string
  readonly attempt: number
  readonly outcome: 'done' | 'skipped' | 'rejected' | 'failed' | 'retried'
  readonly durationMs: number | null
  readonly detail: string | null
}
