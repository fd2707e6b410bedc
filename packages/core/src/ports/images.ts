/** Images on products, and the files that they show. */
import type { Facts, File } from '../file.ts'
import type { Digest, FileId, ImageId, ProductId, TenantId } from '../ids.ts'
import type { ImageList, ImageRef, ProductImage, ProductRef } from '../product-image.ts'
import type { Listed, OffsetPage } from './catalogue.ts'

export interface ImageChange {
  readonly label?: string
  readonly excluded?: boolean
  /** Moves it there, counted as if it had been taken out first; beyond the end is the end. */
  readonly rank?: number
  /** The sort key itself, which moves nothing else. Not together with `rank`. */
  readonly position?: number
  /** Exactly these, taken from other images where they had them. Does not touch the main role unless it is listed. */
  readonly roles?: readonly string[]
  /** False also where the roles list the main one. */
  readonly main?: boolean
  /**
   * Where set, label, position, exclusion and roles change in this store view only: of the roles that the image shows there, those
   * that are not listed, the main one included, are nobody's there. Without rank and main.
   */
  readonly store?: number
}

/**
 * Changes hold the product's row lock, so they happen one after the other, and each returns the product's new version, also
 * where nothing differs. With `expectedVersion` they throw `version_mismatched` (details: `version`, `order`) when the product
 * has another, before they look at anything else but the owner: what belongs to the organization is `owned_by_organization`. A
 * product or image that does not exist is `product_unknown` or `image_unknown`.
 */
export interface ProductImages {
  /** Version and images of one moment. */
  list(tenantId: TenantId, ref: ProductRef): Promise<ImageList | null>
  /** The same of each of these products that there is. */
  listMany(tenantId: TenantId, productIds: readonly ProductId[]): Promise<ReadonlyMap<ProductId, ImageList>>
  /** Where those of its images came from that were fetched. */
  urls(tenantId: TenantId, productId: ProductId): Promise<ReadonlyMap<ImageId, string>>
  find(
    tenantId: TenantId,
    ref: ProductRef,
    image: ImageRef,
  ): Promise<{ version: number; rank: number; image: ProductImage } | null>
  edit(tenantId: TenantId, ref: ProductRef, image: ImageRef, change: ImageChange, expectedVersion: number | null): Promise<number>
  /** When the main image goes, `promote` makes the first of the rest the main one; `clear` leaves none. */
  remove(
    tenantId: TenantId,
    ref: ProductRef,
    image: ImageRef,
    main: 'promote' | 'clear',
    expectedVersion: number | null,
  ): Promise<number>
  /** Positions become 1…n. Throws `order_incomplete` unless `order` names each image exactly once. */
  reorder(tenantId: TenantId, ref: ProductRef, order: readonly ImageId[], expectedVersion: number | null): Promise<number>
  /**
   * Null: no image is the main one. Throws `main_image_changed` when `replaces` names another main image than there is by then;
   * undefined where that does not matter. What is the main one already stays it, and that makes no version.
   */
  setMain(
    tenantId: TenantId,
    ref: ProductRef,
    imageId: ImageId | null,
    expectedVersion: number | null,
    replaces?: ImageId | null,
  ): Promise<number>
  /** Takes off all images that are not named and puts the rest into this order. Throws `order_incomplete` where a named one is not there, or named twice. */
  keepOnly(tenantId: TenantId, ref: ProductRef, order: readonly ImageId[], expectedVersion: number | null): Promise<number>
}

export interface Files {
  find(tenantId: TenantId, fileId: FileId): Promise<File | null>
  findByCode(tenantId: TenantId, code: string): Promise<File | null>
  /** Those of them that there are, in any order. */
  findMany(tenantId: TenantId, fileIds: readonly FileId[]): Promise<readonly File[]>
  /** In the order in which they were stored. `total` is counted only where it is asked for, and is 0 otherwise. */
  list(
    tenantId: TenantId,
    filter: readonly FileCondition[],
    page: OffsetPage & { readonly withTotal: boolean },
  ): Promise<Listed<File>>
  /**
   * Takes the file away, and the images that show it off their products, of which each becomes a new version. False when there is none.
   * Throws `owned_by_organization` where one of these products is the organization's.
   */
  remove(tenantId: TenantId, fileId: FileId): Promise<boolean>
  /** The oldest file of each of these digests that there is. */
  findByDigests(tenantId: TenantId, digests: readonly Digest[]): Promise<ReadonlyMap<Digest, FileId>>
  /** What is known of bytes that this tenant has stored before. What was found first stays, for all files of these bytes. */
  findFacts(tenantId: TenantId, digest: Digest): Promise<Facts | null>
}

/** All of them hold. `like` knows `*` for any text, and ignores case. */
export type FileCondition =
  | { readonly field: 'name'; readonly operator: 'eq' | 'like'; readonly value: string }
  | { readonly field: 'width' | 'height' | 'bytes'; readonly operator: 'eq' | 'lt' | 'le' | 'gt' | 'ge'; readonly value: number }
