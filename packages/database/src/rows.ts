/** Between rows and the words of the core. */
import type {
  Digest,
  Facts,
  File,
  FileId,
  ImageId,
  Ingest,
  IngestId,
  Parking,
  Product,
  ProductId,
  ProductRef,
  Source,
  StagedSource,
  Target,
  TenantId,
} from '@sluice/core'
import { isUuid, SluiceError } from '@sluice/core'
import { getTableColumns, type InferSelectModel, type PgTable } from './drizzle.ts'
import type { files, ingests, products } from './schema.ts'

/** A row of a statement that was written by hand, as the query builder would have given it. */
export function rowOf<T extends PgTable>(table: T, raw: Record<string, unknown>): InferSelectModel<T> {
  const entries = Object.entries(getTableColumns(table)).map(([key, column]) => {
    const value = raw[column.name] ?? null
    return [key, value === null ? null : column.mapFromDriverValue(value)]
  })
  return Object.fromEntries(entries) as InferSelectModel<T>
}

/** The row of a statement that always gives one. */
export function only<T>(rows: readonly T[]): T {
  const [row] = rows
  if (row === undefined) throw new SluiceError('internal_error', undefined, { cause: new Error('a statement gave no row') })
  return row
}

export function productOf(row: InferSelectModel<typeof products>): Product {
  const { imageCount: _, ...product } = row
  return { ...product, id: product.id as ProductId, tenantId: product.tenantId as TenantId }
}

export function fileOf({ id, number, tenantId, code, name, createdAt }: InferSelectModel<typeof files>, facts: Facts): File {
  return { id: id as FileId, number, tenantId: tenantId as TenantId, code, name, facts, createdAt }
}

type IngestRow = InferSelectModel<typeof ingests>

export function ingestOf(row: IngestRow): Ingest {
  const { id, tenantId, state, attempts, epoch, createdAt, updatedAt, finishedAt } = row
  return {
    id: id as IngestId,
    tenantId: tenantId as TenantId,
    state,
    source: sourceOf(row),
    fetched: row.sourceKind === 'url' && row.stagedKey !== null ? stagedSourceOf(row) : null,
    lane: row.lane,
    target: targetOf(row),
    parking: parkingOf(row),
    attempts,
    epoch,
    postponed: postponedOf(row),
    result:
      row.resultFileId === null ? null : { fileId: row.resultFileId as FileId, imageId: row.resultImageId as ImageId | null },
    problem: problemOf(row),
    createdAt,
    updatedAt,
    finishedAt,
  }
}

function sourceOf(row: IngestRow): Source {
  if (row.sourceKind === 'file') return { kind: 'file', fileId: row.sourceFileId as FileId }
  if (row.sourceKind === 'url') return { kind: 'url', url: row.sourceUrl ?? '', fileName: row.fileName }
  if (row.sourceKind === 'uploaded') return uploadedSourceOf(row)
  return stagedSourceOf(row)
}

function uploadedSourceOf({ stagedKeys, bytes, declaredType, typeMustMatch, fileName, promisedDigest }: IngestRow): Source {
  const common = { bytes: bytes ?? 0, declaredType, typeMustMatch: typeMustMatch ?? false, fileName }
  return { kind: 'uploaded', keys: stagedKeys ?? [], ...common, sha256: promisedDigest }
}

function stagedSourceOf(row: IngestRow): StagedSource {
  return {
    kind: 'staged',
    key: row.stagedKey ?? '',
    digest: row.digest as Digest,
    bytes: row.bytes ?? 0,
    declaredType: row.declaredType,
    typeMustMatch: row.typeMustMatch ?? false,
    fileName: row.fileName,
    reusesFile: row.reusesFile,
  }
}

function targetOf({ productId, target }: IngestRow): Target | null {
  return productId === null || target === null ? null : { productId: productId as ProductId, ...target }
}

function parkingOf({ productId, target, parkedSku, parkedUntil }: IngestRow): Parking | null {
  if (productId !== null || parkedSku === null || parkedUntil === null || target?.kind !== 'attach') return null
  return { sku: parkedSku, until: parkedUntil, placement: target.placement }
}

function postponedOf({ state, postponedBecause: because, dueAt: until }: IngestRow): Ingest['postponed'] {
  return state === 'received' && because !== null && until !== null ? { because, until } : null
}

function problemOf({ problemCode, problemDetail, problemDetails }: IngestRow): Ingest['problem'] {
  if (problemCode === null) return null
  const problem = { code: problemCode, detail: problemDetail ?? '' }
  return problemDetails === null ? problem : { ...problem, details: problemDetails }
}

/** False for what no row can bear: asking the database for it would be an error and not an absence. */
export function canExist(ref: ProductRef): boolean {
  if (ref.kind === 'id') return isUuid(ref.id)
  if (ref.kind === 'number') return Number.isSafeInteger(ref.number)
  return isText(ref.kind === 'model' ? ref.code : ref.sku)
}

/** PostgreSQL's text holds every character but one. */
export function isText(text: string): boolean {
  return !text.includes('\0')
}

/** For texts that are told and not compared. */
export function withoutNul(text: string): string {
  return text.replaceAll('\0', '\u{fffd}')
}

/** A list as one parameter, `::uuid[]` or `::text[]`: a list of parameters would make a new statement for each length. */
export function arrayLiteral(items: readonly string[]): string {
  return `{${items.map((item) => `"${item.replace(/["\\]/g, '\\$&')}"`).join(',')}}`
}
