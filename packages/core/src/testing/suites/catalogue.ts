/** Short words for what the tests of a database do to it. Only the port is known here. */
import { expect, vi } from 'vitest'
import type { ErrorCode } from '../../errors.ts'
import type { ImageId, ProductId, TenantId } from '../../ids.ts'
import type { Ingest, IngestState, Lane, Placement } from '../../ingest.ts'
import { DEFAULT_NAME } from '../../naming.ts'
import type { Commit, Database, NewIngest } from '../../ports.ts'
import type { ImageList, Product, ProductRef } from '../../product-image.ts'
import { aCommit, aNewIngest, aPlacement, newId } from '../builders.ts'
import type { TestedDatabase } from '../database-suite.ts'

export const LIMITS = { imagesPerProductMax: 10_000 }

/** Long enough that no test sees its end. */
export const LONG_MS = 600_000
/** Short enough to wait for: nobody can move the clock of a real database. */
export const SHORT_MS = 30

export interface Catalogue extends AsyncDisposable {
  readonly database: Database
  readonly home: TenantId
  readonly stranger: TenantId
  readonly newTenant: () => Promise<TenantId>
  readonly newProduct: (tenantId?: TenantId) => Promise<Product>
  readonly accept: (change?: Partial<NewIngest>) => Promise<Ingest>
  readonly acceptFor: (product: Product, placement?: Partial<Placement>, change?: Partial<NewIngest>) => Promise<Ingest>
  readonly commit: (ingest: Ingest, change?: Partial<Commit>) => Promise<IngestState>
  /** Accepts and commits one image. */
  readonly attach: (product: Product, placement?: Partial<Placement>, stem?: string) => Promise<ImageId>
  readonly imagesOf: (product: Product) => Promise<ImageList>
}

/** What the tests of one theme are given. */
export interface Subject {
  /** The one that most tests share. */
  readonly catalogue: () => Catalogue
  /** For tests that look at all tenants at once. */
  readonly openOwn: () => Promise<Catalogue>
  readonly propertyRuns: number
}

export async function openCatalogue(open: () => Promise<TestedDatabase>): Promise<Catalogue> {
  await using stack = new AsyncDisposableStack()
  const database = stack.use(await open())
  const home = present(await database.tenants.findByName('default'))
  const stranger = await database.newTenant()
  const opened = stack.move()
  const newTenant = () => database.newTenant()
  return { database, home, stranger, newTenant, ...words(database, home), [Symbol.asyncDispose]: () => opened.disposeAsync() }
}

function words(
  database: Database,
  home: TenantId,
): Omit<Catalogue, 'database' | 'home' | 'stranger' | 'newTenant' | keyof AsyncDisposable> {
  const accept: Catalogue['accept'] = (change) => database.ingests.accept(aNewIngest({ tenantId: home, ...change }))
  const acceptFor: Catalogue['acceptFor'] = ({ id: productId, tenantId }, placement, change) =>
    accept({ tenantId, target: { kind: 'attach', productId, placement: aPlacement(placement) }, ...change })
  const commit: Catalogue['commit'] = (ingest, change) => database.ingests.commit(aCommit(ingest, change), LIMITS)
  return {
    accept,
    acceptFor,
    commit,
    newProduct: (tenantId = home) =>
      database.products.create({ id: newId() as ProductId, tenantId, sku: `sku ${newId()}`, title: null }),
    async attach(product, placement, stem = DEFAULT_NAME) {
      const image = { kind: 'attach', id: newId() as ImageId, stem, placement: aPlacement(placement) } as const
      expect(await commit(await acceptFor(product, placement), { image })).toBe('committed')
      return image.id
    },
    imagesOf: async (product) => present(await database.images.list(product.tenantId, refOf(product))),
  }
}

export function refOf({ id }: Pick<Product, 'id'>): ProductRef {
  return { kind: 'id', id }
}

export function present<T>(value: T | null | undefined): T {
  if (value === null || value === undefined) throw new Error('expected something and found nothing')
  return value
}

export async function expectRefusal(act: Promise<unknown>, code: ErrorCode, details: object = {}): Promise<void> {
  await expect(act).rejects.toMatchObject({ code, details })
}

/** Waits for a condition; the deadline is for what never comes. */
export function eventually(check: () => void | Promise<void>): Promise<void> {
  return vi.waitFor(check, { timeout: 10_000, interval: 10 })
}

/** For claims from the outbox. */
export function roomFor(rows: number): Readonly<Record<Lane, number>> {
  return { interactive: rows, import: rows }
}

export function range(length: number): number[] {
  return Array.from({ length }, (_, index) => index + 1)
}
