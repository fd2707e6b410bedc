import { createHash } from 'node:crypto'
import { createReadStream, openAsBlob } from 'node:fs'
import { setTimeout as sleep } from 'node:timers/promises'
import { ACCEPTED_TYPES } from '@sluice/core'
import { sniff } from '@sluice/runtime/sniff'
import { type Api, isUnreadable, problemText } from './api.ts'
import type { LocalBytes, RowFault } from './import-row.ts'

/** Bytes that were read once, and are read again only if they must be sent. */
export interface HashedBytes {
  readonly digest: string
  readonly bytes: number
  /** What the first bytes show. */
  readonly mediaType: string
  readonly field: LocalBytes['kind']
  readonly open: () => Promise<Blob>
}

/** A fault is a value here: one file that cannot be read is one row that fails. */
export type Outcome<Value> = { readonly value: Value } | { readonly fault: RowFault }

/** Enough for `sniff`. */
const HEAD_BYTES = 4100

export async function hashBytes(local: LocalBytes): Promise<Outcome<HashedBytes>> {
  if (local.kind === 'base64') return hashBase64(local.text)
  const { path } = local
  try {
    // Opened first: a file that changes after this is refused when it is sent, and does not arrive under another digest.
    const blob = await openAsBlob(path)
    const hash = createHash('sha256')
    let head = Buffer.alloc(0)
    let bytes = 0
    for await (const chunk of createReadStream(path) as AsyncIterable<Buffer>) {
      hash.update(chunk)
      bytes += chunk.byteLength
      if (head.byteLength < HEAD_BYTES) head = Buffer.concat([head, chunk.subarray(0, HEAD_BYTES)])
    }
    if (bytes === 0) return { fault: { field: 'path', message: `${path} is empty` } }
    return await read('path', head, { digest: hash.digest('hex'), bytes, open: async () => blob })
  } catch (error) {
    return { fault: { field: 'path', message: `${path} cannot be read (${codeOf(error)})` } }
  }
}

async function hashBase64(text: string): Promise<Outcome<HashedBytes>> {
  const content = Buffer.from(text, 'base64')
  // Node skips what is not base64; what comes back must be what was given.
  if (content.byteLength === 0 || content.toString('base64').replace(/=+$/, '') !== text.replace(/=+$/, ''))
    return { fault: { field: 'base64', message: 'is not the base64 of an image' } }
  const digest = createHash('sha256').update(content).digest('hex')
  return read('base64', content, { digest, bytes: content.byteLength, open: async () => new Blob([content]) })
}

/** Whether a kind of image is taken, the server says; what is none need not be sent. */
async function read(
  field: LocalBytes['kind'],
  head: Uint8Array,
  rest: Omit<HashedBytes, 'field' | 'mediaType'>,
): Promise<Outcome<HashedBytes>> {
  const mediaType = await sniff(head)
  if (mediaType?.startsWith('image/')) return { value: { ...rest, field, mediaType } }
  return { fault: { field, message: `is no image that we know. Accepted are ${ACCEPTED_TYPES}` } }
}

function codeOf(error: unknown): string {
  if (!(error instanceof Error)) return String(error)
  return 'code' in error && typeof error.code === 'string' ? error.code : error.message
}

/** Those of the digests whose bytes the server does not have. */
export async function missingOf(api: Api, digests: readonly string[]): Promise<ReadonlySet<string>> {
  if (digests.length === 0) return new Set()
  const answer = await api.call<{ files: Record<string, string | null> }>('POST', '/v1/files/check', { json: { digests } })
  return new Set(digests.filter((digest) => !answer.files[digest]))
}

interface IngestView {
  readonly state: string
  readonly error: unknown
}

/** How long the server may take to look at one file that it has accepted: longer than its own attempts do. */
const VERDICT_MS_MAX = 900_000

/** Sends a file and waits until the server has looked at it. Null when it took it. */
export async function uploadBytes(api: Api, { digest, mediaType, field, open }: HashedBytes): Promise<RowFault | null> {
  const headers = { 'content-type': mediaType, 'idempotency-key': digest, prefer: 'wait=60' }
  try {
    const answer = await api.send('POST', '/v1/files', { body: await open(), headers })
    if (answer.status === 201) return null
    if (answer.status !== 202) return { field, message: problemText(answer.body) }
    return await verdictOf(api, answer.headers.get('location') ?? '', field)
  } catch (error) {
    if (isUnreadable(error)) return { field, message: 'has changed while it was read' }
    throw error
  }
}

async function verdictOf(api: Api, ingestPath: string, field: string): Promise<RowFault | null> {
  const deadline = performance.now() + VERDICT_MS_MAX
  while (performance.now() < deadline) {
    const { state, error } = await api.call<IngestView>('GET', ingestPath)
    if (state === 'committed') return null
    if (state === 'rejected' || state === 'failed') return { field, message: problemText(error) }
    await sleep(1_000, undefined, { signal: api.signal })
  }
  return { field, message: `is accepted, but was not looked at within ${VERDICT_MS_MAX / 60_000} minutes` }
}
