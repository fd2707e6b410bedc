import type { WebhookDeliveryId } from '../../ids.ts'
import type { Ingest } from '../../ingest.ts'
import type { WebhookDelivery, WebhookEvent } from '../../webhook.ts'
import { newId } from '../builders.ts'
import { DELIVERY, type Tables } from './tables.ts'

interface NewEvent {
  readonly tenantId: Ingest['tenantId']
  readonly event: WebhookEvent
  readonly subject: string
  readonly data: Readonly<Record<string, unknown>>
}

/** A delivery for each endpoint that wants it. */
export function tell(tables: Tables, { tenantId, event, subject, data }: NewEvent): void {
  const wanting = [...tables.webhooks.values()].filter(
    (webhook) => webhook.tenantId === tenantId && webhook.enabled && webhook.events.includes(event),
  )
  const body = JSON.stringify({ type: event, timestamp: tables.now().toISOString(), data })
  const eventId = newId()
  for (const { id: webhookId } of wanting) addDelivery(tables, { tenantId, webhookId, eventId, event, body }, subject)
}

export function addDelivery(
  { deliveries, now, wake }: Tables,
  told: Pick<WebhookDelivery, 'tenantId' | 'webhookId' | 'eventId' | 'event' | 'body'>,
  subject: string,
): WebhookDelivery {
  const { tenantId, webhookId, eventId, event, body } = told
  const delivery: WebhookDelivery = {
    id: newId() as WebhookDeliveryId,
    tenantId,
    webhookId,
    eventId,
    event,
    body,
    state: 'pending',
    attempts: 0,
    dueAt: now(),
    log: [],
    createdAt: now(),
    finishedAt: null,
  }
  deliveries.set(delivery.id, { delivery, subject, isUnderWay: false })
  wake(DELIVERY)
  return delivery
}

export function tellOfIngest(tables: Tables, { id, tenantId, state, target, result, problem }: Ingest): void {
  const productId = target?.productId ?? null
  if (state !== 'committed' && state !== 'rejected' && state !== 'failed') return
  tell(tables, {
    tenantId,
    event: `ingest.${state}`,
    subject: productId ?? id,
    data: {
      ingest_id: id,
      product_id: productId,
      file_id: result?.fileId ?? null,
      image_id: result?.imageId ?? null,
      error: problem && { code: problem.code, detail: problem.detail },
    },
  })
}
