import type { FastifyInstance, FastifyRequest } from 'fastify'
import { type ImageChange, type Limits, SluiceError } from '@sluice/core'
import { callerOf } from '../authenticate.ts'
import { refuseContentEncoding } from '../bodies/content-encoding.ts'
import { FormFields } from '../bodies/form-fields.ts'
import { parseJson } from '../bodies/json-envelope.ts'
import { readUpload } from '../bodies/read-upload.ts'
import { deadlineOf } from '../body-deadline.ts'
import { type DialectContext, streamBodies } from '../dialect.ts'
import { type ImageAddress, imageOf, productOf } from './address.ts'
import { fieldFaults, WHOLE } from './errors.ts'
import { fieldsOfForm, type Given, type ImageFields, readFields } from './fields.ts'
import { imageView } from './view.ts'

const ADDRESS = '/api/products/:product/images/:image'

/** Changes to an image that is there. The last one holds, as in a system without versions. */
export async function changeRoutes(app: FastifyInstance, { world }: DialectContext): Promise<void> {
  const { images } = world.database

  await app.register(async (scope) => {
    takeFields(scope, world.limits)
    scope.patch<{ Params: ImageAddress; Body: Given | undefined }>(ADDRESS, { config: { access: 'writer' } }, async (request) => {
      const { tenantId } = callerOf(request)
      const [ref, number] = [productOf(request.params), imageOf(request.params)]
      const change = changeOf(readFields(request.body ?? {}, world.limits))
      if (Object.keys(change).length > 0) await images.edit(tenantId, ref, number, change, null)
      const found = await images.find(tenantId, ref, number)
      if (!found) throw new SluiceError('image_unknown')
      return imageView(request, world, ref.number, found.image)
    })
  })

  await app.register(async (scope) => {
    // Whatever a client sends with it means nothing.
    streamBodies(scope)
    scope.delete<{ Params: ImageAddress }>(ADDRESS, { config: { access: 'writer' } }, async (request, reply) => {
      const { tenantId } = callerOf(request)
      await images.remove(tenantId, productOf(request.params), imageOf(request.params), 'clear', null)
      return reply.code(204).send()
    })
  })
}

function changeOf({ alt_text, is_primary, order }: ImageFields): ImageChange {
  return {
    ...(alt_text !== undefined && { label: alt_text }),
    ...(is_primary !== undefined && { main: is_primary }),
    ...(order !== undefined && { position: order }),
  }
}

/** Fields come as JSON or as a form of either kind. */
function takeFields(app: FastifyInstance, limits: Limits): void {
  app.removeAllContentTypeParsers()
  app.addContentTypeParser('application/json', { parseAs: 'buffer' }, async (request: FastifyRequest, body: Buffer) => {
    refuseContentEncoding(request.headers)
    return objectOf(parseJson(body))
  })
  const urlencoded = 'application/x-www-form-urlencoded'
  app.addContentTypeParser(urlencoded, { parseAs: 'buffer' }, async (request: FastifyRequest, body: Buffer) => {
    refuseContentEncoding(request.headers)
    return fieldsOfForm(pairsOf(body, limits))
  })
  app.addContentTypeParser('multipart/form-data', async (request: FastifyRequest) => {
    const signal = deadlineOf(request)
    const form = { filePart: 'image', base64: null, raw: false }
    return fieldsOfForm((await readUpload(request.raw, { limits, signal, form, stage: refuseFile })).fields)
  })
}

function objectOf(document: unknown): object {
  if (typeof document === 'object' && document !== null && !Array.isArray(document)) return document
  throw fieldFaults({ [WHOLE]: ['Invalid data. Expected a dictionary.'] })
}

function pairsOf(body: Buffer, { envelopeBytesMax, formFieldsMax }: Limits): Given {
  const fields = new FormFields(envelopeBytesMax)
  const pairs = [...new URLSearchParams(body.toString('utf8'))]
  if (pairs.length > formFieldsMax) throw new SluiceError('request_too_large', `A form may have ${formFieldsMax} fields.`)
  for (const [name, value] of pairs) {
    const fault = fields.add(name, value, false)
    if (fault) throw fault
  }
  return fields.toRecord()
}

async function refuseFile(): Promise<never> {
  throw fieldFaults({ image: ['The file of an image cannot be changed. Create a new image and delete this one.'] })
}
