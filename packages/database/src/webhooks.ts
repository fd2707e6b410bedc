import { isUuid, SluiceError, type TenantId, type Webhook, type WebhookId, type Webhooks } from '@sluice/core'
import type { Db } from './connection.ts'
import { and, desc, eq, type InferSelectModel, type SQL, sql } from './drizzle.ts'
import { isText, only } from './rows.ts'
import { webhooks } from './schema.ts'
import type { Runner } from './transaction.ts'
import { openDeliveries } from './webhook-deliveries.ts'
import { openDeliveryLog } from './webhook-log.ts'

export function openWebhooks(runner: Runner): Webhooks {
  return { ...openEndpoints(runner), ...openDeliveries(runner), ...openDeliveryLog(runner) }
}

type Endpoints = Pick<Webhooks, 'create' | 'find' | 'list' | 'update' | 'rotate' | 'remove'>

function openEndpoints({ query, transaction }: Runner): Endpoints {
  return {
    async create({ salt, ...webhook }, max) {
      checkTexts(webhook)
      const row = await transaction(async (db) => {
        // The tenant's row is what its webhooks are counted under.
        await db.execute(sql`select from tenants where id = ${webhook.tenantId} for no key update`)
        const [known] = await db.select().from(webhooks).where(own(webhook.tenantId, webhook.id))
        if (known) return known
        if ((await db.$count(webhooks, eq(webhooks.tenantId, webhook.tenantId))) >= max)
          throw new SluiceError('webhooks_exceeded')
        const values = { ...webhook, events: [...webhook.events], salts: [{ salt, until: null }] }
        return only(await db.insert(webhooks).values(values).returning())
      })
      return webhookOf(row)
    },
    async find(tenantId, id) {
      const [row] = await query((db) => db.select().from(webhooks).where(own(tenantId, id)))
      return row ? webhookOf(row) : null
    },
    async list(tenantId) {
      const rows = await query((db) =>
        db.select().from(webhooks).where(eq(webhooks.tenantId, tenantId)).orderBy(desc(webhooks.createdAt), desc(webhooks.id)),
      )
      return rows.map(webhookOf)
    },
    async update(tenantId, id, { events, ...change }) {
      checkTexts(change)
      const isAnew = change.url !== undefined || change.enabled === true
      const set = {
        ...change,
        ...(events && { events: [...events] }),
        ...(isAnew && CLOSED_CIRCUIT),
        ...(change.enabled !== undefined && { disabledBecause: null }),
        updatedAt: sql`clock_timestamp()`,
      }
      const [row] = await query((db) => db.update(webhooks).set(set).where(own(tenantId, id)).returning())
      if (!row) throw new SluiceError('webhook_unknown')
      return webhookOf(row)
    },
    rotate: (tenantId, id, salt, keepMs, max) =>
      transaction(async (db) => {
        const { row, now } = await lock(db, tenantId, id)
        const ends = new Date(now.getTime() + keepMs)
        const kept = row.salts
          .map((old) => ({ salt: old.salt, until: old.until === null ? ends : new Date(old.until) }))
          .filter(({ until }) => until > now)
        if (kept.length >= max) throw new SluiceError('webhook_rotations_exceeded')
        const salts = [{ salt, until: null }, ...kept.map(({ salt, until }) => ({ salt, until: until.toISOString() }))]
        const set = { salts, updatedAt: sql`clock_timestamp()` }
        return webhookOf(only(await db.update(webhooks).set(set).where(own(tenantId, id)).returning()))
      }),
    async remove(tenantId, id) {
      const rows = await query((db) => db.delete(webhooks).where(own(tenantId, id)).returning({ id: webhooks.id }))
      return rows.length > 0
    },
  }
}

const CLOSED_CIRCUIT = { failures: 0, failingSince: null, pausedUntil: null }

async function lock(db: Db, tenantId: TenantId, id: WebhookId): Promise<{ row: WebhookRow; now: Date }> {
  const [found] = await db
    .select({ row: webhooks, ms: sql<number>`extract(epoch from clock_timestamp())::float8 * 1000` })
    .from(webhooks)
    .where(own(tenantId, id))
    .for('no key update')
  if (!found) throw new SluiceError('webhook_unknown')
  return { row: found.row, now: new Date(found.ms) }
}

function checkTexts({ url = '', description }: { readonly url?: string; readonly description?: string | null }): void {
  if (![url, description ?? ''].every(isText)) throw new SluiceError('request_invalid')
}

function own(tenantId: TenantId, id: WebhookId): SQL | undefined {
  return isUuid(id) ? and(eq(webhooks.tenantId, tenantId), eq(webhooks.id, id)) : sql`false`
}

type WebhookRow = InferSelectModel<typeof webhooks>

export function webhookOf(row: WebhookRow): Webhook {
  return {
    ...row,
    id: row.id as WebhookId,
    tenantId: row.tenantId as TenantId,
    salts: row.salts.map(({ salt, until }) => ({ salt, until: until === null ? null : new Date(until) })),
  }
}
