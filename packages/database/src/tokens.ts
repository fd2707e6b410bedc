import { type Caller, isUuid, type TenantId, type TokenId, type TokenRecord, type Tokens } from '@sluice/core'
import { and, desc, eq, gt, type InferSelectModel, isNull, or, sql } from './drizzle.ts'
import { isText, only } from './rows.ts'
import { tokens } from './schema.ts'
import { prepared, type Runner } from './transaction.ts'

const caller = { id: tokens.id, tenantId: tokens.tenantId, role: tokens.role, name: tokens.name }
const isActive = and(isNull(tokens.revokedAt), or(isNull(tokens.expiresAt), gt(tokens.expiresAt, sql`now()`)))

const activeByHash = prepared((db) =>
  db
    .select(caller)
    .from(tokens)
    .where(and(eq(tokens.sha256, sql.placeholder('hash')), isActive))
    .prepare('active_token_by_hash'),
)
const activeById = prepared((db) =>
  db
    .select(caller)
    .from(tokens)
    .where(and(eq(tokens.id, sql.placeholder('id')), isActive))
    .prepare('active_token_by_id'),
)

export function openTokens({ query }: Runner): Tokens {
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
  }
}

function callerOf({ id, tenantId, role, name }: { id: string; tenantId: string; role: Caller['role']; name: string }): Caller {
  return { tokenId: id as TokenId, tenantId: tenantId as TenantId, role, name }
}

function recordOf(row: InferSelectModel<typeof tokens>): TokenRecord {
  const { prefix, createdAt, expiresAt, revokedAt } = row
  return { ...callerOf(row), prefix, createdAt, expiresAt, revokedAt }
}
