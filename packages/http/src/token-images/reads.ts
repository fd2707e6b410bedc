import type { FastifyInstance } from 'fastify'
import { SluiceError } from '@sluice/core'
import { callerOf } from '../authenticate.ts'
import type { DialectContext } from '../dialect.ts'
import { type ImageAddress, imageOf, type ProductAddress, productOf } from './address.ts'
import { pageOf, pageView } from './paging.ts'
import { imageView } from './view.ts'

export function readRoutes(app: FastifyInstance, { world }: DialectContext): void {
  const { images } = world.database

  app.get<{ Params: ProductAddress }>('/api/products/:product/images', { config: { access: 'reader' } }, async (request) => {
    const ref = productOf(request.params)
    const list = await images.list(callerOf(request).tenantId, ref)
    if (!list) throw new SluiceError('product_unknown')
    const view = (image: (typeof list.images)[number]) => imageView(request, world, ref.number, image)
    return pageView(request, world, pageOf(request, world.limits), list.images, view)
  })

  app.get<{ Params: ImageAddress }>('/api/products/:product/images/:image', { config: { access: 'reader' } }, async (request) => {
    const ref = productOf(request.params)
    const found = await images.find(callerOf(request).tenantId, ref, imageOf(request.params))
    if (!found) throw new SluiceError('image_unknown')
    return imageView(request, world, ref.number, found.image)
  })
}
