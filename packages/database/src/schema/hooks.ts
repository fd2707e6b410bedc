/** Webhooks in: their sources, what came, and what became of it. */
import type { ErrorCode, HookEventState, HookMapping, HookResult, HookVerifier } from '@sluice/core'
import {
  sql,
  bigint,
  boolean,
  check,
  foreignKey,
  index,
  integer,
  json,
  pgTable,
  primaryKey,
  text,
  unique,
  uuid,
} from '../drizzle.ts'
import { tenantId } from './access.ts'
import { time, createdAt, updatedAt, bytea } from './columns.ts'

export const hookSources = pgTable(
  'hook_sources',
  {
    id: uuid('id').primaryKey(),
    tenantId: tenantId(),
    tokenId: uuid('token_id').notNull(),
    name: text('name').notNull(),
    verifier: json('verifier').$type<HookVerifier>().notNull(),
    /** Sealed with a key that is not in the database. */
    secrets: json('secrets').$type<readonly string[]>().notNull(),
    mapping: json('mapping').$type<HookMapping>().notNull(),
    enabled: boolean('enabled').notNull(),
    createdAt: createdAt(),
    updatedAt: updatedAt(),
  },
  (table) => [unique('hook_sources_tenant_id').on(table.tenantId, table.id)],
)

/** Events as they arrived: what is acknowledged is here. */
export const inbox = pgTable(
  'inbox',
  {
    id: uuid('id').primaryKey(),
    /** Their order of arrival. Without an index of its own: the planner would take it for that of what waits. */
    number: bigint('number', { mode: 'number' }).notNull().generatedAlwaysAsIdentity(),
    tenantId: uuid('tenant_id').notNull(),
    sourceId: uuid('source_id').notNull(),
    key: text('key').notNull(),
    saidId: text('said_id'),
    headers: json('headers').$type<Readonly<Record<string, string>>>().notNull(),
    body: bytea('body').notNull(),
    state: text('state').$type<HookEventState>().notNull(),
    attempts: integer('attempts').notNull().default(0),
    claimedUntil: time('claimed_until'),
    results: json('results').$type<readonly HookResult[]>().notNull().default([]),
    problemCode: text('problem_code').$type<ErrorCode>(),
    problemDetail: text('problem_detail'),
    receivedAt: time('received_at').notNull().defaultNow(),
    processedAt: time('processed_at'),
  },
  (table) => [
    unique('inbox_key').on(table.sourceId, table.key),
    index('inbox_by_source').on(table.sourceId, table.id),
    index('inbox_said_ids')
      .on(table.sourceId, table.saidId)
      .where(sql`said_id is not null`),
    index('inbox_waiting')
      .on(table.sourceId, table.number)
      .where(sql`state = 'received'`),
    index('inbox_by_age')
      .on(table.receivedAt)
      .where(sql`state <> 'received'`),
    check('inbox_state', sql`${table.state} in ('received', 'processed', 'quarantined', 'ignored')`),
    foreignKey({
      name: 'inbox_source',
      columns: [table.tenantId, table.sourceId],
      foreignColumns: [hookSources.tenantId, hookSources.id],
    }).onDelete('cascade'),
  ],
)

/** Which ingest an item of an event is, however often it comes. It outlives the event. */
export const hookItems = pgTable(
  'hook_items',
  {
    sourceId: uuid('source_id')
      .notNull()
      .references(() => hookSources.id, { onDelete: 'cascade' }),
    key: text('key').notNull(),
    ingestId: uuid('ingest_id').notNull(),
  },
  (table) => [primaryKey({ columns: [table.sourceId, table.key] })],
)

/** The greatest version of each subject that events have told of. */
export const hookSubjects = pgTable(
  'hook_subjects',
  {
    sourceId: uuid('source_id')
      .notNull()
      .references(() => hookSources.id, { onDelete: 'cascade' }),
    subject: text('subject').notNull(),
    version: text('version').notNull(),
  },
  (table) => [primaryKey({ columns: [table.sourceId, table.subject] })],
)
