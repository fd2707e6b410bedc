import type { BlobRef, Blobs, BlobRow } from '../../blob.ts'
import { blobKey, type File, type Facts } from '../../file.ts'
import type { FileId, TenantId } from '../../ids.ts'
import { stagedKeysOf } from '../../ingest.ts'
import type { Removal, Tables } from './tables.ts'

export function memoryBlobs(tables: Tables): Blobs {
  const { facts, files, ingests, products, removals, tenants, now } = tables
  const keyOf = ({ tenantId, digest }: BlobRef) => blobKey(tenantId, digest)
  const nowMs = () => now().getTime()
  const shows = (key: string) => (file: File) => blobKey(file.tenantId, file.facts.digest) === key
  const isShown = (key: string) => files.values().some(shows(key))
  const write = (key: string, change: Partial<Removal>) => removals.set(key, { ...NO_REMOVAL, ...removals.get(key), ...change })

  const rowOf = (key: string, { digest, bytes, mediaType }: Facts): BlobRow => {
    const tenantId = key.slice(0, key.indexOf('/')) as TenantId
    const markedAtMs = isShown(key) ? null : (removals.get(key)?.markedAtMs ?? null)
    return { tenantId, digest, bytes, mediaType, isReferenced: isShown(key), markedMs: markedAtMs && nowMs() - markedAtMs }
  }

  return {
    now: async () => now(),
    count: async () => facts.size,
    async list(limit, after) {
      const behind = [...facts].filter(([key]) => after === null || key > keyOf(after))
      return behind
        .sort(([one], [other]) => (one < other ? -1 : 1))
        .slice(0, limit)
        .map(([key, known]) => rowOf(key, known))
    },
    async findMany(refs) {
      const keys = new Set(refs.map(keyOf))
      return [...facts].filter(([key]) => keys.has(key)).map(([key, known]) => rowOf(key, known))
    },
    async uses(refs, limit) {
      const imagesOf = (fileId: FileId) =>
        [...products.values()].flatMap(({ product: { id: productId, sku }, images }) =>
          images.filter(({ file }) => file.id === fileId).map(({ id: imageId, name }) => ({ productId, sku, imageId, name })),
        )
      const found = refs.flatMap((ref) => [...files.values()].filter(shows(keyOf(ref))))
      const uses = found.flatMap(({ tenantId, facts: { digest }, id: fileId, name: fileName }) => {
        const images = imagesOf(fileId)
        return (images.length > 0 ? images : [null]).map((image) => ({ tenantId, digest, fileId, fileName, image }))
      })
      return uses.slice(0, limit)
    },
    async copies({ tenantId, digest }) {
      const open = ingests
        .values()
        .filter((ingest) => ingest.tenantId === tenantId && ingest.state !== 'committed' && ingest.state !== 'rejected')
      const same = open.filter(({ source, fetched }) => ('digest' in source ? source.digest : fetched?.digest) === digest)
      const others = [...tenants.values()].filter((other) => other !== tenantId && facts.has(blobKey(other, digest)))
      return { stagedKeys: [...same].flatMap(stagedKeysOf), blobs: others.map((other) => ({ tenantId: other, digest })) }
    },
    async mark(refs) {
      const due = refs
        .map(keyOf)
        .filter((key) => facts.has(key) && !isShown(key) && (removals.get(key)?.markedAtMs ?? null) === null)
      for (const key of due) write(key, { markedAtMs: nowMs() })
      return due.length
    },
    async beginRemoval(ref, graceMs) {
      const key = keyOf(ref)
      const { markedAtMs, begunAtMs } = removals.get(key) ?? NO_REMOVAL
      const mayGo = !isShown(key) && markedAtMs !== null && markedAtMs <= nowMs() - graceMs
      if (begunAtMs !== null || (facts.has(key) && !mayGo)) return false
      facts.delete(key)
      write(key, { markedAtMs: null, begunAtMs: nowMs() })
      return true
    },
    async endRemoval(ref) {
      if ((removals.get(keyOf(ref))?.begunAtMs ?? null) !== null) write(keyOf(ref), { begunAtMs: null, endedAtMs: nowMs() })
    },
    async takeOverRemovals(idleMs, limit) {
      const left = [...removals].filter(([, { begunAtMs }]) => begunAtMs !== null && begunAtMs < nowMs() - idleMs).slice(0, limit)
      for (const [key] of left) write(key, { begunAtMs: nowMs() })
      return left.map(([key]) => refOf(key))
    },
    async forgetRemovals(keptMs, limit) {
      const isOld = ({ markedAtMs, begunAtMs, endedAtMs }: Removal) =>
        markedAtMs === null && begunAtMs === null && endedAtMs !== null && endedAtMs < nowMs() - keptMs
      const old = [...removals].filter(([, removal]) => isOld(removal)).slice(0, limit)
      for (const [key] of old) removals.delete(key)
      return old.length
    },
  }
}

const NO_REMOVAL: Removal = { markedAtMs: null, begunAtMs: null, endedAtMs: null }

function refOf(key: string): BlobRef {
  const [tenantId, , digest] = key.split('/')
  return { tenantId, digest } as BlobRef
}

/** Whether a run that began at that time may have seen objects that are gone by now, or will be. */
export function isGone({ removals }: Tables, ref: BlobRef, since: Date): boolean {
  const { begunAtMs, endedAtMs } = removals.get(blobKey(ref.tenantId, ref.digest)) ?? NO_REMOVAL
  return begunAtMs !== null || (endedAtMs !== null && endedAtMs >= since.getTime())
}
