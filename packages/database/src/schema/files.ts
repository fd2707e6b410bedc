/** Bytes by their digest, and the files that show them. */
import type { Digest, Facts } from '@sluice/core'
import { sql, bigint, foreignKey, index, integer, json, pgTable, primaryKey, text, unique, uuid } from '../drizzle.ts'
import { tenantId } from './access.ts'
import { time, createdAt, number } from './columns.ts'

export const blobs = pgTable(
  'blobs',
  {
    tenantId: tenantId(),
    digest: text('digest').notNull(),
    facts: json('facts').$type<Facts>().notNull(),
    mediaType: text('media_type').notNull(),
    bytes: bigint('bytes', { mode: 'number' }).notNull(),
    createdAt: createdAt(),
    lastSeenAt: time('last_seen_at').notNull().defaultNow(),
  },
  (table) => [primaryKey({ columns: [table.tenantId, table.digest] })],
)

export const files = pgTable(
  'files',
  {
    id: uuid('id').primaryKey(),
    number: number(),
    tenantId: uuid('tenant_id').notNull(),
    code: text('code').notNull(),
    digest: text('digest').notNull(),
    name: text('name'),
    createdAt: createdAt(),
  },
  (table) => [
    unique('files_tenant_id').on(table.tenantId, table.id),
    unique('files_code').on(table.tenantId, table.code),
    index('files_in_order').on(table.tenantId, table.number),
    index('files_by_digest').on(table.tenantId, table.digest),
    foreignKey({ name: 'files_blob', columns: [table.tenantId, table.digest], foreignColumns: [blobs.tenantId, blobs.digest] }),
  ],
)

/**
 * Bytes on their way out of the store. It outlives the row of the blob: a run that began before the objects were gone may still believe
 * that they are there, and finds this when it commits.
 */
export const blobRemovals = pgTable(
  'blob_removals',
  {
    tenantId: uuid('tenant_id').notNull(),
    digest: text('digest').$type<Digest>().notNull(),
    /** Since when nothing was known to refer to it. */
    markedAt: time('marked_at'),
    /** Set while its objects are removed. */
    begunAt: time('begun_at'),
    endedAt: time('ended_at'),
  },
  (table) => [
    primaryKey({ columns: [table.tenantId, table.digest] }),
    index('blob_removals_begun')
      .on(table.begunAt)
      .where(sql`begun_at is not null`),
    index('blob_removals_ended')
      .on(table.endedAt)
      .where(sql`ended_at is not null`),
  ],
)

/** What the last examination has found of each kind, and how much of it was mended since there are examinations. */
export const examinations = pgTable('examinations', {
  kind: text('kind').primaryKey(),
  found: integer('found').notNull(),
  mended: bigint('mended', { mode: 'number' }).notNull(),
  examinedAt: time('examined_at').notNull(),
})

export const urlSources = pgTable(
  'url_sources',
  {
    tenantId: tenantId(),
    /** Not the address itself, which may open something, and is longer than an index takes. */
    urlSha256: text('url_sha256').notNull(),
    etag: text('etag'),
    lastModified: text('last_modified'),
    digest: text('digest').$type<Digest>().notNull(),
    fileName: text('file_name'),
    fetchedAt: time('fetched_at').notNull().defaultNow(),
  },
  (table) => [primaryKey({ columns: [table.tenantId, table.urlSha256] }), index('url_sources_by_age').on(table.fetchedAt)],
)
