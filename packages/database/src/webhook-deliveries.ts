/** The way of a delivery through the hands of workers: leased, never locked, while it is sent. */
import {
  ATTEMPTS_KEPT,
  type Breaker,
  type ClaimedDelivery,
  type DeliveryEnd,
  type TenantId,
  type WebhookAttempt,
  type WebhookDelivery,
  type WebhookDeliveryId,
  type WebhookId,
  type Webhooks,
} from '@sluice/core'
import type { Db } from './connection.ts'
import { type InferSelectModel, inArray, type SQL, sql } from './drizzle.ts'
import { rowOf, withoutNul } from './rows.ts'
import { webhookDeliveries, webhooks } from './schema.ts'
import { DELIVERY_CHANNEL } from './signals.ts'
import type { Runner } from './transaction.ts'
import { webhookOf } from './webhooks.ts'

export function openDeliveries({ query }: Runner): Pick<Webhooks, 'claim' | 'finish' | 'release'> {
  return {
    claim: (limit, each, leaseMs) => query((db) => claim(db, limit, each, leaseMs)),
    finish: (claimed, end, breaker) => query((db) => finish(db, claimed, end, breaker)),
    async release({ id, attempts }) {
      await query((db) =>
        db.execute(sql`
          with released as (
            update webhook_deliveries set attempts = attempts - 1, due_at = clock_timestamp(), claimed_until = null
            where id = ${id} and attempts = ${attempts} and claimed_until is not null returning 1
          ) select pg_notify(${DELIVERY_CHANNEL}, '') from released`),
      )
    },
  }
}

/**
 * What is under way has its lease's end as `due_at`, so that the index of what is due does not hold it. A row that another worker
 * claims or finishes at the same time is looked at again under its lock.
 */
async function claim(db: Db, limit: number, each: number, leaseMs: number): Promise<readonly ClaimedDelivery[]> {
  const rows = await db.execute(sql`
    with under_way as (
      select webhook_id, count(*)::int as count from webhook_deliveries where claimed_until > clock_timestamp() group by webhook_id
    ), room as (
      select id, case failures when 0 then ${each}::int else 1 end - coalesce(count, 0) as places
      from webhooks left join under_way on webhook_id = id
      where enabled and (paused_until is null or paused_until <= clock_timestamp())
    ), chosen as materialized (
      select due.id from room cross join lateral (
        select id, row_number() over (order by due_at, number) as turn from webhook_deliveries as one
        where webhook_id = room.id and state = 'pending' and due_at <= clock_timestamp() and not exists (
          select from webhook_deliveries as earlier
          where earlier.webhook_id = one.webhook_id and earlier.subject = one.subject and earlier.state = 'pending'
            and earlier.number < one.number
        ) order by due_at, number limit greatest(room.places, 0)
      ) as due order by due.turn limit ${limit}
    ), free as materialized (
      select id from webhook_deliveries
      where id in (select id from chosen) and state = 'pending' and due_at <= clock_timestamp() for update skip locked
    ), claimed as (
      update webhook_deliveries set attempts = attempts + 1, claimed_until = ${after(leaseMs)}, due_at = ${after(leaseMs)}
      from free where webhook_deliveries.id = free.id returning webhook_deliveries.*
    ) select * from claimed order by number`)
  const deliveries = rows.map((row) => deliveryOf(rowOf(webhookDeliveries, row)))
  const ids = [...new Set(deliveries.map(({ webhookId }) => webhookId))]
  const found = ids.length === 0 ? [] : await db.select().from(webhooks).where(inArray(webhooks.id, ids))
  const known = new Map(found.map((row) => [row.id, webhookOf(row)]))
  return deliveries.flatMap((delivery) => {
    const webhook = known.get(delivery.webhookId)
    // It was removed in between, and its deliveries with it.
    return webhook ? [{ webhook, delivery }] : []
  })
}

async function finish(
  db: Db,
  { id, attempts, log }: WebhookDelivery,
  { state, waitMs, attempt, isGone, pauseMs }: DeliveryEnd,
  breaker: Breaker,
): Promise<boolean> {
  const kept = JSON.stringify([...log, sayable(attempt)].slice(-ATTEMPTS_KEPT))
  const endpoint = state === 'delivered' ? MENDED : broken(breaker, isGone, pauseMs)
  const [row] = await db.execute<{ is_disabled: boolean }>(sql`
    with ended as (
      update webhook_deliveries set state = ${state}, log = ${kept}, claimed_until = null,
        due_at = ${after(waitMs)}, finished_at = case when ${state} = 'pending' then null else clock_timestamp() end
      where id = ${id} and attempts = ${attempts} and claimed_until is not null returning webhook_id
    ), endpoint as (${endpoint})
    select coalesce(bool_or(disabled), false) as is_disabled, pg_notify(${DELIVERY_CHANNEL}, '') from endpoint`)
  return row?.is_disabled ?? false
}

/** Most of the time there is nothing to mend, and nothing is written. */
const MENDED = sql`
  update webhooks set failures = 0, failing_since = null, paused_until = null
  from ended where webhooks.id = ended.webhook_id and failures > 0 returning false as disabled`

/** Its row is locked where it is looked at, so that two failures are two. */
function broken({ failuresMax, pauseMsMin, pauseMsMax, failingMsMax }: Breaker, isGone: boolean, pauseMs: number): SQL {
  const circuitMs = sql`case when failures + 1 < ${failuresMax}::int then 0 else
    least(${pauseMsMin}::float8 * 2 ^ least(failures + 1 - ${failuresMax}::int, 30), ${pauseMsMax}::float8) end`
  const because = sql`case when ${isGone}::bool then 'gone'
    when failing_since < clock_timestamp() - ${failingMsMax}::float8 * interval '1 ms' then 'failing' end`
  return sql`
    update webhooks set failures = failures + 1, failing_since = coalesce(failing_since, clock_timestamp()),
      paused_until = greatest(paused_until, ${after(sql`greatest(${circuitMs}, ${pauseMs}::float8)`)}),
      enabled = enabled and (${because}) is null,
      disabled_because = case when enabled then ${because} else disabled_because end
    from ended where webhooks.id = ended.webhook_id returning not enabled as disabled`
}

function after(ms: number | SQL): SQL {
  return sql`clock_timestamp() + ${typeof ms === 'number' ? sql`${ms}::float8` : ms} * interval '1 ms'`
}

function sayable(attempt: WebhookAttempt): WebhookAttempt {
  const { response, error } = attempt
  return { ...attempt, response: response && withoutNul(response), error: error && withoutNul(error) }
}

export function deliveryOf(row: InferSelectModel<typeof webhookDeliveries>): WebhookDelivery {
  const { eventId, event, body, state, attempts, dueAt, log, createdAt, finishedAt } = row
  return {
    id: row.id as WebhookDeliveryId,
    tenantId: row.tenantId as TenantId,
    webhookId: row.webhookId as WebhookId,
    eventId,
    event,
    body,
    state,
    attempts,
    dueAt,
    log,
    createdAt,
    finishedAt,
  }
}
