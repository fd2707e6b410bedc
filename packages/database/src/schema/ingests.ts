/** What was promised, and the way from there to the queue. */
import type { Digest, ErrorCode, ErrorDetails, IngestState, Lane, Postponed, Source, Target, TimelineEntry } from '@sluice/core'
import {
  sql,
  bigint,
  boolean,
  check,
  doublePrecision,
  index,
  integer,
  json,
  pgTable,
  primaryKey,
  text,
  uuid,
} from '../drizzle.ts'
import { tenantId } from './access.ts'
import { time, createdAt, updatedAt, type WithoutProduct } from './columns.ts'

/** No foreign keys to what an ingest asks for: it is a request, and what it refers to may be missing when its turn comes. */
export const ingests = pgTable(
  'ingests',
  {
    id: uuid('id').primaryKey(),
    tenantId: tenantId(),
    tokenId: uuid('token_id').notNull(),
    state: text('state').$type<IngestState>().notNull().default('received'),
    attempts: integer('attempts').notNull().default(0),
    epoch: integer('epoch').notNull().default(0),
    lane: text('lane').$type<Lane>().notNull().default('interactive'),

    sourceKind: text('source_kind').$type<Source['kind']>().notNull(),
    sourceFileId: uuid('source_file_id'),
    /** What is staged, digest and size are told once it was fetched. */
    sourceUrl: text('source_url'),
    stagedKey: text('staged_key'),
    /** Of what was uploaded before the request. */
    stagedKeys: json('staged_keys').$type<readonly string[]>(),
    /** What was promised of it. */
    promisedDigest: text('promised_digest').$type<Digest>(),
    digest: text('digest'),
    bytes: bigint('bytes', { mode: 'number' }),
    declaredType: text('declared_type'),
    typeMustMatch: boolean('type_must_match'),
    fileName: text('file_name'),

    reusesFile: boolean('reuses_file').notNull().default(false),

    productId: uuid('product_id'),
    /** What is to happen on the product. */
    target: json('target').$type<WithoutProduct<Target>>(),
    /** The product that it waits for, or waited for; it has none of its own until that is there. */
    parkedSku: text('parked_sku'),
    parkedUntil: time('parked_until'),

    /** Why it was put off, and until when. */
    postponedBecause: text('postponed_because').$type<Postponed['because']>(),
    dueAt: time('due_at'),

    /** While an equal request may still claim the answer, and who holds it until when. */
    answerFingerprint: text('answer_fingerprint'),
    answerHeldUntil: time('answer_held_until'),

    resultFileId: uuid('result_file_id'),
    resultImageId: uuid('result_image_id'),
    problemCode: text('problem_code').$type<ErrorCode>(),
    problemDetail: text('problem_detail'),
    problemDetails: json('problem_details').$type<ErrorDetails>(),
    createdAt: createdAt(),
    updatedAt: updatedAt(),
    finishedAt: time('finished_at'),
  },
  (table) => [
    index('ingests_by_tenant').on(table.tenantId, table.id),
    index('ingests_by_tenant_state').on(table.tenantId, table.state, table.id),
    index('ingests_by_product').on(table.productId, table.id),
    index('ingests_unanswered')
      .on(table.tenantId, table.answerFingerprint)
      .where(sql`answer_fingerprint is not null`),
    index('ingests_open')
      .on(table.updatedAt)
      .where(sql`state in ('received', 'running')`),
    index('ingests_waiting')
      .on(table.createdAt)
      .where(sql`state in ('received', 'running')`),
    index('ingests_parked')
      .on(table.tenantId, table.parkedSku)
      .where(sql`state = 'parked'`),
    index('ingests_parked_until')
      .on(table.parkedUntil)
      .where(sql`state = 'parked'`),
    index('ingests_over')
      .on(table.state, table.finishedAt)
      .where(sql`finished_at is not null`),
    index('ingests_staged_bytes')
      .on(table.finishedAt, table.tenantId, table.state, table.bytes)
      .where(sql`state not in ('committed', 'rejected')`),
    index('ingests_uploaded')
      .on(table.finishedAt)
      .where(sql`staged_keys is not null and state not in ('committed', 'rejected')`),
    index('ingests_staged')
      .on(table.stagedKey)
      .where(sql`state not in ('committed', 'rejected')`),
    check('ingests_state', sql`${table.state} in ('received', 'parked', 'running', 'committed', 'rejected', 'failed')`),
    check(
      'ingests_source',
      sql`case source_kind when 'staged' then staged_key is not null and digest is not null and bytes is not null when 'file' then source_file_id is not null when 'url' then source_url is not null when 'uploaded' then staged_keys is not null and bytes is not null else false end`,
    ),
  ],
)

export const ingestTimeline = pgTable(
  'ingest_timeline',
  {
    id: bigint('id', { mode: 'number' }).primaryKey().generatedAlwaysAsIdentity(),
    ingestId: uuid('ingest_id')
      .notNull()
      .references(() => ingests.id, { onDelete: 'cascade' }),
    at: time('at').notNull().defaultNow(),
    step: text('step').notNull(),
    attempt: integer('attempt').notNull(),
    outcome: text('outcome').$type<TimelineEntry['outcome']>().notNull(),
    durationMs: bigint('duration_ms', { mode: 'number' }),
    detail: text('detail'),
  },
  (table) => [index('ingest_timeline_by_ingest').on(table.ingestId, table.id)],
)

export const outbox = pgTable(
  'outbox',
  {
    id: bigint('id', { mode: 'bigint' }).primaryKey().generatedAlwaysAsIdentity(),
    ingestId: uuid('ingest_id').notNull(),
    epoch: integer('epoch').notNull(),
    tenantId: uuid('tenant_id').notNull(),
    lane: text('lane').$type<Lane>().notNull().default('interactive'),
    /** Its place among the rows of its tenant: what is queued again keeps the one that it had. */
    since: time('since').notNull().defaultNow(),
    /** Whether the queue may have had this job before, and may have ended it. */
    again: boolean('again').notNull().default(false),
    claimedUntil: time('claimed_until'),
  },
  (table) => [
    index('outbox_by_ingest').on(table.ingestId),
    index('outbox_lines').on(table.lane, table.tenantId, table.since, table.id),
  ],
)

/** How far each tenant has come in each lane: the virtual times of start-time fair queueing. */
export const outboxTurns = pgTable(
  'outbox_turns',
  {
    lane: text('lane').$type<Lane>().notNull(),
    tenantId: uuid('tenant_id').notNull(),
    /** When the row that it was given last began, and ended. */
    started: doublePrecision('started').notNull(),
    ended: doublePrecision('ended').notNull(),
  },
  (table) => [primaryKey({ columns: [table.lane, table.tenantId] })],
)

/** How many ingests were over by a time that lies back far enough to be complete. */
export const ingestTallies = pgTable('ingest_tallies', {
  state: text('state').$type<IngestState>().primaryKey(),
  count: bigint('count', { mode: 'number' }).notNull(),
  upto: time('upto').notNull(),
})
