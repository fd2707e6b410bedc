import {
  isUuid,
  type IngestId,
  type ProductId,
  SluiceError,
  type Target,
  type TenantId,
  type TokenId,
  type Upload,
  type Uploads,
} from '@sluice/core'
import { and, eq, type InferSelectModel, isNull, type SQL, sql } from './drizzle.ts'
import { isText, only, rowOf } from './rows.ts'
import { uploads } from './schema.ts'
import type { WithoutProduct } from './schema/columns.ts'
import type { Runner } from './transaction.ts'

export function openUploads({ query, transaction }: Runner): Uploads {
  const find: Uploads['find'] = async (tenantId, id) => {
    if (!isUuid(tenantId) || !isUuid(id)) return null
    const [row] = await query((db) => db.select().from(uploads).where(own(tenantId, id)))
    return row ? uploadOf(row) : null
  }
  return {
    find,
    async reserve({ ttlMs, target, ...upload }, { uploadsOpenMax, uploadsOpenBytesMax }) {
      const productId = target?.productId ?? null
      const values = { ...upload, productId, target: target && wishOf(target), expiresAt: after(ttlMs) }
      if (!isStorable(values)) throw new SluiceError('request_invalid')
      const row = await transaction(async (db) => {
        // The tenant's row is what its uploads are counted under.
        await db.execute(sql`select from tenants where id = ${upload.tenantId} for no key update`)
        const [known] = await db.select().from(uploads).where(own(upload.tenantId, upload.id))
        if (known) return known
        const [held] = await db.execute<{ count: number; bytes: number }>(sql`
          select count(*)::int as count, coalesce(sum(bytes), 0)::float8 as bytes from uploads
          where tenant_id = ${upload.tenantId} and settled_at is null`)
        const { count = 0, bytes = 0 } = held ?? {}
        if (count >= uploadsOpenMax || bytes + upload.bytes > uploadsOpenBytesMax) throw new SluiceError('uploads_exceeded')
        return only(await db.insert(uploads).values(values).returning())
      })
      return uploadOf(row)
    },
    append: (tenantId, id, offset, part) =>
      transaction(async (db) => {
        const isOpen = and(own(tenantId, id), eq(uploads.state, 'open'), sql`expires_at > clock_timestamp()`)
        const [row] = await db.select().from(uploads).where(isOpen).for('update')
        const received = row?.parts.reduce((sum, { bytes }) => sum + bytes, 0)
        if (!row || received !== offset || received + part.bytes > row.bytes) return null
        const parts = [...row.parts, part]
        return uploadOf(only(await db.update(uploads).set({ parts }).where(own(tenantId, id)).returning()))
      }),
    async close(tenantId, id, state) {
      if (!isUuid(id)) return null
      const isOpen = and(own(tenantId, id), eq(uploads.state, 'open'))
      const [row] = await query((db) => db.update(uploads).set({ state }).where(isOpen).returning())
      return row ? uploadOf(row) : null
    },
    async settle(tenantId, id) {
      const isOver = and(own(tenantId, id), isNull(uploads.settledAt), sql`state <> 'open'`)
      await query((db) =>
        db
          .update(uploads)
          .set({ settledAt: sql`clock_timestamp()` })
          .where(isOver),
      )
    },
    async takeUnsettled(everyMs, limit) {
      const rows = await query((db) =>
        db.execute(sql`
          with waiting as materialized (
            select id from uploads
            where settled_at is null and taken_at <= clock_timestamp() - ${everyMs}::float8 * interval '1 ms'
            order by taken_at limit ${limit} for update skip locked
          ) update uploads set taken_at = clock_timestamp() from waiting where uploads.id = waiting.id returning uploads.*`),
      )
      return rows.map((row) => uploadOf(rowOf(uploads, row)))
    },
    async forget(keptMs, limit) {
      const rows = await query((db) =>
        db.execute(sql`
          delete from uploads where id in (
            select id from uploads where settled_at < clock_timestamp() - ${keptMs}::float8 * interval '1 ms'
            order by settled_at limit ${limit} for update skip locked
          ) returning 1`),
      )
      return rows.length
    },
  }
}

function own(tenantId: TenantId, id: IngestId): SQL | undefined {
  return and(eq(uploads.tenantId, tenantId), eq(uploads.id, id))
}

function wishOf(target: Target): WithoutProduct<Target> {
  const { productId: _, ...wish } = target
  return wish
}

function after(ms: number): SQL<Date> {
  return sql`now() + ${ms}::float8 * interval '1 ms'`
}

/** `json` takes texts that it does not give back. */
function isStorable({ fileName, target, metadata }: { fileName: string | null; target: unknown; metadata: unknown }): boolean {
  let isFine = true
  JSON.stringify([fileName, target, metadata], (_, part: unknown) => {
    if (typeof part === 'string' && !(isText(part) && part.isWellFormed())) isFine = false
    return part
  })
  return isFine
}

function uploadOf(found: InferSelectModel<typeof uploads>): Upload {
  const { takenAt: _, productId, target, ...row } = found
  return {
    ...row,
    id: row.id as IngestId,
    tenantId: row.tenantId as TenantId,
    tokenId: row.tokenId as TokenId,
    target: productId !== null && target !== null ? { productId: productId as ProductId, ...target } : null,
  }
}
