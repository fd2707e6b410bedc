/**
 * Two roles: staged bytes as they arrived, and blobs under keys that name their content. A store that cannot be reached or
 * does not answer in time is `service_unavailable`; one without room is `storage_full`.
 */
import type { Digest } from '../ids.ts'

export interface LocalCopy extends AsyncDisposable {
  /** A file that other processes of this machine can read until the copy is disposed of. */
  readonly path: string
  /** Counted and hashed from what was read back, not from what was sent. */
  readonly bytes: number
  readonly digest: Digest
}

/** What is signed: nothing else can be put there. */
export interface DirectBounds {
  readonly bytes: number
  /** Null: any. */
  readonly mediaType: string | null
  readonly expiresAt: Date
}

export interface DirectUpload {
  /** A PUT to this address, with these headers. */
  readonly put: { readonly url: string; readonly headers: Readonly<Record<string, string>> }
  /** Or a form as browsers send it: these fields, and after them the file as `file`. */
  readonly post: { readonly url: string; readonly fields: Readonly<Record<string, string>> }
}

/** A blob as its store tells of it. */
export interface StoredBlob {
  readonly key: string
  readonly bytes: number
  /** By the clock of the store. */
  readonly modifiedAt: Date
}

export interface Objects {
  /** Resolves when the bytes are durable. When the stream throws or the signal is aborted, nothing stays under the key. */
  stage(key: string, bytes: AsyncIterable<Uint8Array>, signal: AbortSignal): Promise<void>
  /** Null when nothing is staged under the key. */
  checkOut(key: string, signal: AbortSignal): Promise<LocalCopy | null>
  /** What is staged under these keys, one after the other, as one copy. Null when one of them is missing. */
  gather(keys: readonly string[], signal: AbortSignal): Promise<LocalCopy | null>
  /** Size in bytes; null when nothing is staged under the key. */
  statStaged(key: string): Promise<number | null>
  /** Whether clients may put bytes into staging by themselves. */
  readonly takesDirectUploads: boolean
  /** How a client puts exactly these bytes there. Throws where it cannot. */
  presign(key: string, bounds: DirectBounds): Promise<DirectUpload>
  /**
   * Makes staged bytes a blob and checks its length. The same bytes under the same key twice are harmless. The staged ones stay. With
   * no key the copy itself is what is stored: for bytes that others may still replace where they are staged.
   */
  promote(stagedKey: string | null, copy: LocalCopy, blobKey: string, mediaType: string, signal: AbortSignal): Promise<void>
  /** Removing what is not there is fine. */
  unstage(key: string): Promise<void>
  /**
   * Keys that were staged before, at most `limit`, in an order of the store's own that stays; with `after`, which need not be there
   * any more, those that follow it.
   */
  listStaged(before: Date, limit: number, after?: string | null): Promise<readonly string[]>
  /** For small derived objects. Overwrites. */
  putBlob(key: string, bytes: Uint8Array, mediaType: string, signal: AbortSignal): Promise<void>
  /** Size in bytes; null when there is no such blob. */
  statBlob(key: string): Promise<number | null>
  /** In the order of the bytes of their keys, at most `limit`; with `after`, which need not be there any more, those that follow it. */
  listBlobs(limit: number, after?: string | null): Promise<readonly StoredBlob[]>
  /** Removing what is not there is fine. */
  removeBlob(key: string): Promise<void>
  /** `range` is inclusive and lies inside the blob. Null when there is no such blob. */
  readBlob(
    key: string,
    range: { start: number; end: number } | null,
    signal: AbortSignal,
  ): Promise<AsyncIterable<Uint8Array> | null>
  ping(): Promise<void>
}
