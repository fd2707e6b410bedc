/** Webhooks out: who wants to hear of what, and what has been said to them. */
import type { TenantId, WebhookDeliveryId, WebhookId } from './ids.ts'

export const WEBHOOK_EVENTS = [
  'ingest.committed',
  'ingest.rejected',
  'ingest.failed',
  'product.images_changed',
  'import.finished',
] as const

export type WebhookEvent = (typeof WEBHOOK_EVENTS)[number]

/** Sent to an endpoint because somebody asked for it, whatever the endpoint subscribes to. */
export const TEST_EVENT = 'webhook.test'

/** An endpoint of a tenant's own, and the events that it hears of. */
export interface Webhook {
  readonly id: WebhookId
  readonly tenantId: TenantId
  readonly url: string
  readonly description: string | null
  readonly events: readonly WebhookEvent[]
  /** Nothing is recorded for an endpoint that is not; what was recorded before waits. */
  readonly enabled: boolean
  /** Why it was disabled, where that was not the tenant's doing: it answered 410, or it failed for too long. */
  readonly disabledBecause: 'gone' | 'failing' | null
  /** What its secrets are derived with, the newest first. Those whose time is over may still be among them. */
  readonly salts: readonly WebhookSalt[]
  /** Attempts that have failed since the last that did not. */
  readonly failures: number
  readonly failingSince: Date | null
  /** Its circuit is open: nothing is sent before. */
  readonly pausedUntil: Date | null
  readonly createdAt: Date
  readonly updatedAt: Date
}

export interface WebhookSalt {
  readonly salt: string
  /** Null for the one that has not been replaced. */
  readonly until: Date | null
}

export type NewWebhook = Pick<Webhook, 'id' | 'tenantId' | 'url' | 'description' | 'events' | 'enabled'> & {
  readonly salt: string
}

export type WebhookChange = Partial<Pick<Webhook, 'url' | 'description' | 'events' | 'enabled'>>

/** pending → delivered | failed. Failed: given up, by its last attempt or by the endpoint's 410. */
export const DELIVERY_STATES = ['pending', 'delivered', 'failed'] as const

export type DeliveryState = (typeof DELIVERY_STATES)[number]

/** One event on its way to one endpoint. */
export interface WebhookDelivery {
  readonly id: WebhookDeliveryId
  readonly tenantId: TenantId
  readonly webhookId: WebhookId
  /** The same for all endpoints and however often it is sent: the header `webhook-id`. */
  readonly eventId: string
  readonly event: WebhookEvent | typeof TEST_EVENT
  /** As it is signed and sent: JSON. */
  readonly body: string
  readonly state: DeliveryState
  /** Starts so far, also those whose end nobody knows. */
  readonly attempts: number
  /** When the next attempt may begin; of one that is under way, when it counts as lost. */
  readonly dueAt: Date
  /** What came of the attempts, the last `ATTEMPTS_KEPT` of them, oldest first. */
  readonly log: readonly WebhookAttempt[]
  readonly createdAt: Date
  readonly finishedAt: Date | null
}

export interface WebhookAttempt {
  /** RFC 3339. */
  readonly at: string
  readonly durationMs: number
  /** Null when there was no answer. */
  readonly status: number | null
  /** The beginning of its body. */
  readonly response: string | null
  /** Why there was no answer. */
  readonly error: string | null
}

export const ATTEMPTS_KEPT = 10

/** How an attempt ended, and what follows from it. */
export interface DeliveryEnd {
  readonly state: DeliveryState
  /** Until the next attempt, where there is one. */
  readonly waitMs: number
  readonly attempt: WebhookAttempt
  /** The endpoint said that it is gone. */
  readonly isGone: boolean
  /** The endpoint itself is to be left alone for so long, beside what its circuit breaker says. */
  readonly pauseMs: number
}

/** When a circuit opens, and for how long: the first pause, doubled each time up to the second. */
export interface Breaker {
  readonly failuresMax: number
  readonly pauseMsMin: number
  readonly pauseMsMax: number
  /** An endpoint that has only failed for so long is disabled. */
  readonly failingMsMax: number
}

export interface DeliveryFilter {
  readonly states?: readonly DeliveryState[]
  readonly event?: WebhookDelivery['event']
}

/**
 * Deliveries are written by whatever makes their event true, in its transaction: one for each endpoint of the tenant that is
 * enabled and wants it. Deliveries of one product to one endpoint keep their order: the next is not claimed while an earlier
 * one is pending. Times are the database's.
 */
export interface Webhooks {
  /** The same id again returns what is there. Throws `webhooks_exceeded` when the tenant has `max` of them. */
  create(webhook: NewWebhook, max: number): Promise<Webhook>
  find(tenantId: TenantId, id: WebhookId): Promise<Webhook | null>
  /** Newest first. */
  list(tenantId: TenantId): Promise<readonly Webhook[]>
  /** Another address, or being enabled, closes its circuit. Throws `webhook_unknown`. */
  update(tenantId: TenantId, id: WebhookId, change: WebhookChange): Promise<Webhook>
  /**
   * The new salt is the first; the others are valid for `keepMs` at most. Throws `webhook_unknown`, and `webhook_rotations_exceeded`
   * when more than `max` would be valid.
   */
  rotate(tenantId: TenantId, id: WebhookId, salt: string, keepMs: number, max: number): Promise<Webhook>
  /** With its deliveries. False when there is none. */
  remove(tenantId: TenantId, id: WebhookId): Promise<boolean>

  /** Records an event that is no fact of the catalogue, for this endpoint alone. Throws `webhook_unknown`. */
  test(tenantId: TenantId, id: WebhookId): Promise<WebhookDelivery>
  /**
   * Due deliveries of endpoints that are enabled and not paused, each counted as begun. Nobody else gets them until the lease
   * ends or they are finished. One endpoint has about `each` under way at most, one that fails only one; where there are more than
   * `limit`, endpoints take turns.
   */
  claim(limit: number, each: number, leaseMs: number): Promise<readonly ClaimedDelivery[]>
  /** Says how the attempt ended, unless a later one has begun; true when the endpoint was disabled for it. */
  finish(claimed: WebhookDelivery, end: DeliveryEnd, breaker: Breaker): Promise<boolean>
  /** Takes the start back: the attempt did not come to its end. */
  release(claimed: WebhookDelivery): Promise<void>

  findDelivery(tenantId: TenantId, webhookId: WebhookId, id: WebhookDeliveryId): Promise<WebhookDelivery | null>
  /** Newest first, those before `before`. */
  listDeliveries(
    tenantId: TenantId,
    webhookId: WebhookId,
    filter: DeliveryFilter,
    page: { readonly before: WebhookDeliveryId | null; readonly limit: number },
  ): Promise<readonly WebhookDelivery[]>
  /**
   * The same event again, as a new delivery at the end of the line; while one of the same event is pending, that is it.
   * Throws `webhook_unknown`, `webhook_delivery_unknown`.
   */
  redeliver(tenantId: TenantId, webhookId: WebhookId, id: WebhookDeliveryId): Promise<WebhookDelivery>
  /**
   * The events of this time that are not pending, each once and oldest first, `limit` at most; returns how many. Their state is that
   * of their last delivery: what failed and has arrived since is not failed. Throws `webhook_unknown`.
   */
  redeliverRange(
    tenantId: TenantId,
    webhookId: WebhookId,
    range: DeliveryFilter & { readonly from: Date; readonly to: Date },
    limit: number,
  ): Promise<number>
  /** Removes deliveries of all tenants that are older; returns how many. */
  forget(keptMs: number, limit: number): Promise<number>
}

export interface ClaimedDelivery {
  readonly webhook: Webhook
  readonly delivery: WebhookDelivery
}
