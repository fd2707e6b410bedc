/**
 * Addresses under which a browser may load an image without a token, as the other systems give them out. Each names one file and
 * bears a signature, so it opens that file to whoever was given the address, and nothing else to anybody.
 */
import { timingSafeEqual } from 'node:crypto'
import type { FastifyInstance, FastifyRequest } from 'fastify'
import { blobKey, deriveSecret, type File, type FileId, type IntakeWorld, SluiceError, type TenantId } from '@sluice/core'
import { sendBlob } from './content.ts'
import { publicUrl } from './host.ts'

const PREFIX = '/media'
const UUID_BYTES = 16
const SIGNATURE_BYTES = 16

/** The absolute address of a file's bytes; `path` is for people, and for clients that look at its last part: `catalog/product/i/m/image.jpg`. */
export function mediaUrl(request: FastifyRequest, world: IntakeWorld, file: File, path: string): string {
  const ids = Buffer.concat([uuidBytes(file.tenantId), uuidBytes(file.id)])
  const key = Buffer.concat([ids, signatureOf(world, ids)]).toString('base64url')
  return `${publicUrl(request, world)}${PREFIX}/${key}/${path.split('/').map(encodeURIComponent).join('/')}`
}

export function mediaRoutes(app: FastifyInstance, world: IntakeWorld): void {
  const { database, objects } = world
  app.get<{ Params: { key: string } }>(
    `${PREFIX}/:key/*`,
    { config: { access: 'public' }, schema: { hide: true } },
    async (request, reply) => {
      const named = readKey(world, request.params.key)
      const file = named && (await database.files.find(named.tenantId, named.fileId))
      if (!file) throw new SluiceError('file_unknown')
      const { mediaType, bytes, digest } = file.facts
      return sendBlob(reply, {
        name: file.name,
        mediaType,
        bytes,
        digest,
        disposition: 'inline',
        // A shop shows it on pages of its own.
        shownBy: 'cross-origin',
        open: (range, signal) => objects.readBlob(blobKey(file.tenantId, digest), range, signal),
      })
    },
  )
}

function readKey(world: IntakeWorld, key: string): { tenantId: TenantId; fileId: FileId } | null {
  const bytes = Buffer.from(key, 'base64url')
  const ids = bytes.subarray(0, 2 * UUID_BYTES)
  const signature = bytes.subarray(2 * UUID_BYTES)
  if (signature.length !== SIGNATURE_BYTES || !timingSafeEqual(signature, signatureOf(world, ids))) return null
  return { tenantId: uuidText(ids.subarray(0, UUID_BYTES)) as TenantId, fileId: uuidText(ids.subarray(UUID_BYTES)) as FileId }
}

/** 128 of its bits: nobody guesses them, and the address stays short. */
function signatureOf({ secretKey }: IntakeWorld, ids: Buffer): Buffer {
  return Buffer.from(deriveSecret(secretKey, 'media-link', ids.toString('hex')), 'base64url').subarray(0, SIGNATURE_BYTES)
}

function uuidBytes(uuid: string): Buffer {
  return Buffer.from(uuid.replaceAll('-', ''), 'hex')
}

function uuidText(bytes: Buffer): string {
  return bytes.toString('hex').replace(/^(.{8})(.{4})(.{4})(.{4})/, '$1-$2-$3-$4-')
}
