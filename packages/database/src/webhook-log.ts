/** Looking at what was said to an endpoint, and saying it again. */
import {
  type DeliveryFilter,
  isUuid,
  SluiceError,
  type TenantId,
  TEST_EVENT,
  type WebhookDelivery,
  type WebhookId,
  type Webhooks,
} from '@sluice/core'
import type { Db } from './connection.ts'
import { and, desc, eq, inArray, type SQL, sql } from './drizzle.ts'
import { rowOf } from './rows.ts'
import { webhookDeliveries as deliveries } from './schema.ts'
import { DELIVERY_CHANNEL } from './signals.ts'
import type { Runner } from './transaction.ts'
import { deliveryOf } from './webhook-deliveries.ts'

type Log = Pick<Webhooks, 'test' | 'findDelivery' | 'listDeliveries' | 'redeliver' | 'redeliverRange' | 'forget'>

export function openDeliveryLog({ query, transaction }: Runner): Log {
  return {
    async test(tenantId, id) {
      if (!isUuid(id)) throw new SluiceError('webhook_unknown')
      const [row] = await query((db) => db.execute(testOf(tenantId, id)))
      if (!row) throw new SluiceError('webhook_unknown')
      return deliveryOf(rowOf(deliveries, row))
    },
    async findDelivery(tenantId, webhookId, id) {
      if (![webhookId, id].every(isUuid)) return null
      const [row] = await query((db) =>
        db
          .select()
          .from(deliveries)
          .where(and(ofWebhook(tenantId, webhookId), eq(deliveries.id, id))),
      )
      return row ? deliveryOf(row) : null
    },
    async listDeliveries(tenantId, webhookId, filter, { before, limit }) {
      if (!isUuid(webhookId) || (before !== null && !isUuid(before))) return []
      const older = before === null ? undefined : sql`number < (select number from webhook_deliveries where id = ${before})`
      const rows = await query((db) =>
        db
          .select()
          .from(deliveries)
          .where(and(ofWebhook(tenantId, webhookId), found(filter), older))
          .orderBy(desc(deliveries.number))
          .limit(limit),
      )
      return rows.map(deliveryOf)
    },
    redeliver: (tenantId, webhookId, id) =>
      transaction(async (db) => {
        await lockWebhook(db, tenantId, webhookId)
        const one = sql`id = ${isUuid(id) ? id : null}::uuid`
        const [again] = await db.execute(againOf(tenantId, webhookId, one, 1))
        return again ? deliveryOf(rowOf(deliveries, again)) : pendingOf(db, webhookId, one)
      }),
    redeliverRange: (tenantId, webhookId, { from, to, ...filter }, limit) =>
      transaction(async (db) => {
        await lockWebhook(db, tenantId, webhookId)
        const isLast = filter.states ? IS_LAST : undefined
        // With types, since a raw statement does not know how a column wants its time.
        const [start, end] = [from, to].map((time) => sql`${time.toISOString()}::timestamptz`)
        const range = sql`${and(sql`created_at >= ${start} and created_at < ${end}`, found(filter), isLast)}`
        return (await db.execute(againOf(tenantId, webhookId, range, limit))).length
      }),
    async forget(keptMs, limit) {
      const rows = await query((db) =>
        db.execute(sql`
          delete from webhook_deliveries where id in (
            select id from webhook_deliveries where created_at < clock_timestamp() - ${keptMs}::float8 * interval '1 ms'
            order by created_at limit ${limit} for update skip locked)
          returning 1`),
      )
      return rows.length
    },
  }
}

/** Whoever redelivers at the same time comes after this, and finds what is pending by then. */
async function lockWebhook(db: Db, tenantId: TenantId, id: WebhookId): Promise<void> {
  const rows = isUuid(id)
    ? await db.execute(sql`select 1 from webhooks where tenant_id = ${tenantId} and id = ${id} for no key update`)
    : []
  if (rows.length === 0) throw new SluiceError('webhook_unknown')
}

/** Of the deliveries of its event. */
const IS_LAST = sql`not exists (
  select from webhook_deliveries as later
  where later.webhook_id = webhook_deliveries.webhook_id and later.event_id = webhook_deliveries.event_id
    and later.number > webhook_deliveries.number)`

/** Copies at the end of the line, one for each event, unless it is pending already. */
function againOf(tenantId: TenantId, webhookId: WebhookId, which: SQL, limit: number): SQL {
  return sql`
    with wanted as (
      select distinct on (event_id) tenant_id, webhook_id, event_id, event, subject, body, number from webhook_deliveries
      where tenant_id = ${tenantId} and webhook_id = ${webhookId} and ${which} order by event_id, number
    ), again as (
      insert into webhook_deliveries (tenant_id, webhook_id, event_id, event, subject, body)
      select tenant_id, webhook_id, event_id, event, subject, body from wanted
      where not exists (
        select from webhook_deliveries as other
        where other.webhook_id = wanted.webhook_id and other.event_id = wanted.event_id and other.state = 'pending'
      ) order by number limit ${limit} returning *
    ) select *, pg_notify(${DELIVERY_CHANNEL}, '') from again`
}

/** Throws `webhook_delivery_unknown`. */
async function pendingOf(db: Db, webhookId: WebhookId, one: SQL): Promise<WebhookDelivery> {
  const [pending] = await db.execute(sql`
    select * from webhook_deliveries
    where webhook_id = ${webhookId} and state = 'pending' and event_id in (
      select event_id from webhook_deliveries where webhook_id = ${webhookId} and ${one}
    ) order by number desc limit 1`)
  if (!pending) throw new SluiceError('webhook_delivery_unknown')
  return deliveryOf(rowOf(deliveries, pending))
}

/** Its subject is nobody else's, so that it waits for nothing. */
function testOf(tenantId: TenantId, id: WebhookId): SQL {
  const data = sql`json_build_object('webhook_id', id)`
  const at = sql`to_char(clock_timestamp() at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"')`
  return sql`
    with told as (
      insert into webhook_deliveries (tenant_id, webhook_id, event_id, event, subject, body)
      select tenant_id, id, gen_random_uuid(), ${TEST_EVENT}, gen_random_uuid(),
        json_build_object('type', ${TEST_EVENT}::text, 'timestamp', ${at}, 'data', ${data})::text
      from webhooks where tenant_id = ${tenantId} and id = ${id} returning *
    ) select *, pg_notify(${DELIVERY_CHANNEL}, '') from told`
}

function ofWebhook(tenantId: TenantId, webhookId: WebhookId): SQL | undefined {
  return and(eq(deliveries.tenantId, tenantId), eq(deliveries.webhookId, webhookId))
}

function found({ states, event }: DeliveryFilter): SQL | undefined {
  return and(states && inArray(deliveries.state, [...states]), event && eq(deliveries.event, event))
}
