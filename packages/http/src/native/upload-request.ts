import {
  type Caller,
  type Digest,
  type IngestId,
  type IntakeWorld,
  readPlacement,
  refuseOwned,
  reserveUpload,
  SluiceError,
  type Target,
  type Upload,
} from '@sluice/core'
import { productRef } from './products.ts'

/** What is said of an upload before its bytes come: in JSON, or as the metadata of tus, where all is text. */
export interface UploadRequest {
  readonly id?: IngestId
  readonly bytes: number
  readonly mediaType: string | null
  readonly fileName: string | null
  readonly sha256: unknown
  readonly product: unknown
  /** Where the image goes; the rest of what was said. */
  readonly fields: Readonly<Record<string, unknown>>
  readonly direct: boolean
  readonly metadata: Upload['metadata']
}

/** Throws what is wrong with the request before anything is sent for it. */
export async function takeReservation(
  world: IntakeWorld,
  { tenantId, tokenId }: Caller,
  { id = world.newId() as IngestId, bytes, mediaType, fileName, sha256, product, fields, direct, metadata }: UploadRequest,
): Promise<Upload> {
  const target = await readTarget(world, tenantId, product, fields)
  return reserveUpload(world, {
    id,
    tenantId,
    tokenId,
    bytes,
    contentType: mediaType,
    fileName,
    sha256: readDigest(sha256),
    target,
    direct,
    metadata,
  })
}

async function readTarget(
  world: IntakeWorld,
  tenantId: Caller['tenantId'],
  product: unknown,
  fields: UploadRequest['fields'],
): Promise<Target | null> {
  const placement = readPlacement(fields, world)
  if (product === undefined || product === null) {
    const [field] = Object.keys(fields)
    if (field !== undefined) throw refusal(field, 'needs a product: a file alone has no place')
    return null
  }
  if (typeof product !== 'string') throw refusal('product', 'must be a UUID, an integer id, sku:<sku>, or model:<code>')
  const found = await world.database.products.find(tenantId, productRef(product))
  if (!found) throw new SluiceError('product_unknown')
  refuseOwned(found.owner)
  return { kind: 'attach', productId: found.id, placement }
}

function readDigest(sha256: unknown): Digest | null {
  if (sha256 === undefined || sha256 === null) return null
  if (typeof sha256 === 'string' && /^[0-9a-f]{64}$/i.test(sha256)) return sha256.toLowerCase() as Digest
  throw refusal('sha256', 'must be 64 hexadecimal digits')
}

function refusal(field: string, message: string): SluiceError {
  return new SluiceError('request_invalid', `${field} ${message}.`, { details: { errors: [{ field, message }] } })
}
