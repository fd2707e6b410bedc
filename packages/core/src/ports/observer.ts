/** What happens, said once. */
import type { HookEventState } from '../hook.ts'
import type { HookEventId, HookSourceId, IngestId, TokenId, WebhookDeliveryId, WebhookId } from '../ids.ts'
import type { IngestState, TimelineEntry } from '../ingest.ts'
import type { DeliveryState, Webhook } from '../webhook.ts'

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
