import type { IngestId } from '../../ids.ts'
import type { Ingest } from '../../ingest.ts'
import type { Ingests, NewIngest } from '../../ports.ts'
import type { Product } from '../../product-image.ts'
import { tellOfIngest } from './events.ts'
import { enqueue, findProduct, type Tables, writeIngest } from './tables.ts'

/** What of an ingest depends on whether the product that it names is there. */
export function parked(tables: Tables, { tenantId, target, park }: NewIngest): Pick<Ingest, 'state' | 'target' | 'parking'> {
  if (!park) return { state: 'received', target, parking: null }
  const { sku, placement, waitMs } = park
  const product = findProduct(tables, tenantId, { kind: 'sku', sku })?.product
  if (product) return { state: 'received', target: { kind: 'attach', productId: product.id, placement }, parking: null }
  return { state: 'parked', target: null, parking: { sku, placement, until: new Date(tables.now().getTime() + waitMs) } }
}

export function unpark(tables: Tables, { tenantId, kind, sku }: Pick<Product, 'tenantId' | 'kind' | 'sku'>): void {
  if (kind !== 'product') return
  const waiting = [...parkedOnes(tables)].filter((ingest) => ingest.tenantId === tenantId && ingest.parking?.sku === sku)
  for (const ingest of waiting) goOn(tables, ingest)
}

export function settleParked(tables: Tables, limit: number): Awaited<ReturnType<Ingests['settleParked']>> {
  const all = [...parkedOnes(tables)]
  const unparked = all.filter((ingest) => homeOf(tables, ingest)).slice(0, limit)
  for (const ingest of unparked) goOn(tables, ingest)
  const isLate = ({ parking }: Ingest) => parking !== null && parking.until < tables.now()
  const expired = all.filter((ingest) => isLate(ingest) && !homeOf(tables, ingest)).slice(0, limit)
  for (const ingest of expired) {
    const problem = {
      code: 'product_unknown',
      detail: `No product with the SKU "${ingest.parking?.sku ?? ''}" came in time.`,
    } as const
    const ended = { ...ingest, state: 'rejected', problem, finishedAt: tables.now() } as const
    writeIngest(tables, ended, { own: { step: 'finish', outcome: 'rejected' } })
    tellOfIngest(tables, ended)
    tables.wake(ingest.id)
  }
  const idsOf = (ingests: readonly Ingest[]): readonly IngestId[] => ingests.map(({ id }) => id)
  return { unparked: idsOf(unparked), expired: idsOf(expired) }
}

function parkedOnes({ ingests }: Tables): Iterable<Ingest> {
  return ingests.values().filter(({ state }) => state === 'parked')
}

function homeOf(tables: Tables, { tenantId, parking }: Ingest): Product | null {
  return (parking && findProduct(tables, tenantId, { kind: 'sku', sku: parking.sku })?.product) ?? null
}

function goOn(tables: Tables, ingest: Ingest): void {
  const { parking } = ingest
  const product = homeOf(tables, ingest)
  if (!parking || !product) return
  const target = { kind: 'attach', productId: product.id, placement: parking.placement } as const
  const received = { ...ingest, state: 'received', target, parking: null } as const
  enqueue(tables, writeIngest(tables, received, { own: { step: 'unpark', outcome: 'done' } }))
  tables.wake(ingest.id)
}
