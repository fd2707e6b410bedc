/** Webhooks out, as they stand on the native wire. */
import { DELIVERY_STATES, type Limits, TEST_EVENT, type Webhook, WEBHOOK_EVENTS, type WebhookDelivery } from '@sluice/core'
import { Type } from 'typebox'
import { TEXT, WELL_FORMED } from '../validation.ts'
import { nullable } from './schemas.ts'

const time = Type.String({ format: 'date-time' })
const uuid = Type.String({ format: 'uuid' })
const link = Type.String({ format: 'uri-reference' })

export const webhookFields = (limits: Limits) => ({
  url: Type.String({
    minLength: 1,
    maxLength: limits.webhookUrlLengthMax,
    description: 'Where events are sent: `https:`, at a public address.',
    examples: ['https://shop.example.com/sluice'],
  }),
  events: Type.Array(Type.Enum([...WEBHOOK_EVENTS]), { minItems: 1, maxItems: WEBHOOK_EVENTS.length, uniqueItems: true }),
  description: nullable(Type.String({ maxLength: limits.titleLengthMax, pattern: TEXT, format: WELL_FORMED })),
  enabled: Type.Boolean({ description: 'While false, nothing is recorded for it, and what was recorded waits.' }),
})

const shown = {
  id: uuid,
  url: Type.String(),
  events: Type.Array(Type.String()),
  description: nullable(Type.String()),
  enabled: Type.Boolean(),
  disabled_because: nullable(
    Type.Enum(['gone', 'failing'], {
      description: 'It answered 410, or it failed for too long. Set `enabled` to take up again.',
    }),
  ),
  failures: Type.Integer({ description: 'Attempts that have failed since the last that did not.' }),
  failing_since: nullable(time),
  paused_until: nullable(
    Type.String({ format: 'date-time', description: 'After many failures in a row nothing is sent before.' }),
  ),
  secrets: Type.Integer({ description: 'How many are valid: more than one for a while after a rotation.' }),
  created_at: time,
  updated_at: time,
  links: Type.Object({ self: link, deliveries: link }),
}

export const ShownWebhook = Type.Object(shown, { title: 'Webhook' })

export const WebhookWithSecret = Type.Object(
  {
    ...shown,
    secret: Type.String({
      description: 'Checks the signatures of Standard Webhooks. It is shown this once.',
      examples: ['whsec_…'],
    }),
  },
  { title: 'WebhookWithSecret' },
)

export const Delivery = Type.Object(
  {
    id: uuid,
    event_id: Type.String({ description: 'The header `webhook-id`: the same however often it is sent.' }),
    type: Type.Enum([...WEBHOOK_EVENTS, TEST_EVENT]),
    state: Type.Enum([...DELIVERY_STATES]),
    attempts: Type.Integer(),
    next_attempt_at: nullable(time),
    body: Type.String({ description: 'As it is signed and sent.' }),
    log: Type.Array(
      Type.Object({
        at: time,
        duration_ms: Type.Integer(),
        status: nullable(Type.Integer({ description: '`null`: there was no answer.' })),
        response: nullable(Type.String({ description: 'The beginning of the answer.' })),
        error: nullable(Type.String()),
      }),
      { description: 'What came of the last attempts, oldest first.' },
    ),
    created_at: time,
    finished_at: nullable(time),
    links: Type.Object({ self: link, webhook: link }),
  },
  { title: 'WebhookDelivery' },
)

export const DeliveryPage = Type.Object({ items: Type.Array(Delivery), next: nullable(link) }, { title: 'WebhookDeliveryPage' })

export const webhookPath = (id: string) => `/v1/webhooks/${id}`
export const deliveryPath = ({ webhookId, id }: Pick<WebhookDelivery, 'webhookId' | 'id'>) =>
  `${webhookPath(webhookId)}/deliveries/${id}`

export function webhookView(webhook: Webhook, now: Date) {
  const { id, url, events, description, enabled, disabledBecause, failures, failingSince, pausedUntil, salts } = webhook
  const self = webhookPath(id)
  return {
    id,
    url,
    events,
    description,
    enabled,
    disabled_because: disabledBecause,
    failures,
    failing_since: failingSince?.toISOString() ?? null,
    paused_until: pausedUntil && pausedUntil > now ? pausedUntil.toISOString() : null,
    secrets: salts.filter(({ until }) => until === null || until > now).length,
    created_at: webhook.createdAt.toISOString(),
    updated_at: webhook.updatedAt.toISOString(),
    links: { self, deliveries: `${self}/deliveries` },
  }
}

export function deliveryView(delivery: WebhookDelivery) {
  const { id, eventId, event, state, attempts, dueAt, body, log, createdAt, finishedAt } = delivery
  return {
    id,
    event_id: eventId,
    type: event,
    state,
    attempts,
    next_attempt_at: state === 'pending' ? dueAt.toISOString() : null,
    body,
    log: log.map(({ at, durationMs, status, response, error }) => ({ at, duration_ms: durationMs, status, response, error })),
    created_at: createdAt.toISOString(),
    finished_at: finishedAt?.toISOString() ?? null,
    links: { self: deliveryPath(delivery), webhook: webhookPath(delivery.webhookId) },
  }
}
