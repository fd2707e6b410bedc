/** A catalogue for tests: a database of its own, and short words for what the tests do to it. */
import { randomUUID } from 'node:crypto'
import {
  AT_THE_END,
  type Commit,
  type Database,
  type Digest,
  type Facts,
  type FileId,
  type ImageId,
  type Ingest,
  type IngestId,
  type IngestState,
  type NewIngest,
  type Placement,
  type Product,
  type ProductId,
  type TenantId,
  type TokenId,
} from '@sluice/core'
import postgres from 'postgres'
import { type DatabaseOptions, openDatabase } from './open-database.ts'
import { createTestDatabase } from './testing.ts'

export { AT_THE_END }
export const LIMITS = { imagesPerProductMax: 10_000 }

export interface Catalogue extends AsyncDisposable {
  readonly url: string
  readonly database: Database & AsyncDisposable
  readonly tenantId: TenantId
  /** Raw SQL, beside the port. */
  readonly sql: postgres.Sql
  newTenant(): Promise<TenantId>
  newProduct(tenantId?: TenantId): Promise<Product>
  accept(product: Product | null, change?: Partial<NewIngest>): Promise<Ingest>
  commit(ingest: Ingest, change?: Partial<Commit>): Promise<IngestState>
  /** Accepts and commits one image; answers its id. */
  attach(product: Product, placement?: Partial<Placement>, stem?: string): Promise<ImageId>
}

export async function openCatalogue(adminUrl: string, options: Partial<DatabaseOptions> = {}): Promise<Catalogue> {
  await using stack = new AsyncDisposableStack()
  const { url } = stack.use(await createTestDatabase(adminUrl))
  const sql = stack.adopt(postgres(url, { max: 2, onnotice: () => undefined }), (sql) => sql.end({ timeout: 1 }))
  const database = stack.use(await openDatabase({ url, poolMax: 16, applicationName: 'test', ...options }))
  const tenantId = await database.tenants.findByName('default')
  if (tenantId === null) throw new Error('there is no tenant "default"')
  const opened = stack.move()
  return { url, database, sql, tenantId, ...verbs(database, sql, tenantId), [Symbol.asyncDispose]: () => opened.disposeAsync() }
}

function verbs(database: Database, sql: postgres.Sql, home: TenantId) {
  const newProduct = (tenantId = home) =>
    database.products.create({ id: randomUUID() as ProductId, tenantId, sku: randomUUID(), title: null })

  const accept = (product: Product | null, change: Partial<NewIngest> = {}) =>
    database.ingests.accept({
      id: randomUUID() as IngestId,
      tenantId: product?.tenantId ?? home,
      tokenId: randomUUID() as TokenId,
      source: stagedSource(),
      target: product && { kind: 'attach', productId: product.id, placement: AT_THE_END },
      idempotency: null,
      answer: null,
      ...change,
    })

  const commit = (ingest: Ingest, change: Partial<Commit> = {}) =>
    database.ingests.commit(
      {
        ingestId: ingest.id,
        attempt: ingest.attempts,
        since: ingest.updatedAt,
        file: { kind: 'new', id: randomUUID() as FileId, name: 'a.jpg', facts: factsOf(ingest), reuses: false },
        image: imageOf(ingest),
        timeline: [],
        ...change,
      },
      LIMITS,
    )

  async function attach(product: Product, placement: Partial<Placement> = {}, stem = 'image'): Promise<ImageId> {
    const whole = { ...AT_THE_END, ...placement }
    const id = randomUUID() as ImageId
    const ingest = await accept(product, { target: { kind: 'attach', productId: product.id, placement: whole } })
    await commit(ingest, { image: { kind: 'attach', id, stem, placement: whole } })
    return id
  }

  async function newTenant(): Promise<TenantId> {
    const id = randomUUID()
    await sql`insert into tenants (id, name) values (${id}, ${id})`
    return id as TenantId
  }
  return { newProduct, accept, commit, attach, newTenant }
}

function imageOf({ target }: Ingest): Commit['image'] {
  if (target?.kind === 'replace') return { kind: 'replace', id: target.imageId, change: target.change }
  return target && { kind: 'attach', id: randomUUID() as ImageId, stem: 'image', placement: target.placement }
}

export function stagedSource(): Extract<Ingest['source'], { kind: 'staged' }> {
  const digest = (randomUUID() + randomUUID()).replaceAll('-', '') as Digest
  const declared = { declaredType: null, typeMustMatch: false, fileName: 'a.jpg', reusesFile: false }
  return { kind: 'staged', key: `t/${digest}`, digest, bytes: 10, ...declared }
}

export function factsOf({ source }: Pick<Ingest, 'source'>): Facts {
  return {
    mediaType: 'image/jpeg',
    bytes: 10,
    digest: source.kind === 'staged' ? source.digest : ('0'.repeat(64) as Digest),
    width: 4,
    height: 3,
    orientation: 1,
    mode: 'RGB',
    alpha: false,
    frames: 1,
    density: null,
    iccName: null,
    exif: null,
    dominantColour: '#102030',
    thumbhash: 'AAAA',
    thumbnail: { width: 4, height: 3, bytes: 5 },
    warnings: [],
  }
}

/** Runs an act for each item, so many at a time. */
export async function concurrently<T>(count: number, items: Iterable<T>, act: (item: T) => Promise<unknown>): Promise<void> {
  const iterator = items[Symbol.iterator]()
  const lane = async () => {
    for (let next = iterator.next(); !next.done; next = iterator.next()) await act(next.value)
  }
  await Promise.all(Array.from({ length: count }, lane))
}

export function range(length: number): number[] {
  return Array.from({ length }, (_, i) => i + 1)
}
