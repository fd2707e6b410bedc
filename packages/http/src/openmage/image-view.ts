import type { FastifyRequest } from 'fastify'
import { type ImageList, type IntakeWorld, MEDIA_TYPES, type ProductImage, viewInStore } from '@sluice/core'
import { mediaUrl } from '../media-links.ts'
import type { Data } from './formats.ts'

/** How images are looked at: in one store view or, with null, at the global level. */
export interface Viewer {
  readonly store: number | null
  readonly isShopper: boolean
}

/** Those that the viewer sees, in the order of the other system: images without a position there come first. */
export function visibleImages(list: ImageList, { store, isShopper }: Viewer): readonly ProductImage[] {
  const images = store === null ? list.images : viewInStore(list, store)
  const visible = images.filter(({ excluded }) => !isShopper || !excluded)
  const hasPosition = (image: ProductImage) => isKnown(image, store, 'position')
  return [...visible.filter((image) => !hasPosition(image)), ...visible.filter(hasPosition)]
}

export function imageView(request: FastifyRequest, world: IntakeWorld, image: ProductImage, { store, isShopper }: Viewer): Data {
  const view = {
    id: image.number,
    label: image.label,
    position: isKnown(image, store, 'position') ? image.position : '',
    ...(!isShopper && { exclude: isKnown(image, store, 'excluded') ? Number(image.excluded) : '' }),
    url: mediaUrl(request, world, image.file, `catalog/product/${dispersed(image)}`),
    types: world.policy.roles.filter((role) => image.roles.includes(role)),
  }
  return only(view, request.query)
}

/** False where a value was given for other store views alone: the other system shows nothing then. */
function isKnown(image: ProductImage, store: number | null, value: 'position' | 'excluded'): boolean {
  const own = image.storeValues.find((line) => line.store === store)
  return image.hasGlobalValues || (own !== undefined && own[value] !== null)
}

/** `v/e/ve2011.jpg`: below folders of its first two characters. */
function dispersed({ name, file }: ProductImage): string {
  const fileName = `${name}.${MEDIA_TYPES[file.facts.mediaType].extension}`
  return `${fileName.slice(0, 2).replaceAll('.', '_').split('').join('/')}/${fileName}`
}

/** `?attrs=label,url`: these fields alone. */
function only(view: Readonly<Record<string, Data>>, query: unknown): Data {
  const { attrs, 'attrs[]': list } = query as Readonly<Record<string, string | string[] | undefined>>
  const names = [attrs ?? list ?? []].flat().flatMap((text) => text.split(','))
  const isAll = names.every((name) => name === '')
  return Object.fromEntries(Object.entries(view).filter(([name]) => isAll || names.includes(name)))
}
