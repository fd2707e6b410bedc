/** All that the core asks of the world. Contracts stand here; each implementation passes the suite in `testing/`. */
import type { Attribute, Channel, StoreView } from './catalogue.ts'
import type { Problem } from './errors.ts'
import type { Facts, File } from './file.ts'
import type { HookEventState, Hooks } from './hook.ts'
import type { ChildRef, Hierarchy, HierarchyFields, Node, NodeFields } from './hierarchy.ts'
import type { Imports } from './import.ts'
import type {
  Digest,
  FileId,
  HierarchyId,
  HookEventId,
  HookSourceId,
  ImageId,
  IngestId,
  NodeId,
  ProductId,
  TenantId,
  TokenId,
  WebhookDeliveryId,
  WebhookId,
} from './ids.ts'
import type { Blobs } from './blob.ts'
import type { Examinations } from './examination.ts'
import type { FetchSlots } from './fetch-slots.ts'
import type { Ingest, IngestState, Lane, Parking, Placement, Postponed, Source, StagedSource, TimelineEntry } from './ingest.ts'
import type { Limits } from './limits.ts'
import type { ImageList, ImageRef, Product, ProductImage, ProductRef } from './product-image.ts'
import type { Uploads } from './upload.ts'
import type { UrlSources, Validators } from './url-source.ts'
import type { DeliveryState, Webhook, Webhooks } from './webhook.ts'

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

// ── Database ────────────────────────────────────────────────────────────────────────────────────────────────────────
// Every method is one transaction or less. Serialisation failures and deadlocks are retried inside, bounded, and end as
// `write_conflicted`; a database that cannot be reached is `service_unavailable`. An answer that was lost is never
// assumed: callers repeat the call, and every call may be repeated. Rows of another tenant do not exist.

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

export const WEIGHT_MAX = 1_000

export interface Tenants {
  /** The tenant `default` exists from the first migration. */
  findByName(name: string): Promise<TenantId | null>
  exists(tenantId: TenantId): Promise<boolean>
  /** Its share of the queue while others wait too, from 1, which is everybody's at first, to `WEIGHT_MAX`. False when there is no such tenant. */
  setWeight(tenantId: TenantId, weight: number): Promise<boolean>
}

export const TOKEN_ROLES = ['admin', 'writer', 'reader'] as const
export type TokenRole = (typeof TOKEN_ROLES)[number]

/** Who asks. The tenant comes from here and from nowhere else. */
export interface Caller {
  readonly tokenId: TokenId
  readonly tenantId: TenantId
  readonly role: TokenRole
  readonly name: string
  /** The integer identity for dialects whose clients know only integers. */
  readonly number: number
}

export interface TokenRecord extends Caller {
  /** The first characters, to recognise a token by; never enough to use it. */
  readonly prefix: string
  readonly createdAt: Date
  readonly expiresAt: Date | null
  readonly revokedAt: Date | null
  /** Of a request that it let in, to the minute; null when there was none. */
  readonly lastUsedAt: Date | null
}

export interface Tokens {
  /** The caller behind a token, or behind an access token that was issued for it. Null when the hash is unknown, revoked, or expired by the database's clock. */
  authenticate(sha256Hex: string): Promise<Caller | null>
  /** The same question for a session that was opened with a token. */
  findActive(tokenId: TokenId): Promise<Caller | null>
  /** Creating the same hash again changes nothing and returns what is there. */
  create(token: {
    id: TokenId
    tenantId: TenantId
    name: string
    role: TokenRole
    sha256Hex: string
    prefix: string
    expiresAt: Date | null
  }): Promise<TokenRecord>
  /** They were used just now. Of those that were noted within `TOKEN_USE_MS` nothing changes. */
  noteUse(tokenIds: readonly TokenId[]): Promise<void>
  /** Newest first. */
  list(tenantId: TenantId): Promise<readonly TokenRecord[]>
  /** False when there is no such token. Revoking twice is fine. */
  revoke(tenantId: TenantId, tokenId: TokenId): Promise<boolean>
  /**
   * Short-lived keys that act as the token, as long as that is active: an access token authenticates, a refresh token can be
   * redeemed once. Those of the token that have expired are removed; of those that have not, the newest `ISSUED_MAX` stay.
   */
  issue(tokenId: TokenId, keys: readonly IssuedKey[]): Promise<void>
  /** The caller behind a refresh token, which is void from now on. Null for all else. */
  redeem(sha256Hex: string): Promise<Caller | null>
  /** Removes issued keys that have expired; returns how many. */
  forgetExpired(limit: number): Promise<number>
  /** The PEM of the key that checks RSA-SHA1 signatures of OAuth 1.0a; null when the token has none, or is not active. */
  findPublicKey(tokenId: TokenId): Promise<string | null>
  /** False when there is no such token. */
  setPublicKey(tenantId: TenantId, tokenId: TokenId, pem: string | null): Promise<boolean>
}

/** How exact the last use of a token is: to write it with each request would be a write for each read. */
export const TOKEN_USE_MS = 60_000

export interface IssuedKey {
  readonly sha256Hex: string
  readonly kind: 'access' | 'refresh'
  readonly ttlMs: number
}

/** Issued keys of one token that are valid at the same time. */
export const ISSUED_MAX = 1_000

/** Single use within a window of time, by the database's clock. */
export interface Nonces {
  /**
   * False when this nonce was used before with this timestamp, or when the timestamp, in seconds, lies further than `keepMs`
   * from now: what could have been forgotten is refused. `keepMs` is at most `NONCE_MS_MAX`.
   */
  use(tokenId: TokenId, timestamp: number, nonce: string, keepMs: number): Promise<boolean>
  /** Lets go of what `use` refuses for its age, where that costs next to nothing. */
  forget(): Promise<void>
}

/** The longest that a nonce can be remembered. */
export const NONCE_MS_MAX = 1_800_000

export interface Products {
  /** Throws `sku_taken`. Versions begin at 1. The same id and SKU again return what is there. */
  create(product: NewProduct): Promise<Product>
  find(tenantId: TenantId, ref: ProductRef): Promise<Product | null>
  /**
   * Throws `product_unknown`, and `owned_by_organization` unless it gives the product to the store. The version is that of the
   * images, and stays.
   */
  update(tenantId: TenantId, ref: ProductRef, change: ProductChange): Promise<Product>
  /** Newest first, models not among them. */
  list(tenantId: TenantId, page: OffsetPage): Promise<Listed<Product>>
}

export type NewProduct = {
  readonly id: ProductId
  readonly tenantId: TenantId
  readonly sku: string
  readonly title: string | null
} & Partial<Pick<Product, 'kind' | 'status' | 'owner' | 'websites' | 'acceptsImages' | 'extra'>>

export type ProductChange = Partial<Pick<Product, 'title' | 'status' | 'owner' | 'websites' | 'acceptsImages' | 'extra'>>

export interface OffsetPage {
  readonly offset: number
  readonly limit: number
}

export interface Listed<Item> {
  readonly items: readonly Item[]
  /** Of all pages. */
  readonly total: number
}

/** All `put…` create or replace; all `remove…` are fine with what is not there. Lists are by code, store views by number. */
export interface Catalogue {
  putAttribute(tenantId: TenantId, attribute: Attribute): Promise<void>
  findAttribute(tenantId: TenantId, code: string): Promise<Attribute | null>
  listAttributes(tenantId: TenantId): Promise<readonly Attribute[]>
  removeAttribute(tenantId: TenantId, code: string): Promise<void>
  putChannel(tenantId: TenantId, channel: Channel): Promise<void>
  findChannel(tenantId: TenantId, code: string): Promise<Channel | null>
  listChannels(tenantId: TenantId): Promise<readonly Channel[]>
  removeChannel(tenantId: TenantId, code: string): Promise<void>
  /** The number of a new one is the next of the tenant; that of a known one stays. */
  putStore(tenantId: TenantId, store: Omit<StoreView, 'number'>): Promise<StoreView>
  findStore(tenantId: TenantId, ref: number | string): Promise<StoreView | null>
  listStores(tenantId: TenantId): Promise<readonly StoreView[]>
}

/**
 * Changes to one hierarchy hold its row lock, so they happen one after the other; each is all or nothing. They throw
 * `hierarchy_unknown`, `node_unknown`, `nodes_missing` (details: `missingIds`), `node_name_taken`, `node_slug_taken`,
 * `node_cyclic`. Names and slugs of nodes that would stand beside each other twice, in one request too, are taken.
 * What belongs to the organization, or stands in a hierarchy that does, is `owned_by_organization`: it is neither changed, nor moved
 * or removed, nor does it gain or lose children. All that is possible is to give it to the store.
 */
export interface Hierarchies {
  /** The same id again returns what is there; so for nodes. Where a node would lie too deep, `node_too_deep` is thrown. */
  create(hierarchy: { readonly id: HierarchyId; readonly tenantId: TenantId } & HierarchyFields): Promise<Hierarchy>
  find(tenantId: TenantId, id: HierarchyId): Promise<Hierarchy | null>
  /** Newest first. */
  list(tenantId: TenantId, page: OffsetPage): Promise<Listed<Hierarchy>>
  update(tenantId: TenantId, id: HierarchyId, change: Partial<HierarchyFields>): Promise<Hierarchy>
  /** With all its nodes. */
  remove(tenantId: TenantId, id: HierarchyId): Promise<void>
  createNode(
    tenantId: TenantId,
    hierarchyId: HierarchyId,
    node: { readonly id: NodeId; readonly parentId: NodeId | null } & NodeFields,
    limits: Pick<Limits, 'nodeDepthMax'>,
  ): Promise<Node>
  findNode(tenantId: TenantId, hierarchyId: HierarchyId, nodeId: NodeId): Promise<Node | null>
  updateNode(tenantId: TenantId, hierarchyId: HierarchyId, nodeId: NodeId, change: Partial<NodeFields>): Promise<Node>
  /** With all that lies below it. */
  removeNode(tenantId: TenantId, hierarchyId: HierarchyId, nodeId: NodeId): Promise<void>
  /** Null for the root level; `all` for every depth. In the order of siblings. Throws `hierarchy_unknown`, `node_unknown`. */
  listNodes(tenantId: TenantId, hierarchyId: HierarchyId, parent: NodeId | null | 'all', page: OffsetPage): Promise<Listed<Node>>
  /** Moves the children, with what lies below them, under the parent, or to the root level; the children count as updated now. */
  adopt(
    tenantId: TenantId,
    hierarchyId: HierarchyId,
    parent: NodeId | null,
    children: readonly ChildRef[],
    limits: Pick<Limits, 'nodeDepthMax'>,
  ): Promise<void>
}

export interface ImageChange {
  readonly label?: string
  readonly excluded?: boolean
  /** Moves it there, counted as if it had been taken out first; beyond the end is the end. */
  readonly rank?: number
  /** The sort key itself, which moves nothing else. Not together with `rank`. */
  readonly position?: number
  /** Exactly these, taken from other images where they had them. Does not touch the main role unless it is listed. */
  readonly roles?: readonly string[]
  /** False also where the roles list the main one. */
  readonly main?: boolean
  /**
   * Where set, label, position, exclusion and roles change in this store view only: of the roles that the image shows there, those
   * that are not listed, the main one included, are nobody's there. Without rank and main.
   */
  readonly store?: number
}

/**
 * Changes hold the product's row lock, so they happen one after the other, and each returns the product's new version, also
 * where nothing differs. With `expectedVersion` they throw `version_mismatched` (details: `version`, `order`) when the product
 * has another, before they look at anything else but the owner: what belongs to the organization is `owned_by_organization`. A
 * product or image that does not exist is `product_unknown` or `image_unknown`.
 */
export interface ProductImages {
  /** Version and images of one moment. */
  list(tenantId: TenantId, ref: ProductRef): Promise<ImageList | null>
  /** Where those of its images came from that were fetched. */
  urls(tenantId: TenantId, productId: ProductId): Promise<ReadonlyMap<ImageId, string>>
  find(
    tenantId: TenantId,
    ref: ProductRef,
    image: ImageRef,
  ): Promise<{ version: number; rank: number; image: ProductImage } | null>
  edit(tenantId: TenantId, ref: ProductRef, image: ImageRef, change: ImageChange, expectedVersion: number | null): Promise<number>
  /** When the main image goes, `promote` makes the first of the rest the main one; `clear` leaves none. */
  remove(
    tenantId: TenantId,
    ref: ProductRef,
    image: ImageRef,
    main: 'promote' | 'clear',
    expectedVersion: number | null,
  ): Promise<number>
  /** Positions become 1…n. Throws `order_incomplete` unless `order` names each image exactly once. */
  reorder(tenantId: TenantId, ref: ProductRef, order: readonly ImageId[], expectedVersion: number | null): Promise<number>
  /**
   * Null: no image is the main one. Throws `main_image_changed` when `replaces` names another main image than there is by then;
   * undefined where that does not matter. What is the main one already stays it, and that makes no version.
   */
  setMain(
    tenantId: TenantId,
    ref: ProductRef,
    imageId: ImageId | null,
    expectedVersion: number | null,
    replaces?: ImageId | null,
  ): Promise<number>
  /** Takes off all images that are not named and puts the rest into this order. Throws `order_incomplete` where a named one is not there, or named twice. */
  keepOnly(tenantId: TenantId, ref: ProductRef, order: readonly ImageId[], expectedVersion: number | null): Promise<number>
}

export interface Files {
  find(tenantId: TenantId, fileId: FileId): Promise<File | null>
  findByCode(tenantId: TenantId, code: string): Promise<File | null>
  /** Those of them that there are, in any order. */
  findMany(tenantId: TenantId, fileIds: readonly FileId[]): Promise<readonly File[]>
  /** In the order in which they were stored. `total` is counted only where it is asked for, and is 0 otherwise. */
  list(
    tenantId: TenantId,
    filter: readonly FileCondition[],
    page: OffsetPage & { readonly withTotal: boolean },
  ): Promise<Listed<File>>
  /**
   * Takes the file away, and the images that show it off their products, of which each becomes a new version. False when there is none.
   * Throws `owned_by_organization` where one of these products is the organization's.
   */
  remove(tenantId: TenantId, fileId: FileId): Promise<boolean>
  /** The oldest file of each of these digests that there is. */
  findByDigests(tenantId: TenantId, digests: readonly Digest[]): Promise<ReadonlyMap<Digest, FileId>>
  /** What is known of bytes that this tenant has stored before. What was found first stays, for all files of these bytes. */
  findFacts(tenantId: TenantId, digest: Digest): Promise<Facts | null>
}

/** All of them hold. `like` knows `*` for any text, and ignores case. */
export type FileCondition =
  | { readonly field: 'name'; readonly operator: 'eq' | 'like'; readonly value: string }
  | { readonly field: 'width' | 'height' | 'bytes'; readonly operator: 'eq' | 'lt' | 'le' | 'gt' | 'ge'; readonly value: number }

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

/** What was answered to a request, to be answered again. */
export interface RecordedAnswer {
  readonly status: number
  readonly headers: Readonly<Record<string, string>>
  readonly body: string
}

export type Reservation =
  | { readonly kind: 'reserved' }
  | { readonly kind: 'in_flight' }
  | { readonly kind: 'known'; readonly fingerprint: string; readonly ingestId: IngestId; readonly answer: RecordedAnswer | null }

/** draft-ietf-httpapi-idempotency-key-header. Times are the database's. */
export interface IdempotencyKeys {
  /**
   * The owner is the ingest that the request is going to make. A reservation whose lease has ended is taken over; a key older
   * than `keepMs` is forgotten. An owner may reserve again what is not bound yet.
   */
  reserve(tenantId: TenantId, key: string, owner: IngestId, leaseMs: number, keepMs: number): Promise<Reservation>
  /** No effect unless the key is bound to the owner. */
  record(tenantId: TenantId, key: string, owner: IngestId, answer: RecordedAnswer): Promise<void>
  /** Gives a key back that came to nothing; no effect once it is bound to an ingest, or for another owner. */
  release(tenantId: TenantId, key: string, owner: IngestId): Promise<void>
  /** Removes keys older than `keepMs`; returns how many. */
  forget(keepMs: number, limit: number): Promise<number>
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

// ── Queue ───────────────────────────────────────────────────────────────────────────────────────────────────────────

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

// ── Objects ─────────────────────────────────────────────────────────────────────────────────────────────────────────
// Two roles: staged bytes as they arrived, and blobs under keys that name their content. A store that cannot be reached or
// does not answer in time is `service_unavailable`; one without room is `storage_full`.

export interface LocalCopy extends AsyncDisposable {
  /** A file that other processes of this machine can read until the copy is disposed of. */
  readonly path: string
  /** Counted and hashed from what was read back, not from what was sent. */
  readonly bytes: number
  readonly digest: Digest
}

/** What is signed: nothing else can be put there. */
export interface DirectBounds {
  readonly bytes: number
  /** Null: any. */
  readonly mediaType: string | null
  readonly expiresAt: Date
}

export interface DirectUpload {
  /** A PUT to this address, with these headers. */
  readonly put: { readonly url: string; readonly headers: Readonly<Record<string, string>> }
  /** Or a form as browsers send it: these fields, and after them the file as `file`. */
  readonly post: { readonly url: string; readonly fields: Readonly<Record<string, string>> }
}

/** A blob as its store tells of it. */
export interface StoredBlob {
  readonly key: string
  readonly bytes: number
  /** By the clock of the store. */
  readonly modifiedAt: Date
}

export interface Objects {
  /** Resolves when the bytes are durable. When the stream throws or the signal is aborted, nothing stays under the key. */
  stage(key: string, bytes: AsyncIterable<Uint8Array>, signal: AbortSignal): Promise<void>
  /** Null when nothing is staged under the key. */
  checkOut(key: string, signal: AbortSignal): Promise<LocalCopy | null>
  /** What is staged under these keys, one after the other, as one copy. Null when one of them is missing. */
  gather(keys: readonly string[], signal: AbortSignal): Promise<LocalCopy | null>
  /** Size in bytes; null when nothing is staged under the key. */
  statStaged(key: string): Promise<number | null>
  /** Whether clients may put bytes into staging by themselves. */
  readonly takesDirectUploads: boolean
  /** How a client puts exactly these bytes there. Throws where it cannot. */
  presign(key: string, bounds: DirectBounds): Promise<DirectUpload>
  /**
   * Makes staged bytes a blob and checks its length. The same bytes under the same key twice are harmless. The staged ones stay. With
   * no key the copy itself is what is stored: for bytes that others may still replace where they are staged.
   */
  promote(stagedKey: string | null, copy: LocalCopy, blobKey: string, mediaType: string, signal: AbortSignal): Promise<void>
  /** Removing what is not there is fine. */
  unstage(key: string): Promise<void>
  /**
   * Keys that were staged before, at most `limit`, in an order of the store's own that stays; with `after`, which need not be there
   * any more, those that follow it.
   */
  listStaged(before: Date, limit: number, after?: string | null): Promise<readonly string[]>
  /** For small derived objects. Overwrites. */
  putBlob(key: string, bytes: Uint8Array, mediaType: string, signal: AbortSignal): Promise<void>
  /** Size in bytes; null when there is no such blob. */
  statBlob(key: string): Promise<number | null>
  /** In the order of the bytes of their keys, at most `limit`; with `after`, which need not be there any more, those that follow it. */
  listBlobs(limit: number, after?: string | null): Promise<readonly StoredBlob[]>
  /** Removing what is not there is fine. */
  removeBlob(key: string): Promise<void>
  /** `range` is inclusive and lies inside the blob. Null when there is no such blob. */
  readBlob(
    key: string,
    range: { start: number; end: number } | null,
    signal: AbortSignal,
  ): Promise<AsyncIterable<Uint8Array> | null>
  ping(): Promise<void>
}

// ── Decoder ─────────────────────────────────────────────────────────────────────────────────────────────────────────

/** What one full decode tells. `exif` is complete: what may be kept of it is policy. */
export interface Inspection extends Omit<Facts, 'bytes' | 'digest' | 'thumbnail'> {
  readonly thumbnail: { readonly data: Uint8Array; readonly width: number; readonly height: number }
}

export interface Decoder {
  /** The media type that the first bytes show (4100 are enough), accepted or not; null when they show none. */
  sniff(head: Uint8Array): Promise<string | null>
  /**
   * Decodes every frame once, in a process of its own, under the limits. Throws `media_type_unsupported`, `image_corrupt`,
   * `image_truncated`, `image_pixels_exceeded`, `image_frames_exceeded`, `image_too_costly` for the image's faults, and
   * `service_unavailable` when the signal is aborted before its turn has come.
   */
  inspect(path: string, signal: AbortSignal): Promise<Inspection>
}

// ── Fetcher ─────────────────────────────────────────────────────────────────────────────────────────────────────────

export interface Fetched {
  readonly contentType: string | null
  /** From Content-Disposition, or else the last segment of the path; not yet made safe. */
  readonly fileName: string | null
  /** For the next time. */
  readonly validators: Validators
  /** Throws `file_too_large`, or `source_unavailable` when it breaks off. */
  readonly bytes: AsyncIterable<Uint8Array>
}

/** The only way to an address that a stranger gave: public addresses only, checked again at each redirect, bounded in time and size. */
export interface Fetcher {
  /** The address as it would be asked for. Throws `url_invalid` or `url_forbidden` where that can be seen without asking anybody. */
  check(url: string): string
  /**
   * Throws `url_invalid`, `url_forbidden` and `url_unreachable` where the address is at fault, and `source_unavailable` where waiting
   * may help; `retryAfterMs` in its details is what the server asks for.
   */
  fetch(url: string, signal: AbortSignal): Promise<Fetched>
  /** The same; null when there is still what the validators were got with. */
  fetchChanged(url: string, known: Validators, signal: AbortSignal): Promise<Fetched | null>
  /**
   * Sends and reads what is answered, whatever its status; a redirect is an answer and leads nowhere. The same errors where there
   * is none.
   */
  post(url: string, request: PostRequest, signal: AbortSignal): Promise<Posted>
}

export interface PostRequest {
  readonly headers: Readonly<Record<string, string>>
  readonly body: string
  /** From the look-up of the name to the end of the answer. */
  readonly timeoutMs: number
  /** What is longer is cut. */
  readonly responseBytesMax: number
}

export interface Posted {
  readonly status: number
  /** The header, as it came. */
  readonly retryAfter: string | null
  /** As text, however it is encoded. */
  readonly body: string
}

// ── Observer ────────────────────────────────────────────────────────────────────────────────────────────────────────

/** What happens, said once; the runtime makes log lines and metrics of it. */
export type Observed =
  | { readonly kind: 'ingest.accepted'; readonly ingestId: IngestId; readonly bytes: number }
  | {
      readonly kind: 'ingest.step_ended'
      readonly ingestId: IngestId
      readonly step: string
      readonly outcome: TimelineEntry['outcome']
      readonly durationMs: number
    }
  | {
      readonly kind: 'ingest.ended'
      readonly ingestId: IngestId
      readonly state: IngestState
      readonly code: string | null
      readonly totalMs: number
      readonly cause?: unknown
    }
  /** Turned away by one of the bounds of `backpressure.ts`, named after its limit. */
  | { readonly kind: 'intake.shed'; readonly bound: string }
  | { readonly kind: 'ingest.postponed'; readonly ingestId: IngestId; readonly waitMs: number; readonly cause: unknown }
  | { readonly kind: 'outbox.relayed'; readonly count: number }
  | { readonly kind: 'ingest.requeued'; readonly ingestIds: readonly IngestId[] }
  /** Somebody asked for it. */
  | { readonly kind: 'ingest.replayed'; readonly ingestIds: readonly IngestId[] }
  /** Their product was there, and nobody had told them. */
  | { readonly kind: 'ingest.unparked'; readonly ingestIds: readonly IngestId[] }
  /** Their product did not come in time. */
  | { readonly kind: 'ingest.expired'; readonly ingestIds: readonly IngestId[] }
  | { readonly kind: 'staging.swept'; readonly count: number }
  | { readonly kind: 'hook.received'; readonly sourceId: HookSourceId; readonly isNew: boolean }
  | { readonly kind: 'hook.ended'; readonly eventId: HookEventId; readonly state: HookEventState; readonly ingests: number }
  | {
      readonly kind: 'webhook.sent'
      readonly webhookId: WebhookId
      readonly deliveryId: WebhookDeliveryId
      readonly state: DeliveryState
      /** Null when there was no answer. */
      readonly status: number | null
    }
  | {
      readonly kind: 'webhook.disabled'
      readonly webhookId: WebhookId
      readonly because: NonNullable<Webhook['disabledBecause']>
    }
  /** A token has sent more than it may. */
  | { readonly kind: 'request.limited'; readonly tokenId: TokenId; readonly because: 'rate' | 'at_once' }
  | { readonly kind: 'background.failed'; readonly task: string; readonly cause: unknown }

export interface Observer {
  observe(event: Observed): void
}
