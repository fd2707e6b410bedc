/** Webhooks out, and what was delivered. */
import type { DeliveryState, Webhook, WebhookAttempt, WebhookDelivery, WebhookEvent } from '@sluice/core'
import { sql, boolean, check, foreignKey, index, integer, json, pgTable, text, unique, uuid } from '../drizzle.ts'
import { tenantId } from './access.ts'
import { time, createdAt, updatedAt, number } from './columns.ts'

export const webhooks = pgTable(
  'webhooks',
  {
    id: uuid('id').primaryKey(),
    tenantId: tenantId(),
    url: text('url').notNull(),
    description: text('description'),
    events: text('events').array().$type<readonly WebhookEvent[]>().notNull(),
    enabled: boolean('enabled').notNull(),
    disabledBecause: text('disabled_because').$type<NonNullable<Webhook['disabledBecause']>>(),
    /** What secrets are derived with; without the key of the installation they are of no use. */
    salts: json('salts').$type<readonly { readonly salt: string; readonly until: string | null }[]>().notNull(),
    failures: integer('failures').notNull().default(0),
    failingSince: time('failing_since'),
    pausedUntil: time('paused_until'),
    createdAt: createdAt(),
    updatedAt: updatedAt(),
  },
  (table) => [
    unique('webhooks_tenant_id').on(table.tenantId, table.id),
    check('webhooks_disabled_because', sql`${table.disabledBecause} in ('gone', 'failing')`),
  ],
)

/** One event on its way to one endpoint. What makes the event true writes it, in the same transaction. */
export const webhookDeliveries = pgTable(
  'webhook_deliveries',
  {
    id: uuid('id').primaryKey().defaultRandom(),
    /** Their order: of those of one product, that of its changes. */
    number: number(),
    tenantId: uuid('tenant_id').notNull(),
    webhookId: uuid('webhook_id').notNull(),
    eventId: uuid('event_id').notNull(),
    event: text('event').$type<WebhookDelivery['event']>().notNull(),
    /** Those of one subject are delivered one after the other: the product, or whatever else the event is about. */
    subject: uuid('subject').notNull(),
    body: text('body').notNull(),
    state: text('state').$type<DeliveryState>().notNull().default('pending'),
    attempts: integer('attempts').notNull().default(0),
    dueAt: time('due_at').notNull().defaultNow(),
    /** Set while an attempt is under way. */
    claimedUntil: time('claimed_until'),
    log: json('log').$type<readonly WebhookAttempt[]>().notNull().default([]),
    createdAt: createdAt(),
    finishedAt: time('finished_at'),
  },
  (table) => [
    index('webhook_deliveries_newest').on(table.webhookId, table.number),
    index('webhook_deliveries_by_event').on(table.webhookId, table.eventId),
    index('webhook_deliveries_due')
      .on(table.webhookId, table.dueAt)
      .where(sql`state = 'pending'`),
    index('webhook_deliveries_in_line')
      .on(table.webhookId, table.subject, table.number)
      .where(sql`state = 'pending'`),
    index('webhook_deliveries_under_way')
      .on(table.webhookId, table.claimedUntil)
      .where(sql`claimed_until is not null`),
    index('webhook_deliveries_by_age').on(table.createdAt),
    check('webhook_deliveries_state', sql`${table.state} in ('pending', 'delivered', 'failed')`),
    foreignKey({
      name: 'webhook_deliveries_webhook',
      columns: [table.tenantId, table.webhookId],
      foreignColumns: [webhooks.tenantId, webhooks.id],
    }).onDelete('cascade'),
  ],
)
