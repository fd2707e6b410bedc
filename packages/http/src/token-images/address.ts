import { type ProductRef, SluiceError } from '@sluice/core'

export interface ProductAddress {
  readonly product: string
}

export interface ImageAddress extends ProductAddress {
  readonly image: string
}

/** Products and images are known by their integers here, and what is none is nobody's. */
export function productOf({ product }: ProductAddress): Extract<ProductRef, { kind: 'number' }> {
  const number = integerOf(product)
  if (number === null) throw new SluiceError('product_unknown')
  return { kind: 'number', number }
}

export function imageOf({ image }: ImageAddress): number {
  const number = integerOf(image)
  if (number === null) throw new SluiceError('image_unknown')
  return number
}

/** Up to fifteen digits are exact in a number. */
function integerOf(text: string): number | null {
  return /^\d{1,15}$/.test(text) ? Number(text) : null
}
