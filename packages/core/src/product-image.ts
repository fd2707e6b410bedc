import { SluiceError } from './errors.ts'
import type { File } from './file.ts'
import type { ImageId, ProductId, TenantId } from './ids.ts'

/** A model stands for several products that share values; it bears images as a product does, and has codes of its own. */
export type ProductKind = 'product' | 'model'

/** What belongs to the organization is changed by nobody of the store. */
export type Owner = 'store' | 'organization'

/** What belongs to the organization stays as it is, until it is given to the store. */
export function refuseOwned(owner: Owner | undefined): void {
  if (owner === 'organization') throw new SluiceError('owned_by_organization')
}

export interface Product {
  readonly id: ProductId
  /** The integer identity for dialects whose clients know only integers. */
  readonly number: number
  readonly tenantId: TenantId
  readonly kind: ProductKind
  /** Unique per tenant and kind; of a model, its code. */
  readonly sku: string
  readonly title: string | null
  /** Only what is live is shown to shoppers. */
  readonly status: 'live' | 'draft'
  readonly owner: Owner
  /** The websites whose store views show it; null is all of them. */
  readonly websites: readonly string[] | null
  /** False: it takes no images, as a gift card. */
  readonly acceptsImages: boolean
  /** What a dialect keeps of a product beside all this, and nobody else reads. */
  readonly extra: Readonly<Record<string, unknown>>
  /** Grows by one with every change to the images; it is their ETag. */
  readonly version: number
  readonly createdAt: Date
  readonly updatedAt: Date
}

/** How a request names a product. A SKU never finds a model. */
export type ProductRef =
  | { readonly kind: 'id'; readonly id: ProductId }
  | { readonly kind: 'number'; readonly number: number }
  | { readonly kind: 'sku'; readonly sku: string }
  | { readonly kind: 'model'; readonly code: string }

/** How a request names an image: by its id, or by its integer. */
export type ImageRef = ImageId | number

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
  /** False while position, label and exclusion were given for one store view only, and are defaults everywhere else. */
  readonly hasGlobalValues: boolean
  /** Each role belongs to at most one image of a product. */
  readonly roles: readonly string[]
  /** What differs in single store views. */
  readonly storeValues: readonly StoreValues[]
  /** One image at most hangs in a slot of a product; see `Placement.slot`. */
  readonly slot: string | null
  readonly file: File
  readonly uploader: Uploader | null
  readonly createdAt: Date
  readonly updatedAt: Date
}

/** The token that brought an image, as it may be shown. */
export interface Uploader {
  readonly number: number
  readonly name: string
}

/** One image in one store view. Null falls back to the global value. */
export interface StoreValues {
  readonly store: number
  readonly label: string | null
  readonly position: number | null
  readonly excluded: boolean | null
}

/** Whose role it is in one store view; without such a line the global one holds. Null: nobody's there. */
export interface StoreRole {
  readonly store: number
  readonly role: string
  readonly imageId: ImageId | null
}

/** The images of one product in their order, as one version. */
export interface ImageList {
  readonly productId: ProductId
  readonly version: number
  readonly images: readonly ProductImage[]
  readonly storeRoles: readonly StoreRole[]
}

/** The role that makes an image the main one: one fact, whichever dialect names it. */
export const MAIN_ROLE = 'image'

/** The roles that every product has. More can be configured. */
export const DEFAULT_ROLES = [MAIN_ROLE, 'small_image', 'thumbnail'] as const

export function isMain(image: Pick<ProductImage, 'roles'>): boolean {
  return image.roles.includes(MAIN_ROLE)
}

/** The images as one store view shows them, in its order: each value is the store's own, or else the global one. */
export function viewInStore(
  { images, storeRoles }: Pick<ImageList, 'images' | 'storeRoles'>,
  store: number,
): readonly ProductImage[] {
  const own = storeRoles.filter((line) => line.store === store)
  const decided = new Set(own.map(({ role }) => role))
  const shown = images.map((image): ProductImage => {
    const values = image.storeValues.find((line) => line.store === store)
    const roles = [
      ...image.roles.filter((role) => !decided.has(role)),
      ...own.filter(({ imageId }) => imageId === image.id).map(({ role }) => role),
    ]
    return {
      ...image,
      label: values?.label ?? image.label,
      position: values?.position ?? image.position,
      excluded: values?.excluded ?? image.excluded,
      roles: roles.sort(),
    }
  })
  return shown.sort((a, b) => a.position - b.position || a.number - b.number)
}
