import type { IngestId, TenantId } from '../../ids.ts'
import type { IdempotencyKeys, NewIngest } from '../../ports.ts'
import type { KeyRow, Tables } from './tables.ts'

export function memoryIdempotencyKeys({ keys, now }: Tables): IdempotencyKeys {
  const nowMs = () => now().getTime()

  /** Reserved, and by this owner, and whether it is bound. */
  function owned(tenantId: TenantId, key: string, owner: IngestId, isBound: boolean): KeyRow | null {
    const row = keys.get(placeOf(tenantId, key))
    return row?.owner === owner && (row.fingerprint !== null) === isBound ? row : null
  }

  return {
    async reserve(tenantId, key, owner, leaseMs, keepMs) {
      const row = keys.get(placeOf(tenantId, key))
      const isKnown = row && row.createdAtMs >= nowMs() - keepMs
      if (isKnown && row.fingerprint !== null) {
        return { kind: 'known', fingerprint: row.fingerprint, ingestId: row.owner, answer: row.answer }
      }
      if (isKnown && row.leaseUntilMs >= nowMs() && row.owner !== owner) return { kind: 'in_flight' }
      const reserved = { owner, leaseUntilMs: nowMs() + leaseMs, createdAtMs: nowMs(), fingerprint: null, answer: null }
      keys.set(placeOf(tenantId, key), reserved)
      return { kind: 'reserved' }
    },
    async record(tenantId, key, owner, answer) {
      const row = owned(tenantId, key, owner, true)
      if (row) keys.set(placeOf(tenantId, key), { ...row, answer })
    },
    async release(tenantId, key, owner) {
      if (owned(tenantId, key, owner, false)) keys.delete(placeOf(tenantId, key))
    },
    async forget(keepMs, limit) {
      const old = [...keys].filter(([, { createdAtMs }]) => createdAtMs < nowMs() - keepMs).slice(0, limit)
      for (const [place] of old) keys.delete(place)
      return old.length
    },
  }
}

/** False when the ingest has a key that is not its own, or not any more. */
export function bindKey({ keys }: Tables, { id, tenantId, idempotency }: NewIngest): boolean {
  if (!idempotency) return true
  const { key, fingerprint } = idempotency
  const row = keys.get(placeOf(tenantId, key))
  if (row?.owner !== id) return false
  keys.set(placeOf(tenantId, key), { ...row, fingerprint })
  return true
}

function placeOf(tenantId: TenantId, key: string): string {
  return `${tenantId}/${key}`
}
