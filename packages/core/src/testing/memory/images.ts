/** Order, roles and names of one product's images, as plain lists. */
import type { ImageId } from '../../ids.ts'
import { numberedName } from '../../naming.ts'
import type { ProductImage } from '../../product-image.ts'

/** It takes over the position of the image at that rank, which moves back with all later ones; null and beyond is the end. */
export function placeAt(others: readonly ProductImage[], image: ProductImage, rank: number | null): readonly ProductImage[] {
  const index = rank === null ? others.length : Math.max(0, Math.trunc(rank) - 1)
  const position = others[index]?.position ?? (others.at(-1)?.position ?? 0) + 1
  const later = others.slice(index).map((other) => at(other.position + 1, other))
  return [...others.slice(0, index), at(position, image), ...later]
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

/** The first of `image`, `image_2`, `image_3`, … that was never given. */
export function nextName(given: ReadonlySet<string>, stem: string): string {
  for (let n = 1; ; n++) if (!given.has(numberedName(stem, n))) return numberedName(stem, n)
}
