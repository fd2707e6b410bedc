/** How ingests are named and chosen, in the query of a list and in the body of a request that does something to many. */
import type { FastifyRequest } from 'fastify'
import { type IngestFilter, type IngestId, isUuid, type ProductRef, SluiceError } from '@sluice/core'
import { Type, type Static } from 'typebox'
import { productRef } from './products.ts'

export const IngestParams = Type.Object({ ingest: Type.String({ description: 'The id of the ingest' }) })

export type IngestRequest = FastifyRequest<{ Params: Static<typeof IngestParams> }>

export const filterFields = {
  code: Type.Optional(
    Type.Array(Type.String({ pattern: '^[a-z_]{1,64}$' }), {
      maxItems: 20,
      description: 'Of its error, or of the last one before it was given up, which is the `cause` of its error.',
    }),
  ),
  product: Type.Optional(Type.String({ description: 'UUID, integer id, `sku:<sku>`, or `model:<code>`' })),
  from: Type.Optional(Type.String({ format: 'date-time', description: 'Received at this time or later.' })),
  to: Type.Optional(Type.String({ format: 'date-time', description: 'Received at this time or before.' })),
  q: Type.Optional(
    Type.String({
      maxLength: 255,
      description: 'Part of a file name, label, image name or error; or a whole id, SKU or digest.',
    }),
  ),
}

export type FilterFields = { -readonly [name in keyof typeof filterFields]?: Static<(typeof filterFields)[name]> }

export function filterOf({ code, product, from, to, q }: FilterFields): Omit<IngestFilter, 'states' | 'ids'> {
  return {
    ...(code && { codes: code }),
    ...(product !== undefined && { product: productFilter(product) }),
    ...(from !== undefined && { createdFrom: instant('from', from) }),
    ...(to !== undefined && { createdTo: instant('to', to) }),
    ...(q !== undefined && q !== '' && { text: q }),
  }
}

export function ingestId(request: IngestRequest): IngestId {
  const { ingest } = request.params
  if (!isUuid(ingest)) throw new SluiceError('ingest_unknown')
  return ingest.toLowerCase() as IngestId
}

/** A product that nobody has is a filter that finds nothing; text that can name no product is a mistake. */
function productFilter(text: string): ProductRef {
  try {
    return productRef(text)
  } catch (cause) {
    throw fieldInvalid('product', 'must be a UUID, an integer id, sku:<sku>, or model:<code>', cause)
  }
}

/** RFC 3339 has leap seconds, which `Date` does not know, and offsets that lead out of the years that PostgreSQL and ISO 8601 share. */
export function instant(field: string, text: string): Date {
  const date = new Date(text)
  const year = date.getUTCFullYear()
  if (year >= 1 && year <= 9999) return date
  throw fieldInvalid(field, 'must be a time in the years 1 to 9999, without a leap second')
}

function fieldInvalid(field: string, message: string, cause?: unknown): SluiceError {
  return new SluiceError('request_invalid', `${field} ${message}.`, { details: { errors: [{ field, message }] }, cause })
}
