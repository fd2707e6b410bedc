/**
 * Imports: many rows at one time, each of which brings one image to one product. Rows are read, planned against what the
 * products show, and applied as planned; what was there before is kept, so that all of it can be undone.
 */
import type { Problem } from './errors.ts'
import {
  type Digest,
  type FileId,
  type ImageId,
  type ImportId,
  type IngestId,
  isUuid,
  type ProductId,
  type TenantId,
  type TokenId,
} from './ids.ts'
import type { Placement, Source } from './ingest.ts'
import type { ImageChange } from './ports.ts'
import type { Product, ProductRef } from './product-image.ts'

/**
 * open ⇄ planned → applying → finished → undoing → undone. Stopping: nothing more begins, what runs is waited for. Stopped: it can
 * be resumed, or undone.
 */
export const IMPORT_STATES = ['open', 'planned', 'applying', 'stopping', 'stopped', 'finished', 'undoing', 'undone'] as const
export type ImportState = (typeof IMPORT_STATES)[number]

/** The states in which a worker has something to do. */
export const WORKING_STATES = ['applying', 'stopping', 'undoing'] as const satisfies readonly ImportState[]

/** Add: what the rows do not name stays. Sync: the products named get exactly these images. */
export const IMPORT_MODES = ['add', 'sync'] as const
export type ImportMode = (typeof IMPORT_MODES)[number]

export interface ImportOptions {
  readonly mode: ImportMode
  /** Whether a row that fails stops the import. */
  readonly onError: 'skip' | 'stop'
  /** Whether a product that a row names by an unknown SKU is created. */
  readonly createProducts: boolean
  /** How long rows wait for a product with an unknown SKU, from the start of applying; 0: they fail. */
  readonly parkMs: number
}

export interface Import extends ImportOptions {
  readonly id: ImportId
  readonly tenantId: TenantId
  readonly tokenId: TokenId
  readonly name: string
  readonly state: ImportState
  /** Over all actions and the versions of the products that they were computed against; null while there is no plan. */
  readonly planHash: string | null
  /** Whether the caller named the plan: then nothing but this plan is applied. */
  readonly planIsBinding: boolean
  /** Whether what others have changed since is put back, too. */
  readonly undoForce: boolean
  readonly createdAt: Date
  readonly updatedAt: Date
  readonly startedAt: Date | null
  readonly finishedAt: Date | null
}

/**
 * invalid: the row itself is at fault. pending: nothing was done yet. running: its ingest is under way. parked: its product is not
 * there yet. done, skipped (the same already), failed: over.
 */
export const ROW_STATES = ['invalid', 'pending', 'parked', 'running', 'done', 'skipped', 'failed'] as const
export type RowState = (typeof ROW_STATES)[number]

/** What becomes of a row; `detach` rows are made by the plan of a sync, for images that no row names. */
export const ROW_ACTIONS = ['create', 'attach', 'update', 'reorder', 'detach', 'skip', 'park', 'refuse'] as const
export type RowAction = (typeof ROW_ACTIONS)[number]

/** What a row may say of its image. What it does not say stays as it is, or as it is for new images. */
export interface RowWishes {
  readonly label?: string
  /** The rank: 1 is the front. */
  readonly position?: number
  /** Exactly these, the main one apart. */
  readonly roles?: readonly string[]
  readonly main?: boolean
  readonly excluded?: boolean
  /** Given once: an image that is there keeps its name. */
  readonly name?: string
  readonly stores?: readonly StoreWish[]
}

export interface StoreWish {
  readonly store: number
  readonly label?: string
  /** The sort key in this store view. */
  readonly position?: number
  readonly excluded?: boolean
  readonly roles?: readonly string[]
}

/** `bytes`: of this digest, which the tenant has by the time that the row is applied. */
export type RowSource =
  | { readonly kind: 'bytes'; readonly digest: Digest }
  | { readonly kind: 'file'; readonly fileId: FileId; readonly digest: Digest }
  | { readonly kind: 'url'; readonly url: string }
  | Extract<Source, { kind: 'staged' }>

/** What is wrong with one field of a row. */
export interface RowError {
  readonly field: string
  readonly message: string
}

export type NewRow =
  | {
      readonly line: number
      readonly kind: 'valid'
      readonly product: ProductRef
      readonly source: RowSource
      readonly wishes: RowWishes
    }
  | {
      readonly line: number
      readonly kind: 'invalid'
      /** Null where not even that could be read. */
      readonly product: ProductRef | null
      readonly errors: readonly RowError[]
    }

export interface ImportRow {
  /** As in the manifest. Below zero: the plan has made it. */
  readonly line: number
  readonly state: RowState
  /** Null before the plan. */
  readonly action: RowAction | null
  /** What the action changes: `label`, `position`, `stores.2`. */
  readonly changes: readonly string[]
  /** Why it is invalid, refused, parked or failed. */
  readonly problem: Problem | null
  /** Null in rows that are invalid. */
  readonly product: ProductRef | null
  readonly source: RowSource | null
  readonly wishes: RowWishes
  /** Null while there is no such product. */
  readonly productId: ProductId | null
  /** The image that it is about; null while it is not there. */
  readonly imageId: ImageId | null
  readonly ingestId: IngestId | null
}

/** How many rows there are, by what is planned for them and how far they are. */
export interface ImportCounts {
  readonly total: number
  readonly states: Readonly<Record<RowState, number>>
  readonly actions: Readonly<Record<RowAction, number>>
}

/**
 * planned: nothing was done. parked: the product is not there. prepared: what is there has its place, new images are on their way.
 * settled: all is done. The rest is what undoing came to.
 */
export const IMPORT_PRODUCT_STATES = [
  'planned',
  'parked',
  'prepared',
  'settled',
  'restored',
  'changed_since',
  'unrestorable',
] as const
export type ImportProductState = (typeof IMPORT_PRODUCT_STATES)[number]

/** What an import has to do with one product. */
export interface ImportProduct {
  readonly firstLine: number
  /** How its first row names it. */
  readonly product: ProductRef
  readonly productId: ProductId | null
  readonly state: ImportProductState
  /** The version that the plan was made against; 0: there was no such product; -1: whichever it has when its turn comes. */
  readonly plannedVersion: number
  /** Why undoing left something: the codes and what they concern. */
  readonly problem: Problem | null
}

/** All valid rows of one product, in the order of their lines. */
export interface RowGroup extends ImportProduct {
  readonly rows: readonly ImportRow[]
  /** True where a row of the same product is invalid: then nothing is detached from it. */
  readonly hasInvalid: boolean
  /** The product as it is now. */
  readonly found: Found | null
}

export interface Found extends Pick<Product, 'version' | 'acceptsImages' | 'owner'> {
  readonly imageCount: number
}

/** What a row comes to. */
export interface PlannedRow {
  readonly line: number
  readonly action: RowAction
  readonly changes: readonly string[]
  readonly imageId: ImageId | null
  readonly problem: Problem | null
}

/** What is to be done on one product, computed from its images of one version. */
export interface ProductPlan {
  readonly rows: readonly PlannedRow[]
  /** Images that no row names, to be taken off when all rows have come to something. */
  readonly detach: readonly ImageId[]
  /** Changes to images that are there, in the order in which they are to be made. */
  readonly changes: readonly { readonly imageId: ImageId; readonly change: ImageChange }[]
  /** Sort keys of images that are there, as far as they change: afterwards new images fit in, in whichever order they arrive. */
  readonly positions: readonly { readonly imageId: ImageId; readonly position: number }[]
  /** Where the new images go. */
  readonly placements: readonly { readonly line: number; readonly placement: Placement }[]
}

/** A plan as it is written down. Without work: nothing but rows that are the same already, or refused. */
export interface PlannedGroup {
  readonly firstLine: number
  readonly version: number
  readonly state: Extract<ImportProductState, 'planned' | 'parked' | 'settled'>
  readonly rows: readonly PlannedRow[]
  readonly detach: readonly PlannedRow[]
}

export interface PreparedGroup {
  readonly firstLine: number
  readonly productId: ProductId
  /** `prepare` throws `plan_outdated` when the product has another one by now. */
  readonly version: number
  readonly plan: ProductPlan
  /** Ids for the ingests of new images, by line. */
  readonly ingestIds: ReadonlyMap<number, IngestId>
}

/** A row whose ingest is to be there. */
export interface FedRow {
  readonly line: number
  readonly productId: ProductId
  readonly ingestId: IngestId
  readonly source: RowSource
  readonly placement: Placement
}

/** Lines above `after`; null: from the first one on. */
export interface ImportPage {
  readonly after: number | null
  readonly limit: number
}

export interface ImportProgress extends ImportCounts {
  readonly products: Readonly<Record<ImportProductState, number>>
}

/**
 * Lines of an import that are there already stay as they are, so that a page may come twice. A plan is written under the epoch that
 * `beginPlan` gave; once another plan has begun, or a row was added, the rest of it is refused as `import_busy`. What a plan refuses
 * has failed, and what is the same already is skipped, from then on. Whatever changes a product holds its lock.
 */
export interface Imports {
  /** The same id again returns what is there. Throws `imports_exceeded`. */
  create(given: NewImport, openMax: number): Promise<Import>
  find(tenantId: TenantId, id: ImportId): Promise<Import | null>
  /** Newest first, the ids below `before`. */
  list(tenantId: TenantId, page: { readonly before: ImportId | null; readonly limit: number }): Promise<readonly Import[]>
  progress(tenantId: TenantId, id: ImportId): Promise<ImportProgress>
  /** Answers the lines that are new. Throws `import_unknown`, `import_busy` unless it is open or planned, `import_rows_exceeded`. */
  addRows(tenantId: TenantId, id: ImportId, rows: readonly NewRow[], rowsMax: number): Promise<ReadonlySet<number>>
  /** In the order of lines: first those of the manifest, then those of the plan. */
  listRows(tenantId: TenantId, id: ImportId, filter: RowFilter, page: ImportPage): Promise<readonly ImportRow[]>
  listProducts(
    tenantId: TenantId,
    id: ImportId,
    states: readonly ImportProductState[],
    page: ImportPage,
  ): Promise<readonly ImportProduct[]>

  /** Throws `import_unknown`, `import_busy` unless it is open or planned. Answers the epoch. */
  beginPlan(tenantId: TenantId, id: ImportId): Promise<number>
  /** Finds the products of some lines, and groups the lines by them; answers the last one, or null when there are no more. */
  resolve(id: ImportId, epoch: number, after: number, limit: number): Promise<number | null>
  /** In the order of their first lines. */
  groups(id: ImportId, state: ImportProductState, page: ImportPage): Promise<readonly RowGroup[]>
  writePlan(id: ImportId, epoch: number, groups: readonly PlannedGroup[]): Promise<void>
  endPlan(id: ImportId, epoch: number, hash: string): Promise<Import>

  /**
   * Begins to apply the plan. Throws `import_busy` where there is none, and with a hash `plan_outdated` where the plan is another one or
   * a product has moved. An import that applies this plan, or has applied it, is returned as it is.
   */
  apply(tenantId: TenantId, id: ImportId, planHash: string | null): Promise<Import>
  /** Throws `import_busy` unless it is applying or stopping; or stopped, for `resume`; or over, for `undo`. Twice is fine. */
  stop(tenantId: TenantId, id: ImportId): Promise<Import>
  resume(tenantId: TenantId, id: ImportId): Promise<Import>
  undo(tenantId: TenantId, id: ImportId, force: boolean): Promise<Import>

  /** One of those in which something is to be done, which is nobody else's until the lease ends. The one that has waited longest. */
  claim(leaseMs: number): Promise<Import | null>
  /** Nobody needs to look after it for so long. */
  release(id: ImportId, restMs: number): Promise<void>
  /** Rows whose ingests are over are over, too; answers how many. */
  collect(id: ImportId): Promise<number>
  /** Says whether products that rows wait for are there, and gives up those whose time is over. Answers how many. */
  unpark(id: ImportId, limit: number): Promise<number>
  /**
   * One transaction: the images of before are kept for `undo`, images that are there get what the plan says, and the rows of new ones
   * know their ingests. Throws `plan_outdated`, `owned_by_organization`.
   */
  prepare(id: ImportId, group: PreparedGroup): Promise<void>
  /** Ends all rows of a product that are not over, and the product. */
  refuse(id: ImportId, firstLine: number, problem: Problem): Promise<void>
  /** Marks rows of prepared products as running, as many as there is room for; answers those whose ingest is not there yet, and what room is left. */
  feed(id: ImportId, inFlightMax: number): Promise<{ readonly rows: readonly FedRow[]; readonly room: number }>
  /** Of these staging keys, those that a row still needs which is not over. */
  stagedInUse(keys: readonly string[]): Promise<ReadonlySet<string>>
  failRow(id: ImportId, line: number, problem: Problem): Promise<void>
  /** Ends products whose rows are over: what is to be detached is, unless a row has failed. Answers how many. */
  settle(id: ImportId, limit: number): Promise<number>
  /** Puts products back as they were; answers how many were looked at. */
  restore(id: ImportId, limit: number): Promise<number>
  /** Goes on to the next state where there is nothing left to do in this one. */
  advance(id: ImportId): Promise<ImportState>
  /** Removes imports that were never applied after `idleMs` without a touch, and those that are over after `keptMs`; answers how many. */
  forgetIdle(idleMs: number, keptMs: number, limit: number): Promise<number>
}

export interface NewImport extends ImportOptions {
  readonly id: ImportId
  readonly tenantId: TenantId
  readonly tokenId: TokenId
  readonly name: string
}

export interface RowFilter {
  readonly states?: readonly RowState[]
  readonly actions?: readonly RowAction[]
}

/** How a row names its product, as one text. */
export function productText(ref: ProductRef): string {
  if (ref.kind === 'id') return ref.id
  if (ref.kind === 'number') return String(ref.number)
  return ref.kind === 'sku' ? `sku:${ref.sku}` : `model:${ref.code}`
}

/** Null for text that can name no product. */
export function productOfText(text: string): ProductRef | null {
  if (text.startsWith('sku:')) return { kind: 'sku', sku: text.slice('sku:'.length) }
  if (text.startsWith('model:')) return { kind: 'model', code: text.slice('model:'.length) }
  if (isUuid(text)) return { kind: 'id', id: text.toLowerCase() as ProductId }
  const number = Number(text)
  return /^\d+$/.test(text) && Number.isSafeInteger(number) ? { kind: 'number', number } : null
}
