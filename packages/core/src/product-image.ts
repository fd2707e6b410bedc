import type { File } from './file.ts'
import type { ImageId, ProductId, TenantId } from './ids.ts'

export interface Product {
  readonly id: ProductId
  /** The integer identity for dialects whose clients know only integers. */
  readonly number: number
  readonly tenantId: TenantId
  readonly sku: string
  readonly title: string | null
  /** Grows by one with every change to the images; it is their ETag. */
  readonly version: number
  readonly createdAt: Date
}

/** How a request names a product. */
export type ProductRef =
  | { readonly kind: 'id'; readonly id: ProductId }
  | { readonly kind: 'number'; readonly number: number }
  | { readonly kind: 'sku'; readonly sku: string }

/** Where a file hangs. */
export interface ProductImage {
  readonly id: ImageId
  /** The integer identity, as of a product. */
  readonly number: number
  readonly productId: ProductId
  /** `image`, `image_2`: given once per product, never again. */
  readonly name: string
  /** The sort key; equal positions are ordered by `number`. Its place in the order is the rank. */
  readonly position: number
  readonly label: string
  /** Hidden from shoppers. */
  readonly excluded: boolean
  /** Each role belongs to at most one image of a product. */
  readonly roles: readonly string[]
  readonly file: File
  readonly createdAt: Date
  readonly updatedAt: Date
}

/** The images of one product in their order, as one version. */
export interface ImageList {
  readonly productId: ProductId
  readonly version: number
  readonly images: readonly ProductImage[]
}

/** The role that makes an image the main one: one fact, whichever dialect names it. */
export const MAIN_ROLE = 'image'

/** The roles that every product has. More can be configured. */
export const DEFAULT_ROLES = [MAIN_ROLE, 'small_image', 'thumbnail'] as const

export function isMain(image: Pick<ProductImage, 'roles'>): boolean {
  return image.roles.includes(MAIN_ROLE)
}
