import { SluiceError } from '../../errors.ts'
import type { IngestId, TenantId } from '../../ids.ts'
import { receivedBytes, type Upload, type Uploads } from '../../upload.ts'
import type { Tables } from './tables.ts'

export function memoryUploads({ now }: Tables): Uploads {
  const uploads = new Map<IngestId, Upload & { readonly takenAtMs: number }>()

  const ownRow = (tenantId: TenantId, id: IngestId) => {
    const row = uploads.get(id)
    return row?.tenantId === tenantId ? row : null
  }
  const shown = (row: Upload & { readonly takenAtMs: number }): Upload => {
    const { takenAtMs: _, ...upload } = row
    return upload
  }
  const change = (row: Upload & { readonly takenAtMs: number }, part: Partial<Upload & { takenAtMs: number }>): Upload => {
    const changed = { ...row, ...part }
    uploads.set(row.id, changed)
    return shown(changed)
  }

  return {
    async reserve({ ttlMs, ...upload }, { uploadsOpenMax, uploadsOpenBytesMax }) {
      const known = ownRow(upload.tenantId, upload.id)
      if (known) return shown(known)
      const held = [...uploads.values()].filter(({ tenantId, settledAt }) => tenantId === upload.tenantId && !settledAt)
      const bytes = held.reduce((sum, row) => sum + row.bytes, upload.bytes)
      if (held.length >= uploadsOpenMax || bytes > uploadsOpenBytesMax) throw new SluiceError('uploads_exceeded')
      const createdAt = now()
      const expiresAt = new Date(createdAt.getTime() + ttlMs)
      const row = { ...upload, state: 'open', parts: [], createdAt, expiresAt, settledAt: null, takenAtMs: 0 } as const
      return change({ ...row, takenAtMs: createdAt.getTime() }, {})
    },
    async find(tenantId, id) {
      const row = ownRow(tenantId, id)
      return row && shown(row)
    },
    async append(tenantId, id, offset, part) {
      const row = ownRow(tenantId, id)
      if (row?.state !== 'open' || row.expiresAt <= now()) return null
      if (receivedBytes(row) !== offset || offset + part.bytes > row.bytes) return null
      return change(row, { parts: [...row.parts, part] })
    },
    async close(tenantId, id, state) {
      const row = ownRow(tenantId, id)
      return row?.state === 'open' ? change(row, { state }) : null
    },
    async settle(tenantId, id) {
      const row = ownRow(tenantId, id)
      if (row && row.state !== 'open' && !row.settledAt) change(row, { settledAt: now() })
    },
    async takeUnsettled(everyMs, limit) {
      const before = now().getTime() - everyMs
      return [...uploads.values()]
        .filter(({ settledAt, takenAtMs }) => !settledAt && takenAtMs <= before)
        .sort((a, b) => a.takenAtMs - b.takenAtMs)
        .slice(0, limit)
        .map((row) => change(row, { takenAtMs: now().getTime() }))
    },
    async forget(keptMs, limit) {
      const before = now().getTime() - keptMs
      const old = [...uploads.values()].filter(({ settledAt }) => settledAt && settledAt.getTime() < before).slice(0, limit)
      for (const { id } of old) uploads.delete(id)
      return old.length
    },
  }
}
