/**
 * Every method is one transaction or less. Serialisation failures and deadlocks are retried inside, bounded, and end as
 * `write_conflicted`; a database that cannot be reached is `service_unavailable`. An answer that was lost is never
 * assumed: callers repeat the call, and every call may be repeated. Rows of another tenant do not exist.
 */
import type { Blobs } from '../blob.ts'
import type { Examinations } from '../examination.ts'
import type { Hooks } from '../hook.ts'
import type { IngestId } from '../ids.ts'
import type { Imports } from '../import.ts'
import type { Uploads } from '../upload.ts'
import type { UrlSources } from '../url-source.ts'
import type { Webhooks } from '../webhook.ts'
import type { IdempotencyKeys, Nonces, Tenants, Tokens } from './access.ts'
import type { Catalogue, Hierarchies, Products } from './catalogue.ts'
import type { Files, ProductImages } from './images.ts'
import type { Ingests, Outbox } from './ingests.ts'

export interface Database {
  readonly tenants: Tenants
  readonly tokens: Tokens
  readonly products: Products
  readonly catalogue: Catalogue
  readonly hierarchies: Hierarchies
  readonly images: ProductImages
  readonly files: Files
  readonly blobs: Blobs
  readonly ingests: Ingests
  readonly outbox: Outbox
  readonly imports: Imports
  readonly idempotency: IdempotencyKeys
  readonly nonces: Nonces
  readonly urlSources: UrlSources
  readonly uploads: Uploads
  readonly hooks: Hooks
  readonly webhooks: Webhooks
  readonly examinations: Examinations
  readonly signals: Signals
  /** Resolves when a query was answered; throws `service_unavailable`. */
  ping(): Promise<void>
}

/** Wake-up calls between processes. One may be lost or come for nothing: whoever is woken reads again. */
export interface Signals {
  /** Calls `wake` after each start, release, commit and end, and after every gap in listening. A replay wakes the outbox only. */
  onIngest(id: IngestId, wake: () => void): Disposable
  onOutbox(wake: () => void): Disposable
  /** Calls `wake` when an event was received, or received again. */
  onInbox(wake: () => void): Disposable
  /** Calls `wake` when an event was recorded that somebody wants to hear of. */
  onDelivery(wake: () => void): Disposable
}
