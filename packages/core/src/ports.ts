/** All that the core asks of the world. Contracts stand here and in `ports/`; each implementation passes the suite in `testing/`. */
import type { FetchSlots } from './fetch-slots.ts'
import type { Limits } from './limits.ts'
import type { Database } from './ports/database.ts'
import type { Decoder } from './ports/decoder.ts'
import type { Fetcher } from './ports/fetcher.ts'
import type { Objects } from './ports/objects.ts'
import type { Observer } from './ports/observer.ts'
import type { JobQueue } from './ports/queue.ts'

export * from './ports/database.ts'
export * from './ports/access.ts'
export * from './ports/catalogue.ts'
export * from './ports/images.ts'
export * from './ports/ingests.ts'
export * from './ports/queue.ts'
export * from './ports/objects.ts'
export * from './ports/decoder.ts'
export * from './ports/fetcher.ts'
export * from './ports/observer.ts'

export interface World {
  readonly database: Database
  readonly objects: Objects
  readonly queue: JobQueue
  readonly decoder: Decoder
  readonly fetcher: Fetcher
  /** How many fetches of this process run at a time. */
  readonly fetchSlots: FetchSlots
  readonly observer: Observer
  readonly policy: Policy
  readonly limits: Limits
  /** A UUID, version 7: ids sort by the time they were made. */
  readonly newId: () => string
  readonly now: () => Date
  /** In [0, 1): the jitter of retries. */
  readonly random: () => number
}

/** What an operator may decide about content. */
export interface Policy {
  /** Whether GPS coordinates in EXIF are kept among the facts. The stored bytes are never rewritten. */
  readonly keepGps: boolean
  /** Roles that an image may have; contains `MAIN_ROLE`. */
  readonly roles: readonly string[]
  /** The tenant whose live products anybody may look at where a dialect knows guests; null: guests are turned away. */
  readonly guestTenant: string | null
  /** The address under which clients reach us, without a slash at its end; null: the one that they used. */
  readonly publicUrl: string | null
}
