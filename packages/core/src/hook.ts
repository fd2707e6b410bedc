/** Webhooks in: who may send events, what has arrived, and what it is to become. */
import type { Problem } from './errors.ts'
import type { HookEventId, HookSourceId, IngestId, TenantId, TokenId } from './ids.ts'
import type { HookMapping } from './hook-mapping.ts'

/** How the sender shows that an event is its own. Only what the signature covers is believed. */
export type HookVerifier =
  | { readonly kind: (typeof NAMED_VERIFIERS)[number] }
  /** An HMAC in a header, as most senders have it, each in its own way. */
  | {
      readonly kind: 'hmac'
      readonly header: string
      readonly algorithm: 'sha256' | 'sha512' | 'sha1'
      readonly encoding: 'hex' | 'base64'
      /** What stands before the signature, as in `sha256=`. */
      readonly prefix: string
      /** Seconds since 1970, or milliseconds, or RFC 3339. Null: the sender tells no time. */
      readonly timestampHeader: string | null
      /** What is signed: a text with `{body}` in it, and `{timestamp}` when there is one. */
      readonly signed: string
      /** The id of the event as the sender tells it, outside of what is signed. */
      readonly idHeader: string | null
    }

/** Profiles that leave nothing to choose. */
export const NAMED_VERIFIERS = ['standard-webhooks', 's3', 'shopify', 'akeneo-events', 'akeneo-event-platform'] as const

/** Somebody who sends events to a tenant. Its id stands in the address and is no secret: the signature is the permission. */
export interface HookSource {
  readonly id: HookSourceId
  readonly tenantId: TenantId
  /** Who defined it: its ingests are that token's. */
  readonly tokenId: TokenId
  readonly name: string
  readonly verifier: HookVerifier
  /** Sealed, see `sealSecret`. All of them are valid, so that a sender can change over. */
  readonly secrets: readonly string[]
  readonly mapping: HookMapping
  readonly enabled: boolean
  readonly createdAt: Date
  readonly updatedAt: Date
}

export type NewHookSource = Omit<HookSource, 'createdAt' | 'updatedAt'>

export type HookSourceChange = Partial<Pick<HookSource, 'name' | 'verifier' | 'secrets' | 'mapping' | 'enabled'>>

/**
 * received → processed | quarantined | ignored. Processed: each of its items has its ingest, or was rightly passed over.
 * Quarantined: something in it could not be mapped or was refused, and waits for the mapping to be mended. Ignored: it is of no
 * type that the mapping asks for.
 */
export const HOOK_EVENT_STATES = ['received', 'processed', 'quarantined', 'ignored'] as const

export type HookEventState = (typeof HOOK_EVENT_STATES)[number]

export interface NewHookEvent {
  readonly id: HookEventId
  readonly tenantId: TenantId
  readonly sourceId: HookSourceId
  /** What the event is known by: a signed id, or else the digest of the signed body. Unique per source. */
  readonly key: string
  /** The id that the sender told outside of what is signed: a hint, since anybody may have changed it. */
  readonly saidId: string | null
  /** Those that a mapping may ask for; nothing that opens anything. */
  readonly headers: Readonly<Record<string, string>>
  readonly body: Uint8Array
}

/** What has become of one item of an event. */
export type HookResult = { readonly path: string } & (
  | { readonly outcome: 'ingested'; readonly ingestId: IngestId }
  | { readonly outcome: 'completed'; readonly upload: string }
  | { readonly outcome: 'ignored'; readonly because: string }
  | { readonly outcome: 'refused'; readonly errors: readonly HookFault[] }
)

/** What is wrong, and where: a JSON Pointer into the event, or the name of a field of the mapping. */
export interface HookFault {
  readonly field: string
  readonly message: string
}

export interface HookEvent extends NewHookEvent {
  readonly state: HookEventState
  /** Starts that were not undone by an outage. */
  readonly attempts: number
  readonly results: readonly HookResult[]
  readonly problem: Problem | null
  readonly receivedAt: Date
  readonly processedAt: Date | null
}

export interface HookEventFilter {
  readonly states?: readonly HookEventState[]
  readonly ids?: readonly HookEventId[]
  readonly receivedFrom?: Date
  readonly receivedTo?: Date
}

/** Times are the database's. */
export interface Hooks {
  /** The same id again returns what is there. Throws `hook_sources_exceeded` when the tenant has `max` of them. */
  createSource(source: NewHookSource, max: number): Promise<HookSource>
  findSource(tenantId: TenantId, id: HookSourceId): Promise<HookSource | null>
  /** For a caller that only knows the address. */
  findSourceByAddress(id: HookSourceId): Promise<HookSource | null>
  /** Newest first. */
  listSources(tenantId: TenantId): Promise<readonly HookSource[]>
  /** Throws `hook_source_unknown`. */
  updateSource(tenantId: TenantId, id: HookSourceId, change: HookSourceChange): Promise<HookSource>
  /** With its events. False when there is none. */
  removeSource(tenantId: TenantId, id: HookSourceId): Promise<boolean>

  /**
   * One insert. False when an event of this key is there already. One that tells an id which an event of another key has told is
   * kept in quarantine as `event_id_reused`.
   */
  receive(event: NewHookEvent): Promise<boolean>
  /** How many of a source are to be processed; it counts no further than to `max`. */
  countWaiting(sourceId: HookSourceId, max: number): Promise<number>
  /**
   * Events of sources that are enabled, each counted as begun. Sources take turns; of one source the oldest come first. Nobody else
   * gets them until the lease ends or they are released.
   */
  claim(limit: number, leaseMs: number): Promise<readonly HookEvent[]>
  /** It is due again after `waitMs`; with `forgiveAttempt` the start does not count. */
  release(id: HookEventId, options: { readonly waitMs: number; readonly forgiveAttempt: boolean }): Promise<void>
  /** False when it was not to be processed any more. */
  finish(
    id: HookEventId,
    end: { readonly state: HookEventState; readonly results: readonly HookResult[]; readonly problem: Problem | null },
  ): Promise<boolean>
  /**
   * Whose item this is: the ingest that was named for the key first, whether it has been accepted yet or not, unless that one
   * was rejected or failed: then the candidate takes its place, and what failed is not replayed any more (`superseded_by` among the
   * details of its problem).
   */
  holdItem(sourceId: HookSourceId, key: string, candidate: IngestId): Promise<IngestId>
  /** False when a greater version of the subject was seen before; versions are compared as bytes. */
  advance(sourceId: HookSourceId, subject: string, version: string): Promise<boolean>

  findEvent(tenantId: TenantId, sourceId: HookSourceId, id: HookEventId): Promise<HookEvent | null>
  /** Newest first, the ids below `before`; bodies are left empty. */
  listEvents(
    tenantId: TenantId,
    sourceId: HookSourceId,
    filter: HookEventFilter,
    page: { readonly before: HookEventId | null; readonly limit: number },
  ): Promise<readonly HookEvent[]>
  /** Quarantined ones that the filter finds are received again, oldest first; returns how many. */
  redrive(tenantId: TenantId, sourceId: HookSourceId, filter: HookEventFilter, limit: number): Promise<number>
  /** Removes events of all tenants that were received before `keptMs`, but those that are still to be processed; returns how many. */
  forget(keptMs: number, limit: number): Promise<number>
}
