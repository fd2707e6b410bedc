/**
 * What happened, said to whoever wants to hear it: events become deliveries in the transaction that makes them true. Where no
 * endpoint of the tenant wants one, nothing is written, and not even its body is made.
 */
import type { WebhookDelivery } from '@sluice/core'
import type { Db } from './connection.ts'
import { type SQL, sql } from './drizzle.ts'
import { DELIVERY_CHANNEL } from './signals.ts'

interface NewEvent {
  readonly tenantId: string
  readonly type: WebhookDelivery['event']
  /** Events of one subject are delivered one after the other: a product where there is one, or else an ingest, an import. */
  readonly subject: string
  readonly data: Readonly<Record<string, unknown>>
}

/** Called inside the transaction that makes it true. */
export async function recordEvent(db: Db, { tenantId, type, subject, data }: NewEvent): Promise<void> {
  await db.execute(
    deliveriesOf(sql`
      select 1 as place, ${tenantId}::uuid as tenant_id, ${type}::text as type, ${subject}::uuid as subject,
        ${JSON.stringify(data)}::json as data`),
  )
}

/**
 * A part of a statement: `events` selects `place`, `tenant_id`, `type`, `subject` and `data`. The list of events is materialised,
 * so that each has one id for all endpoints; and endpoints are locked, so that one that is removed meanwhile is passed over and
 * breaks no foreign key.
 */
export function deliveriesOf(events: SQL): SQL {
  return sql`
    with event as materialized (
      select gen_random_uuid() as id, happened.*, clock_timestamp() as at from (${events}) as happened
    )
    insert into webhook_deliveries (tenant_id, webhook_id, event_id, event, subject, body)
    select webhooks.tenant_id, webhooks.id, event.id, event.type, event.subject, json_build_object(
      'type', event.type,
      'timestamp', to_char(event.at at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"'),
      'data', event.data
    )::text
    from event join webhooks on webhooks.tenant_id = event.tenant_id and webhooks.enabled and event.type = any(webhooks.events)
    order by event.place, event.subject
    for key share of webhooks
    returning pg_notify(${DELIVERY_CHANNEL}, '')`
}

/** The event of products in a CTE that has their new versions. */
export function changedImages(productsCte: string, place: number): SQL {
  return sql`
    select ${place}::int as place, changed.tenant_id, 'product.images_changed' as type, changed.id as subject, json_build_object(
      'product_id', changed.id, 'sku', changed.sku, 'version', changed.version, 'images', changed.image_count
    ) as data from ${sql.raw(productsCte)} as changed`
}

/** The event of ingests in a CTE that has them as they are after their end. */
export function endedIngests(ingestsCte: string, place: number): SQL {
  return sql`
    select ${place}::int as place, ended.tenant_id, 'ingest.' || ended.state as type,
      coalesce(ended.product_id, ended.id) as subject, json_build_object(
        'ingest_id', ended.id, 'product_id', ended.product_id, 'file_id', ended.result_file_id,
        'image_id', ended.result_image_id, 'error', case when ended.problem_code is not null then
          json_build_object('code', ended.problem_code, 'detail', ended.problem_detail) end
      ) as data from ${sql.raw(ingestsCte)} as ended`
}
