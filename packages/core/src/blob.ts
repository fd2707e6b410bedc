/** Stored bytes: who refers to them, and how they leave. */
import type { Digest, FileId, ImageId, ProductId, TenantId } from './ids.ts'

export interface BlobRef {
  readonly tenantId: TenantId
  readonly digest: Digest
}

/** What the database knows of a blob. */
export interface BlobRow extends BlobRef {
  readonly bytes: number
  readonly mediaType: string
  /** Whether a file shows it. */
  readonly isReferenced: boolean
  /** For how long it is marked as one that nothing refers to; null where it is not, or was referred to since. */
  readonly markedMs: number | null
}

/** A file that shows a blob, and where it hangs: one line for each image, or one without. */
export interface BlobUse extends BlobRef {
  readonly fileId: FileId
  readonly fileName: string | null
  readonly image: {
    readonly productId: ProductId
    readonly sku: string
    readonly imageId: ImageId
    readonly name: string
  } | null
}

/** Where else the bytes of a blob may still be. */
export interface BlobCopies {
  readonly stagedKeys: readonly string[]
  readonly blobs: readonly BlobRef[]
}

/**
 * A blob leaves in two steps, by the database's clock. It is marked while nothing refers to it. When a time has passed and still
 * nothing does, its row is removed and its removal begun, in one transaction; then its objects are removed, outside of any, and the
 * removal is ended. A commit that would refer to it holds the same lock, so that one of the two sees the other: a removal is not begun
 * for bytes that a file shows, and a file is not made of bytes whose removal was under way while its run believed them to be there.
 */
export interface Blobs {
  /** The database's clock. */
  now(): Promise<Date>
  count(): Promise<number>
  /** Over all tenants, in the order of their keys; with `after`, those that follow it. */
  list(limit: number, after: BlobRef | null): Promise<readonly BlobRow[]>
  /** Those of them that there are, in any order. */
  findMany(refs: readonly BlobRef[]): Promise<readonly BlobRow[]>
  /** What shows them, at most `limit`. */
  uses(refs: readonly BlobRef[], limit: number): Promise<readonly BlobUse[]>
  /** Places where the same bytes were put for ingests that are not over or have failed, and blobs of them elsewhere; some of each. */
  copies(ref: BlobRef): Promise<BlobCopies>
  /** Marks those that nothing refers to and that are not marked. Returns how many. */
  mark(refs: readonly BlobRef[]): Promise<number>
  /**
   * False where something refers to it, where it has a row and was not marked for `graceMs`, and where its removal is under way. True:
   * the caller removes its objects, within `removalMsMax`, and ends it.
   */
  beginRemoval(ref: BlobRef, graceMs: number): Promise<boolean>
  endRemoval(ref: BlobRef): Promise<void>
  /** Removals that were begun more than `idleMs` ago: whoever did is dead. They are the caller's now, begun anew. */
  takeOverRemovals(idleMs: number, limit: number): Promise<readonly BlobRef[]>
  /** Forgets removals that ended so long ago that no run can have begun before. Returns how many. */
  forgetRemovals(keptMs: number, limit: number): Promise<number>
}
