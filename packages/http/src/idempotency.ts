import { createHash } from 'node:crypto'
import type { FastifyReply } from 'fastify'
import {
  type Caller,
  type IdempotencyKeys,
  type IngestId,
  type IntakeWorld,
  type RecordedAnswer,
  SluiceError,
  type Source,
} from '@sluice/core'

/** A request that carries an Idempotency-Key (draft-ietf-httpapi-idempotency-key-header), or none. */
export interface Repeatable {
  readonly key: string | null
  /** What an earlier request with this key came to; null when this is the first. */
  readonly earlier: Extract<Awaited<ReturnType<IdempotencyKeys['reserve']>>, { kind: 'known' }> | null
}

/**
 * Reserves the key before the body is read, so that of a hundred equal requests at once one is done and the others are told
 * to come back. Throws `idempotency_key_in_flight`, `idempotency_key_invalid`.
 */
export async function openRepeatable(world: IntakeWorld, caller: Caller, header: unknown, id: IngestId): Promise<Repeatable> {
  const key = readKey(header, world.limits.idempotencyKeyLengthMax)
  if (key === null) return { key, earlier: null }
  const { idempotencyLeaseMs, idempotencyMsMax } = world.limits
  const reservation = await world.database.idempotency.reserve(caller.tenantId, key, id, idempotencyLeaseMs, idempotencyMsMax)
  if (reservation.kind === 'in_flight') throw new SluiceError('idempotency_key_in_flight')
  return { key, earlier: reservation.kind === 'known' ? reservation : null }
}

/** The draft calls for a structured-field string in quotes; most clients send it bare, and both mean the same key. */
function readKey(header: unknown, lengthMax: number): string | null {
  if (header === undefined) return null
  const key = typeof header === 'string' ? header.trim().replace(/^"(.*)"$/, '$1') : ''
  if (/^[\x21-\x7e]+$/.test(key) && key.length <= lengthMax) return key
  throw new SluiceError('idempotency_key_invalid', `An Idempotency-Key is 1 to ${lengthMax} visible ASCII characters.`)
}

/** What makes two sources the same: the bytes and what was said of them, the file, or the address. */
export function sourceText(source: Source): string {
  if (source.kind === 'file') return source.fileId
  if (source.kind === 'uploaded') return source.keys.join(' ')
  return source.kind === 'url' ? `${source.url} ${source.fileName}` : `${source.digest} ${source.declaredType} ${source.fileName}`
}

/** Says whether two requests ask for the same: address, source and every field, in any order. */
export function fingerprintOf(request: { readonly address: string; readonly source: string; readonly fields: object }): string {
  const fields = Object.entries(request.fields).sort(([a], [b]) => (a < b ? -1 : 1))
  return createHash('sha256')
    .update(JSON.stringify([request.address, request.source, fields]))
    .digest('hex')
}

/** Answers as it was answered before. */
export function sendRecorded(reply: FastifyReply, { status, headers, body }: RecordedAnswer): FastifyReply {
  return reply
    .code(status)
    .headers(headers)
    .serializer((payload) => String(payload))
    .send(body)
}
