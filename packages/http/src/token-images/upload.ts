import type { FastifyInstance, FastifyRequest } from 'fastify'
import {
  AT_THE_END,
  essenceOf,
  type IntakeWorld,
  type Placement,
  refuseOwned,
  SluiceError,
  type StagedUpload,
  stageUpload,
} from '@sluice/core'
import { callerOf } from '../authenticate.ts'
import { type FormProfile, readUpload } from '../bodies/read-upload.ts'
import { deadlineOf } from '../body-deadline.ts'
import { type DialectContext, STREAMED, streamBodies } from '../dialect.ts'
import { bringImage, sendAccepted } from '../finished-ingest.ts'
import { type ProductAddress, productOf } from './address.ts'
import { NO_FILE } from './errors.ts'
import { fieldsOfForm, type ImageFields, readFields } from './fields.ts'
import { imageView } from './view.ts'

const FORM: FormProfile = { filePart: 'image', base64: null, raw: false }

export function uploadRoutes(app: FastifyInstance, context: DialectContext): void {
  const { world } = context
  const { products, images } = world.database
  streamBodies(app)

  app.post<{ Params: ProductAddress }>(
    '/api/products/:product/images',
    { ...STREAMED, config: { access: 'writer' } },
    async (request, reply) => {
      const { tenantId } = callerOf(request)
      const product = await products.find(tenantId, productOf(request.params))
      if (!product) throw new SluiceError('product_unknown')
      // Before it sends us anything in vain.
      refuseOwned(product.owner)
      const { from, placement } = await readImage(world, request)
      const target = { kind: 'attach', productId: product.id, placement } as const
      const brought = await bringImage(context, request, reply, { from, target })
      if (brought.kind === 'accepted') return sendAccepted(reply, brought.ingest)
      const found = brought.imageId && (await images.find(tenantId, { kind: 'id', id: product.id }, brought.imageId))
      if (!found) throw new SluiceError('image_unknown')
      return reply.code(201).send(imageView(request, world, product.number, found.image))
    },
  )
}

async function readImage(world: IntakeWorld, request: FastifyRequest): Promise<{ from: StagedUpload; placement: Placement }> {
  const { limits } = world
  // A request without files has other types, and then there is no image: that is what its sender should hear.
  if (FILELESS.has(essenceOf(request.headers['content-type']))) throw new SluiceError('source_missing')
  const { tenantId } = callerOf(request)
  const signal = deadlineOf(request)
  const { staged, fields } = await readUpload(request.raw, {
    limits,
    signal,
    form: FORM,
    stage: (bytes, { declaredType, fileName }) =>
      stageUpload(world, tenantId, bytes, { contentType: declaredType, fileName, typeMustMatch: false }, signal),
  })
  try {
    const read = readFields(fieldsOfForm(fields), limits, staged ? {} : { image: [NO_FILE] })
    if (!staged) throw new SluiceError('source_missing')
    return { from: staged, placement: placementOf(read) }
  } catch (error) {
    await staged?.discard()
    throw error
  }
}

const FILELESS = new Set([null, 'application/json', 'application/x-www-form-urlencoded'])

/** The defaults of this API: no primary image unless it is said, and 0, which is before all that were counted from 1. */
function placementOf({ alt_text = '', is_primary = false, order = 0 }: ImageFields): Placement {
  return { ...AT_THE_END, label: alt_text, position: order, main: is_primary }
}
