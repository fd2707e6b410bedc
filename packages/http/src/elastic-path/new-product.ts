/** A product as a request describes it: what everybody knows of a product, and what only this API keeps. */
import type { FastifyRequest } from 'fastify'
import { humanBytes, type IntakeWorld, type NewProduct, type Owner, type ProductId } from '@sluice/core'
import { callerOf, requireRole } from '../authenticate.ts'
import { dataOf, isRecord, isText, textOf } from './body.ts'
import { failedValidation } from './errors.ts'

type Members = Readonly<Record<string, unknown>>

export function readNewProduct({ limits, newId }: IntakeWorld, request: FastifyRequest): NewProduct {
  const { type, attributes, meta } = dataOf(request)
  if (type === undefined || type === null || type === '') throw failedValidation('data.type can not be empty')
  if (type !== 'product') throw failedValidation('data.type: Must be "product".')
  if (attributes === undefined || attributes === null) throw failedValidation('data.attributes can not be empty')
  if (!isRecord(attributes)) throw failedValidation('data.attributes: Must be an object.')
  const { name, sku, status, ...rest } = attributes
  const id = newId() as ProductId
  const title = textOf(name, 'data.attributes.name', limits.titleLengthMax)
  if (!title) throw failedValidation('data.attributes.name can not be empty')
  return {
    id,
    tenantId: callerOf(request).tenantId,
    // This API knows products without a SKU; here every product has one.
    sku: readSku(sku, limits.skuLengthMax) ?? id,
    title,
    status: readStatus(status),
    owner: readOwner(request, meta),
    extra: { attributes: readRest(rest) },
  }
}

function readSku(value: unknown, lengthMax: number): string | null {
  const at = 'data.attributes.sku'
  const sku = textOf(value, at, lengthMax)
  // It appears in addresses, headers and logs.
  if (sku !== null && /\p{Cc}/u.test(sku)) throw failedValidation(`${at}: Must not contain control characters.`)
  if (sku === '') throw failedValidation(`${at} can not be empty`)
  return sku
}

function readStatus(value: unknown): 'live' | 'draft' {
  const status = value ?? 'draft'
  if (status === 'live' || status === 'draft') return status
  throw failedValidation('data.attributes.status: Must be "live" or "draft".')
}

/** Only an administrator gives a product to the organization. */
function readOwner(request: FastifyRequest, meta: unknown): Owner {
  const owner = (isRecord(meta) ? meta['owner'] : undefined) ?? 'store'
  if (owner === 'store') return owner
  if (owner !== 'organization') throw failedValidation('data.meta.owner: Must be "store" or "organization".')
  requireRole(callerOf(request), 'admin')
  return owner
}

const REST_BYTES_MAX = 16 * 1024
const DEPTH_MAX = 16

/** Kept as it is, so it must be something that can be kept. */
function readRest(rest: Members): Members {
  const at = 'data.attributes'
  const open: { value: unknown; depth: number }[] = [{ value: rest, depth: 0 }]
  for (let next = open.pop(); next; next = open.pop()) {
    const { value, depth } = next
    if (depth > DEPTH_MAX) throw failedValidation(`${at}: Must not be nested deeper than ${DEPTH_MAX} levels.`)
    if (typeof value === 'string' && !isText(value)) throw failedValidation(`${at}: Must be well-formed text without NUL.`)
    if (typeof value !== 'object' || value === null) continue
    for (const [name, member] of Object.entries(value)) {
      open.push({ value: name, depth }, { value: member, depth: depth + 1 })
    }
  }
  if (Buffer.byteLength(JSON.stringify(rest)) > REST_BYTES_MAX)
    throw failedValidation(`${at}: Must not be larger than ${humanBytes(REST_BYTES_MAX)}.`)
  return rest
}
