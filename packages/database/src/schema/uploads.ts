/** Uploads that are asked for before they are made. */
import type { Digest, Target, UploadPart, UploadState } from '@sluice/core'
import { sql, bigint, check, index, json, pgTable, text, uuid } from '../drizzle.ts'
import { tenantId } from './access.ts'
import { time, createdAt, type WithoutProduct } from './columns.ts'

export const uploads = pgTable(
  'uploads',
  {
    /** That of the ingest, too. */
    id: uuid('id').primaryKey(),
    tenantId: tenantId(),
    tokenId: uuid('token_id').notNull(),
    state: text('state').$type<UploadState>().notNull().default('open'),
    bytes: bigint('bytes', { mode: 'number' }).notNull(),
    declaredType: text('declared_type'),
    fileName: text('file_name'),
    sha256: text('sha256').$type<Digest>(),
    productId: uuid('product_id'),
    target: json('target').$type<WithoutProduct<Target>>(),
    bucketKey: text('bucket_key'),
    metadata: json('metadata').$type<Readonly<Record<string, string | null>>>(),
    parts: json('parts').$type<readonly UploadPart[]>().notNull().default([]),
    createdAt: createdAt(),
    expiresAt: time('expires_at').notNull(),
    takenAt: time('taken_at').notNull().defaultNow(),
    settledAt: time('settled_at'),
  },
  (table) => [
    index('uploads_unsettled')
      .on(table.takenAt)
      .where(sql`settled_at is null`),
    index('uploads_unsettled_of_tenant')
      .on(table.tenantId)
      .where(sql`settled_at is null`),
    index('uploads_by_age')
      .on(table.settledAt)
      .where(sql`settled_at is not null`),
    check('uploads_state', sql`${table.state} in ('open', 'completed', 'expired', 'cancelled')`),
  ],
)
