import {
  type Caller,
  ISSUED_MAX,
  isUuid,
  SluiceError,
  type TenantId,
  TOKEN_USE_MS,
  type TokenId,
  type TokenRecord,
  type Tokens,
} from '@sluice/core'
import { and, desc, eq, gt, type InferSelectModel, isNull, or, sql } from './drizzle.ts'
import { isText, only } from './rows.ts'
import { issuedKeys, tokens } from './schema.ts'
import { prepared, type Runner } from './transaction.ts'

const caller = { id: tokens.id, tenantId: tokens.tenantId, role: tokens.role, name: tokens.name, number: tokens.number }
const isActive = and(isNull(tokens.revokedAt), or(isNull(tokens.expiresAt), gt(tokens.expiresAt, sql`now()`)))

/** By the token's own hash, or by that of an access token: one round trip, since every request asks this. */
const activeByHash = prepared((db) =>
  db
    .select(caller)
    .from(tokens)
    .where(
      and(
        eq(
          tokens.id,
          sql`(
            select id from tokens where sha256 = ${sql.placeholder('hash')}
            union all
            select token_id from issued_keys where sha256 = ${sql.placeholder('hash')} and kind = 'access' and expires_at > now()
            limit 1)`,
        ),
        isActive,
      ),
    )
    .prepare('active_token_by_hash'),
)
const activeById = prepared((db) =>
  db
    .select(caller)
    .from(tokens)
    .where(and(eq(tokens.id, sql.placeholder('id')), isActive))
    .prepare('active_token_by_id'),
)

export function openTokens({ query, transaction }: Runner): Tokens {
  return {
    async authenticate(sha256Hex) {
      if (!isText(sha256Hex)) return null
      const [row] = await query((db) => activeByHash(db).execute({ hash: sha256Hex }))
      return row ? callerOf(row) : null
    },
    async findActive(id) {
      if (!isUuid(id)) return null
      const [row] = await query((db) => activeById(db).execute({ id }))
      return row ? callerOf(row) : null
    },
    async create({ sha256Hex: sha256, ...token }) {
      const rows = await query((db) =>
        db
          .insert(tokens)
          .values({ sha256, ...token })
          // An update that changes nothing makes the row that is there come back.
          .onConflictDoUpdate({ target: tokens.sha256, set: { sha256 } })
          .returning(),
      )
      return recordOf(only(rows))
    },
    async noteUse(tokenIds) {
      const ids = tokenIds.filter((id) => isUuid(id))
      if (ids.length === 0) return
      // A row that is locked belongs to somebody who does more than note its use, or to another who notes it: nobody waits for it.
      await query((db) =>
        db.execute(sql`
          with due as (
            select id from tokens where id in ${ids}
              and (last_used_at is null or last_used_at <= clock_timestamp() - ${TOKEN_USE_MS}::float8 * interval '1 ms')
            for no key update skip locked)
          update tokens set last_used_at = clock_timestamp() from due where tokens.id = due.id`),
      )
    },
    async list(tenantId) {
      const rows = await query((db) =>
        db.select().from(tokens).where(eq(tokens.tenantId, tenantId)).orderBy(desc(tokens.createdAt), desc(tokens.id)),
      )
      return rows.map(recordOf)
    },
    async revoke(tenantId, tokenId) {
      if (!isUuid(tokenId)) return false
      const rows = await query((db) =>
        db
          .update(tokens)
          .set({ revokedAt: sql`coalesce(${tokens.revokedAt}, now())` })
          .where(and(eq(tokens.tenantId, tenantId), eq(tokens.id, tokenId)))
          .returning({ id: tokens.id }),
      )
      return rows.length > 0
    },

    async issue(tokenId, keys) {
      if (keys.length === 0) return
      await transaction(async (db) => {
        // Whoever holds the row counts the keys of the token: two at once could both stay below the bound, and pass it together.
        const locked = isUuid(tokenId)
          ? await db.select({ id: tokens.id }).from(tokens).where(eq(tokens.id, tokenId)).for('no key update')
          : []
        if (locked.length === 0) throw new SluiceError('token_invalid')
        await db.execute(sql`
          delete from issued_keys where token_id = ${tokenId} and (expires_at <= clock_timestamp() or sha256 in (
            select sha256 from issued_keys where token_id = ${tokenId} and expires_at > clock_timestamp()
            order by created_at desc, sha256 offset ${Math.max(0, ISSUED_MAX - keys.length)}))`)
        const values = keys.map(({ sha256Hex: sha256, kind, ttlMs }) => {
          const expiresAt = sql`clock_timestamp() + ${ttlMs}::float8 * interval '1 ms'`
          return { sha256, kind, tokenId, createdAt: sql`clock_timestamp()`, expiresAt }
        })
        await db.insert(issuedKeys).values(values).onConflictDoNothing()
      })
    },
    async redeem(sha256Hex) {
      if (!isText(sha256Hex)) return null
      // Deleting it is what makes it single: of two at once, one finds it.
      const [row] = await query((db) =>
        db.execute<CallerRow>(sql`
          with redeemed as (
            delete from issued_keys where sha256 = ${sha256Hex} and kind = 'refresh' and expires_at > clock_timestamp()
            returning token_id)
          select id, tenant_id as "tenantId", role, name, number from tokens join redeemed on id = token_id where ${isActive}`),
      )
      return row ? callerOf(row) : null
    },
    async forgetExpired(limit) {
      const rows = await query((db) =>
        db.execute(sql`
          delete from issued_keys where sha256 in (
            select sha256 from issued_keys where expires_at <= clock_timestamp()
            order by expires_at limit ${limit} for update skip locked)
          returning 1`),
      )
      return rows.length
    },

    async findPublicKey(tokenId) {
      if (!isUuid(tokenId)) return null
      const [row] = await query((db) =>
        db
          .select({ pem: tokens.publicKey })
          .from(tokens)
          .where(and(eq(tokens.id, tokenId), isActive)),
      )
      return row?.pem ?? null
    },
    async setPublicKey(tenantId, tokenId, publicKey) {
      if (!isUuid(tokenId)) return false
      const rows = await query((db) =>
        db
          .update(tokens)
          .set({ publicKey })
          .where(and(eq(tokens.tenantId, tenantId), eq(tokens.id, tokenId)))
          .returning({ id: tokens.id }),
      )
      return rows.length > 0
    },
  }
}

type CallerRow = Record<keyof typeof caller, unknown> & Pick<InferSelectModel<typeof tokens>, 'id' | 'tenantId' | 'role' | 'name'>

/** Numbers of statements that were written by hand come as text. */
function callerOf({ id, tenantId, role, name, number }: CallerRow): Caller {
  return { tokenId: id as TokenId, tenantId: tenantId as TenantId, role, name, number: Number(number) }
}

function recordOf(row: InferSelectModel<typeof tokens>): TokenRecord {
  const { prefix, createdAt, expiresAt, revokedAt, lastUsedAt } = row
  return { ...callerOf(row), prefix, createdAt, expiresAt, revokedAt, lastUsedAt }
}
