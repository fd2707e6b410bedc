/** Tenants, and who may do what for them. */
import type { IssuedKey, RecordedAnswer, TokenRole } from '@sluice/core'
import { sql, check, index, integer, json, pgTable, primaryKey, text, uuid } from '../drizzle.ts'
import { time, createdAt, number } from './columns.ts'

export const tenants = pgTable('tenants', {
  id: uuid('id').primaryKey(),
  name: text('name').notNull().unique(),
  /** Its share of the queue while others wait too. */
  weight: integer('weight').notNull().default(1),
  createdAt: createdAt(),
})

/** The tenant of a row. */
export const tenantId = () =>
  uuid('tenant_id')
    .notNull()
    .references(() => tenants.id)

export const tokens = pgTable(
  'tokens',
  {
    id: uuid('id').primaryKey(),
    number: number(),
    tenantId: tenantId(),
    name: text('name').notNull(),
    role: text('role').$type<TokenRole>().notNull(),
    sha256: text('sha256').notNull().unique(),
    prefix: text('prefix').notNull(),
    createdAt: createdAt(),
    expiresAt: time('expires_at'),
    revokedAt: time('revoked_at'),
    lastUsedAt: time('last_used_at'),
    /** PEM; checks RSA-SHA1 signatures of OAuth 1.0a. */
    publicKey: text('public_key'),
  },
  (table) => [
    index('tokens_by_tenant').on(table.tenantId, table.createdAt),
    check('tokens_role', sql`${table.role} in ('admin', 'writer', 'reader')`),
  ],
)

/** Short-lived keys that act as their token. */
export const issuedKeys = pgTable(
  'issued_keys',
  {
    sha256: text('sha256').primaryKey(),
    tokenId: uuid('token_id')
      .notNull()
      .references(() => tokens.id),
    kind: text('kind').$type<IssuedKey['kind']>().notNull(),
    createdAt: createdAt(),
    expiresAt: time('expires_at').notNull(),
  },
  (table) => [
    index('issued_keys_by_token').on(table.tokenId, table.createdAt),
    index('issued_keys_by_expiry').on(table.expiresAt),
    check('issued_keys_kind', sql`${table.kind} in ('access', 'refresh')`),
  ],
)

export const idempotencyKeys = pgTable(
  'idempotency_keys',
  {
    tenantId: tenantId(),
    key: text('key').notNull(),
    /** The ingest that the request is going to make, or made. */
    ownerId: uuid('owner_id').notNull(),
    /** Null until the key is bound to its ingest. */
    fingerprint: text('fingerprint'),
    leaseUntil: time('lease_until').notNull(),
    answer: json('answer').$type<RecordedAnswer>(),
    createdAt: createdAt(),
  },
  (table) => [primaryKey({ columns: [table.tenantId, table.key] }), index('idempotency_keys_by_age').on(table.createdAt)],
)

// The table `nonces` is partitioned, which drizzle cannot say: it stands in the migration `0004_oauth` and in nonces.ts only.
