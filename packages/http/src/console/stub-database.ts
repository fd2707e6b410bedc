/** For the console's tests: what its pages read, with contents that a test arranges. */
import {
  type Caller,
  type Database,
  DEFAULT_LIMITS,
  hashToken,
  type Ingest,
  type IngestFilter,
  type IngestId,
  INGEST_STATES,
  type IngestState,
  type Product,
  type ProductId,
  SluiceError,
  type TenantId,
  type TimelineEntry,
  type TokenId,
  type TokenRole,
} from '@sluice/core'
import { randomUUIDv7 } from 'node:crypto'

const TENANT = randomUUIDv7() as TenantId

export function stubDatabase() {
  const tokens = new Map<string, Caller>()
  const revoked = new Set<TokenId>()
  const products = new Map<ProductId, Product>()
  const ingests: Ingest[] = []
  const timelines = new Map<IngestId, TimelineEntry[]>()
  const find = (tenantId: TenantId, id: IngestId) => ingests.find((ingest) => ingest.tenantId === tenantId && ingest.id === id)
  const stub = {
    tokens: {
      authenticate: async (hash: string) => {
        const caller = tokens.get(hash)
        return caller && !revoked.has(caller.tokenId) ? caller : null
      },
      findActive: async (id: TokenId) =>
        [...tokens.values()].find(({ tokenId }) => tokenId === id && !revoked.has(tokenId)) ?? null,
    },
    products: { find: async (_tenantId: TenantId, ref: { id: ProductId }) => products.get(ref.id) ?? null },
    files: { find: async () => null },
    images: { find: async () => null },
    ingests: {
      find: async (tenantId: TenantId, id: IngestId) => find(tenantId, id) ?? null,
      timeline: async (_tenantId: TenantId, id: IngestId) => timelines.get(id) ?? [],
      list: async (tenantId: TenantId, filter: IngestFilter, page: { before: IngestId | null; limit: number }) =>
        ingests
          .filter((ingest) => ingest.tenantId === tenantId && (filter.states?.includes(ingest.state) ?? true))
          .filter((ingest) => page.before === null || ingest.id < page.before)
          .filter((ingest) => filter.product?.kind !== 'sku' || skuOf(ingest) === filter.product.sku)
          .filter((ingest) => filter.text === undefined || JSON.stringify(ingest.source).includes(filter.text))
          .toSorted((a, b) => (a.id < b.id ? 1 : -1))
          .slice(0, page.limit),
      census: async () => {
        const count = (state: IngestState) => ingests.filter((ingest) => ingest.state === state).length
        return {
          states: Object.fromEntries(INGEST_STATES.map((state) => [state, count(state)])) as Record<IngestState, number>,
          oldestOpenMs: 0,
          outbox: 0,
        }
      },
    },
  }
  const skuOf = ({ target }: Ingest) => (target ? (products.get(target.productId)?.sku ?? null) : null)
  return {
    database: stub as unknown as Database,
    limits: DEFAULT_LIMITS,
    replay: async (tenantId: TenantId, id: IngestId): Promise<Ingest> => {
      const ingest = find(tenantId, id)
      if (!ingest) throw new SluiceError('ingest_unknown')
      if (ingest.state !== 'failed') throw new SluiceError('ingest_not_replayable')
      const replayed = { ...ingest, state: 'received' as const, epoch: ingest.epoch + 1, problem: null, finishedAt: null }
      ingests[ingests.indexOf(ingest)] = replayed
      return replayed
    },
    addToken(role: TokenRole, name = role as string): { secret: string; tokenId: TokenId } {
      const tokenId = randomUUIDv7() as TokenId
      const secret = `sluice_${randomUUIDv7()}`
      tokens.set(hashToken(secret), { tokenId, tenantId: TENANT, role, name, number: tokens.size + 1 })
      return { secret, tokenId }
    },
    revoke: (tokenId: TokenId) => void revoked.add(tokenId),
    addProduct(sku: string): ProductId {
      const id = randomUUIDv7() as ProductId
      const number = products.size + 1
      products.set(id, { ...PLAIN, id, number, sku, createdAt: new Date(), updatedAt: new Date() })
      return id
    },
    addIngest(ingest: Partial<Ingest>, timeline: TimelineEntry[] = []): IngestId {
      const id = ingest.id ?? (randomUUIDv7() as IngestId)
      ingests.push({ ...EMPTY, id, ...ingest })
      timelines.set(id, timeline)
      return id
    },
  }
}

const PLAIN = {
  tenantId: TENANT,
  kind: 'product',
  title: null,
  status: 'live',
  owner: 'store',
  websites: null,
  acceptsImages: true,
  extra: {},
  version: 1,
} as const

const EMPTY = {
  tenantId: TENANT,
  state: 'received',
  source: {
    kind: 'staged',
    key: 'key',
    digest: '0'.repeat(64),
    bytes: 1,
    declaredType: null,
    typeMustMatch: false,
    fileName: null,
    reusesFile: false,
  },
  target: null,
  attempts: 0,
  epoch: 1,
  result: null,
  problem: null,
  createdAt: new Date('2026-11-20T10:00:00Z'),
  updatedAt: new Date('2026-11-20T10:00:00Z'),
  finishedAt: null,
} as unknown as Omit<Ingest, 'id'>
