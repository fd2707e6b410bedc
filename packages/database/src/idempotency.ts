import type { IdempotencyKeys, IngestId, Reservation } from '@sluice/core'
import { SluiceError } from '@sluice/core'
import { and, eq, isNotNull, isNull, sql } from './drizzle.ts'
import { idempotencyKeys as keys } from './schema.ts'
import type { Runner } from './transaction.ts'

/** A key may be given back between the two looks at it; more often than this it is not. */
const LOOKS_MAX = 5

export function openIdempotencyKeys({ query }: Runner): IdempotencyKeys {
  type Reserve = Parameters<IdempotencyKeys['reserve']>

  /** A key that is new, given up, too old to be remembered, or reserved by the same request before. */
  async function take(...[tenantId, key, ownerId, leaseMs, keepMs]: Reserve): Promise<boolean> {
    const rows = await query((db) =>
      db.execute(sql`
        insert into idempotency_keys as known (tenant_id, key, owner_id, lease_until)
        values (${tenantId}, ${key}, ${ownerId}, clock_timestamp() + ${leaseMs}::float8 * interval '1 ms')
        on conflict (tenant_id, key) do update set
          owner_id = excluded.owner_id, lease_until = excluded.lease_until,
          fingerprint = null, answer = null, created_at = clock_timestamp()
        where known.created_at < clock_timestamp() - ${keepMs}::float8 * interval '1 ms'
          or (known.fingerprint is null and (known.lease_until < clock_timestamp() or known.owner_id = excluded.owner_id))
        returning 1`),
    )
    return rows.length > 0
  }

  async function look(...[tenantId, key]: Reserve): Promise<Reservation | null> {
    const [row] = await query((db) =>
      db
        .select()
        .from(keys)
        .where(and(eq(keys.tenantId, tenantId), eq(keys.key, key))),
    )
    if (!row) return null
    const { fingerprint, answer } = row
    return fingerprint === null
      ? { kind: 'in_flight' }
      : { kind: 'known', fingerprint, ingestId: row.ownerId as IngestId, answer }
  }

  const isOwned = (tenantId: string, key: string, ownerId: string) =>
    and(eq(keys.tenantId, tenantId), eq(keys.key, key), eq(keys.ownerId, ownerId))

  return {
    async reserve(...request) {
      for (let i = 0; i < LOOKS_MAX; i++) {
        if (await take(...request)) return { kind: 'reserved' }
        const reservation = await look(...request)
        if (reservation) return reservation
      }
      throw new SluiceError('idempotency_key_in_flight')
    },
    async record(tenantId, key, owner, answer) {
      await query((db) =>
        db
          .update(keys)
          .set({ answer })
          .where(and(isOwned(tenantId, key, owner), isNotNull(keys.fingerprint))),
      )
    },
    async release(tenantId, key, owner) {
      await query((db) => db.delete(keys).where(and(isOwned(tenantId, key, owner), isNull(keys.fingerprint))))
    },
    async forget(keepMs, limit) {
      const rows = await query((db) =>
        db.execute(sql`
          delete from idempotency_keys where (tenant_id, key) in (
            select tenant_id, key from idempotency_keys
            where created_at < clock_timestamp() - ${keepMs}::float8 * interval '1 ms'
            order by created_at limit ${limit} for update skip locked)
          returning 1`),
      )
      return rows.length
    },
  }
}
