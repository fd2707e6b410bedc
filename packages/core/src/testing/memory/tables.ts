import type { Facts, File } from '../../file.ts'
import type { FileId, IngestId, ProductId, TenantId, TokenId, WebhookDeliveryId, WebhookId } from '../../ids.ts'
import type { Ingest, Lane, TimelineEntry } from '../../ingest.ts'
import type { IngestJob, RecordedAnswer, TokenRecord } from '../../ports.ts'
import type { Product, ProductImage, ProductRef, StoreRole } from '../../product-image.ts'
import type { Webhook, WebhookDelivery } from '../../webhook.ts'

/**
 * All that the database in memory holds. Values are replaced and never changed, so what was handed out stays what it was;
 * and since no method waits between looking and writing, each is a transaction, if it throws before it writes.
 */
export interface Tables {
  readonly now: () => Date
  readonly nextNumber: () => number
  readonly tenants: Map<string, TenantId>
  /** Of those tenants whose share is another than 1. */
  readonly weights: Map<TenantId, number>
  /** By their hash. */
  readonly tokens: Map<string, TokenRecord>
  readonly products: Map<ProductId, ProductRow>
  /** By the key of their blob, which begins with the tenant. */
  readonly facts: Map<string, Facts>
  /** By the key of their blob. */
  readonly removals: Map<string, Removal>
  readonly files: Map<FileId, File>
  readonly ingests: Map<IngestId, Ingest>
  /** Who asked for them. */
  readonly askers: Map<IngestId, TokenId>
  /** Of those whose answer equal requests may still claim. */
  readonly answers: Map<IngestId, { readonly fingerprint: string; readonly heldUntilMs: number }>
  readonly timelines: Map<IngestId, readonly TimelineEntry[]>
  /** In the order in which they were written. */
  readonly outbox: Map<string, OutboxRow>
  /** By lane and tenant. */
  readonly turns: Map<string, { readonly started: number; readonly ended: number }>
  /** By tenant and key. */
  readonly keys: Map<string, KeyRow>
  readonly webhooks: Map<WebhookId, Webhook>
  /** In their order. */
  readonly deliveries: Map<WebhookDeliveryId, DeliveryRow>
  readonly wake: (listened: IngestId | typeof OUTBOX | typeof INBOX | typeof DELIVERY) => void
}

export const OUTBOX = 'outbox'
export const INBOX = 'inbox'
export const DELIVERY = 'delivery'

export interface OutboxRow {
  readonly job: IngestJob
  readonly tenantId: TenantId
  readonly lane: Lane
  readonly sinceMs: number
  readonly again: boolean
  readonly claimedUntilMs: number
}

export interface Removal {
  readonly markedAtMs: number | null
  readonly begunAtMs: number | null
  readonly endedAtMs: number | null
}

export interface ProductRow {
  readonly product: Product
  /** In their order. */
  readonly images: readonly ProductImage[]
  /** By store and role. */
  readonly storeRoles: readonly StoreRole[]
  /** All that were ever given. */
  readonly names: ReadonlySet<string>
}

export interface DeliveryRow {
  readonly delivery: WebhookDelivery
  readonly subject: string
  readonly isUnderWay: boolean
}

export interface KeyRow {
  readonly owner: IngestId
  readonly leaseUntilMs: number
  readonly createdAtMs: number
  /** Null until the key is bound to the owner. */
  readonly fingerprint: string | null
  readonly answer: RecordedAnswer | null
}

export function openTables(options: Pick<Tables, 'now' | 'wake'>): Tables {
  let numbers = 0
  return {
    ...options,
    nextNumber: () => ++numbers,
    tenants: new Map(),
    weights: new Map(),
    tokens: new Map(),
    products: new Map(),
    facts: new Map(),
    removals: new Map(),
    files: new Map(),
    ingests: new Map(),
    askers: new Map(),
    answers: new Map(),
    timelines: new Map(),
    outbox: new Map(),
    turns: new Map(),
    keys: new Map(),
    webhooks: new Map(),
    deliveries: new Map(),
  }
}

export function findProduct({ products }: Tables, tenantId: TenantId, ref: ProductRef): ProductRow | null {
  const isIt = ({ product }: ProductRow) => product.tenantId === tenantId && isReferred(product, ref)
  return products.values().find(isIt) ?? null
}

function isReferred(product: Product, ref: ProductRef): boolean {
  if (ref.kind === 'id') return product.id === ref.id
  if (ref.kind === 'number') return product.number === ref.number
  return ref.kind === 'model'
    ? product.kind === 'model' && product.sku === ref.code
    : product.kind === 'product' && product.sku === ref.sku
}

/** What a change to an ingest leaves in its timeline: the lines of a run, and then one of the database's own. */
export interface Notes {
  readonly run?: readonly TimelineEntry[]
  readonly own?: Pick<TimelineEntry, 'step' | 'outcome'>
}

export function writeIngest(tables: Tables, ingest: Ingest, { run = [], own }: Notes): Ingest {
  const { id, attempts: attempt } = ingest
  const at = tables.now()
  const written = { ...ingest, updatedAt: at }
  const last: TimelineEntry[] = own ? [{ at, attempt, durationMs: null, detail: null, ...own }] : []
  tables.ingests.set(id, written)
  tables.timelines.set(id, [...(tables.timelines.get(id) ?? []), ...run, ...last])
  return written
}

export function enqueue(tables: Tables, ingest: Ingest, since: Date = ingest.createdAt, again = false): void {
  const { id: ingestId, epoch, tenantId, lane } = ingest
  const row = { job: { ingestId, epoch }, tenantId, lane, sinceMs: since.getTime(), again, claimedUntilMs: 0 }
  tables.outbox.set(String(tables.nextNumber()), row)
  tables.wake(OUTBOX)
}
