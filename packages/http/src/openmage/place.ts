import { type Caller, type IntakeWorld, type Product, type ProductRef, SluiceError, type StoreView } from '@sluice/core'
import { isShopper } from './who-asks.ts'

/** What stands in an address. */
export interface ImageParams {
  readonly id: string
  readonly image?: string
  readonly store?: string
}

/** A product, seen in one store view; null is the global level. */
export interface Place {
  readonly product: Product
  readonly store: number | null
}

/** Throws `store_unknown`, `product_unknown` also where the caller or the store view does not see it, and `images_unsupported`. */
export async function findPlace({ database }: IntakeWorld, caller: Caller, params: ImageParams): Promise<Place> {
  const store = await findStore(database.catalogue, caller, params.store)
  const product = await database.products.find(caller.tenantId, productRef(params.id))
  if (!product || !isVisible(product, store) || (isShopper(caller) && product.status !== 'live')) {
    throw new SluiceError('product_unknown')
  }
  if (!product.acceptsImages) throw new SluiceError('images_unsupported')
  return { product, store: store?.number ?? null }
}

/** Shoppers know no global level: they are in the default store, if there is any. */
async function findStore(
  catalogue: IntakeWorld['database']['catalogue'],
  caller: Caller,
  given: string | undefined,
): Promise<StoreView | null> {
  if (given === undefined || given === '0') {
    return isShopper(caller) ? ((await catalogue.listStores(caller.tenantId))[0] ?? null) : null
  }
  const store = await catalogue.findStore(caller.tenantId, integerOf(given) ?? given)
  if (!store) throw new SluiceError('store_unknown')
  return store
}

function isVisible({ websites }: Product, store: StoreView | null): boolean {
  return store === null || websites === null || websites.includes(store.website)
}

/** An integer is the product's number, anything else its SKU. */
function productRef(text: string): ProductRef {
  const number = integerOf(text)
  return number === null ? { kind: 'sku', sku: text } : { kind: 'number', number }
}

/** Throws `image_unknown` for what is no number. */
export function imageRef({ image = '' }: ImageParams): number {
  const number = integerOf(image)
  if (number === null) throw new SluiceError('image_unknown')
  return number
}

/** Null for what is no integer. Numbers begin at 1, so that 0 can stand for those that are too large for anybody. */
function integerOf(text: string): number | null {
  if (!/^\d+$/.test(text)) return null
  return Number.isSafeInteger(Number(text)) ? Number(text) : 0
}
