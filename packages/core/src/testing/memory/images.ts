/** Order, roles and names of one product's images, as plain lists. */
import { SluiceError } from '../../errors.ts'
import type { ImageId } from '../../ids.ts'
import { numberedName } from '../../naming.ts'
import type { ImageChange } from '../../ports.ts'
import { isMain, MAIN_ROLE, type ImageRef, type ProductImage, type StoreRole, viewInStore } from '../../product-image.ts'
import type { ProductRow } from './tables.ts'

/** What hangs on one product, its images in their order. */
export type Gallery = Pick<ProductRow, 'images' | 'storeRoles'>

export function imageIn(images: readonly ProductImage[], ref: ImageRef): ProductImage {
  const image = images.find(({ id, number }) => ref === id || ref === number)
  if (!image) throw new SluiceError('image_unknown')
  return image
}

export function inOrder(images: readonly ProductImage[]): readonly ProductImage[] {
  return images.toSorted((a, b) => a.position - b.position || a.number - b.number)
}

/**
 * It takes over the position of the image at that rank, which moves back with all later ones; null and beyond is the end.
 * Where the one before has the same position, it stands between them.
 */
export function placeAt(others: readonly ProductImage[], image: ProductImage, rank: number | null): readonly ProductImage[] {
  const index = rank === null ? others.length : Math.max(0, Math.trunc(rank) - 1)
  const next = others[index]
  if (!next) return [...others, at((others.at(-1)?.position ?? 0) + 1, image)]
  const step = others[index - 1]?.position === next.position ? 1 : 0
  const later = others.slice(index).map((other) => at(other.position + 1 + step, other))
  return [...others.slice(0, index), at(next.position + step, image), ...later]
}

export function at(position: number, image: ProductImage): ProductImage {
  return { ...image, position }
}

/** Whoever had them loses them. */
export function giveRoles(images: readonly ProductImage[], to: ImageId, given: readonly string[]): readonly ProductImage[] {
  return images.map((image) => {
    const rest = takeRoles(image, given)
    return image.id === to ? { ...rest, roles: [...new Set([...rest.roles, ...given])].sort() } : rest
  })
}

export function takeRoles(image: ProductImage, taken: readonly string[]): ProductImage {
  return { ...image, roles: image.roles.filter((role) => !taken.includes(role)) }
}

export function mainOf(images: readonly ProductImage[]): ImageId | null {
  return images.find(isMain)?.id ?? null
}

/** The first of `image`, `image_2`, `image_3`, … that was never given. */
export function nextName(given: ReadonlySet<string>, stem: string): string {
  for (let n = 1; ; n++) if (!given.has(numberedName(stem, n))) return numberedName(stem, n)
}

export function changeImage(gallery: Gallery, ref: ImageRef, change: ImageChange, now: Date): Gallery {
  const image = { ...imageIn(gallery.images, ref), updatedAt: now }
  const { store } = change
  if (store === undefined) return { ...gallery, images: changeEverywhere(gallery.images, image, change) }
  const images = replaced(gallery.images, { ...image, storeValues: withStoreValues(image, store, change) })
  return { images, storeRoles: change.roles ? exactStoreRoles(gallery, image.id, store, change.roles) : gallery.storeRoles }
}

function changeEverywhere(images: readonly ProductImage[], before: ProductImage, change: ImageChange): readonly ProductImage[] {
  const { rank, roles, main, store: _, ...fields } = change
  const given = new Set(roles)
  if (main === true) given.add(MAIN_ROLE)
  if (main === false) given.delete(MAIN_ROLE)
  const lost = before.roles.filter((role) => (role === MAIN_ROLE ? main === false : roles !== undefined))
  const hasGlobalValues = before.hasGlobalValues || rank !== undefined || Object.keys(fields).length > 0
  const image = takeRoles({ ...before, ...fields, hasGlobalValues }, lost)
  const others = images.filter(({ id }) => id !== before.id)
  const placed = rank === undefined ? replaced(images, image) : placeAt(others, image, rank)
  return giveRoles(placed, image.id, [...given])
}

function replaced(images: readonly ProductImage[], image: ProductImage): readonly ProductImage[] {
  return images.map((old) => (old.id === image.id ? image : old))
}

/** What is not given stays as it is. */
export function withStoreValues(
  { storeValues }: Pick<ProductImage, 'storeValues'>,
  store: number,
  { label, position, excluded }: ImageChange,
): ProductImage['storeValues'] {
  if (label === undefined && position === undefined && excluded === undefined) return storeValues
  const own = storeValues.find((line) => line.store === store)
  const values = {
    store,
    label: label ?? own?.label ?? null,
    position: position ?? own?.position ?? null,
    excluded: excluded ?? own?.excluded ?? null,
  }
  return [...storeValues.filter((line) => line !== own), values].sort((a, b) => a.store - b.store)
}

/** Of the roles that the image shows in the store view, the rest is nobody's there. */
function exactStoreRoles(gallery: Gallery, imageId: ImageId, store: number, roles: readonly string[]): readonly StoreRole[] {
  const shown = viewInStore(gallery, store).find(({ id }) => id === imageId)?.roles ?? []
  const lost = shown.filter((role) => !roles.includes(role))
  return withStoreRoles(withStoreRoles(gallery.storeRoles, store, lost, null), store, roles, imageId)
}

export function withStoreRoles(
  lines: readonly StoreRole[],
  store: number,
  roles: readonly string[],
  imageId: ImageId | null,
): readonly StoreRole[] {
  const others = lines.filter((line) => line.store !== store || !roles.includes(line.role))
  const own = [...new Set(roles)].map((role) => ({ store, role, imageId }))
  return [...others, ...own].sort((a, b) => a.store - b.store || (a.role < b.role ? -1 : 1))
}
