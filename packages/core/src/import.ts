/**
 * Imports: many rows at one time, each of which brings one image to one product. Rows are read, planned against what the
 * products show, and applied as planned; what was there before is kept, so that all of it can be undone.
 */
import type { ErrorCode, Problem } from './errors.ts'
import type { Digest, FileId, ImageId, ImportId, IngestId, ProductId, TenantId, TokenId } from './ids.ts'
import type { Source } from './ingest.ts'
import type { ImageList, ProductRef } from './product-image.ts'

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
  | { readonly line: number; readonly kind: 'invalid'; readonly errors: readonly RowError[] }

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
  /** The version that the plan was made against; 0: there was no such product. */
  readonly plannedVersion: number
  /** Why undoing left something: the codes and what they concern. */
  readonly problem: Problem | null
}

/** All valid rows of one product, in the order of their lines. */
export interface RowGroup extends ImportProduct {
  readonly rows: readonly ImportRow[]
  /** True where a row of the same product is invalid: then nothing is detached from it. */
  readonly hasInvalid: boolean
}

/** What a row comes to. */
export interface PlannedRow {
  readonly line: number
  readonly action: RowAction
  readonly changes: readonly string[]
  readonly imageId: ImageId | null
  readonly problem: Problem | null
}

export type ImportErrorCode = Extract<ErrorCode, `import_${string}` | 'plan_outdated'>

export interface ImportPage {
  /** Lines above this one. */
  readonly after: number | null
  readonly limit: number
}

export type BeforeImages = Pick<ImageList, 'images' | 'storeRoles'>
