import { findProduct, type Tables } from './tables.ts'
import type { IngestId, TenantId } from '../../ids.ts'
import type { Ingest } from '../../ingest.ts'
import type { IngestFilter } from '../../ports.ts'

export function listIngests(
  tables: Tables,
  tenantId: TenantId,
  { states, ids, codes, product, createdFrom, createdTo, text }: IngestFilter,
  { before, limit }: { before: IngestId | null; limit: number },
): readonly Ingest[] {
  const productId = product?.kind === 'id' ? product.id : product && findProduct(tables, tenantId, product)?.product.id
  return [...tables.ingests.values()]
    .filter((ingest) => ingest.tenantId === tenantId && (before === null || ingest.id < before))
    .filter((ingest) => !states || states.includes(ingest.state))
    .filter(({ id }) => !ids || ids.includes(id))
    .filter(({ problem }) => !codes || codes.some((code) => code === problem?.code || code === problem?.details?.['cause']))
    .filter(({ target }) => !product || (target && target.productId === productId))
    .filter(({ createdAt }) => (!createdFrom || createdAt >= createdFrom) && (!createdTo || createdAt <= createdTo))
    .filter((ingest) => !text || mentions(tables, ingest, text.toLowerCase()))
    .sort((a, b) => (a.id < b.id ? 1 : -1))
    .slice(0, limit)
}

function mentions(tables: Tables, { id, tenantId, source, fetched, target, result, problem }: Ingest, text: string): boolean {
  const row = target && findProduct(tables, tenantId, { kind: 'id', id: target.productId })
  const image = row?.images.find((image) => image.id === result?.imageId)
  const staged = source.kind === 'staged' ? source : fetched
  const url = source.kind === 'url' ? source.url.split('?')[0] : null
  const fileName = source.kind === 'file' ? null : source.fileName
  const asked = target?.kind === 'attach' ? target.placement : target?.change
  const askedName = target?.kind === 'attach' ? target.placement.name : null
  const parts = [fileName, url, asked?.label, askedName, image?.name, problem?.code, problem?.detail]
  const wholes = [
    id,
    staged?.digest,
    source.kind === 'file' ? source.fileId : null,
    target?.productId,
    target?.kind === 'replace' ? target.imageId : null,
    row?.product.sku,
    result?.fileId,
    result?.imageId,
  ]
  return parts.some((part) => part?.toLowerCase().includes(text)) || wholes.some((whole) => whole?.toLowerCase() === text)
}
