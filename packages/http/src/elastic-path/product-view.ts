import { type ImageList, isMain, type Product } from '@sluice/core'
import { isRecord } from './body.ts'
import { fileIdsOf } from './product-files.ts'

export function productView({ id, sku, title, status, owner, extra, createdAt, updatedAt }: Product, list: ImageList) {
  const main = list.images.find(isMain)
  const self = `/products/${id}`
  const none = (name: string) => ({ data: [], links: { self: `${self}/${name}` } })
  return {
    type: 'product',
    id,
    attributes: {
      ...(isRecord(extra['attributes']) ? extra['attributes'] : {}),
      ...(title !== null && { name: title }),
      sku,
      status,
    },
    relationships: {
      children: none('children'),
      component_products: none('relationships/component_products'),
      files: {
        data: fileIdsOf(list).map((file) => ({ type: 'file', id: file })),
        links: { self: `${self}/relationships/files` },
      },
      main_image: { data: main ? { type: 'file', id: main.file.id } : null },
      templates: none('relationships/templates'),
      variations: none('relationships/variations'),
    },
    meta: { created_at: createdAt.toISOString(), owner, product_types: ['standard'], updated_at: updatedAt.toISOString() },
  }
}
