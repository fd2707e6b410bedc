/** What the tests of bodies share: requests cut anywhere, and a stage that keeps what it is given. */
import { Readable } from 'node:stream'
import { SluiceError } from '@sluice/core'
import { STRICT_BASE64 } from './base64.ts'
import { readUpload, type FormProfile, type UploadBody, type UploadLimits, type UploadRequest } from './read-upload.ts'
import type { FileMeta, StageBytes } from './staging.ts'

export interface Kept extends FileMeta {
  readonly content: Buffer
  discard(): Promise<void>
}

export const LIMITS: UploadLimits = { fileBytesMax: 64 * 1024, envelopeBytesMax: 16 * 1024, formFieldsMax: 8 }
export const FORM: FormProfile = { filePart: 'file', base64: { path: ['file', 'base64'], policy: STRICT_BASE64 }, raw: true }

/** A stage in memory. `open` counts what is staged and not discarded. */
export function memoryStage(fileBytesMax = LIMITS.fileBytesMax) {
  const ledger = { staged: 0, discarded: 0, failed: 0 }
  const stage: StageBytes<Kept> = async (bytes, meta) => {
    const chunks: Uint8Array[] = []
    let length = 0
    try {
      for await (const chunk of bytes) {
        length += chunk.byteLength
        if (length > fileBytesMax) throw new SluiceError('file_too_large')
        chunks.push(chunk)
      }
    } catch (error) {
      ledger.failed += 1
      throw error
    }
    ledger.staged += 1
    const discard = async () => {
      ledger.discarded += 1
    }
    return { ...meta, content: Buffer.concat(chunks), discard }
  }
  return { stage, ledger }
}

function requestOf(chunks: Iterable<Uint8Array> | AsyncIterable<Uint8Array>, headers: Record<string, string>): UploadRequest {
  return Object.assign(Readable.from(chunks, { objectMode: false }), { headers })
}

export function* cutInto(body: Uint8Array, bytes: number): Generator<Uint8Array> {
  for (let at = 0; at < body.length; at += bytes) yield body.subarray(at, at + bytes)
}

export interface Outcome {
  readonly body: UploadBody<Kept> | null
  /** The code of the error that was thrown; null when there was none. */
  readonly code: string | null
  readonly error: unknown
  readonly ledger: { staged: number; discarded: number; failed: number }
}

/** Reads one body and checks what holds for every body: whatever was staged is kept on success and discarded once on failure. */
export async function read(
  chunks: Iterable<Uint8Array> | AsyncIterable<Uint8Array>,
  headers: Record<string, string>,
  options: { form?: FormProfile; limits?: Partial<UploadLimits>; signal?: AbortSignal; stage?: StageBytes<Kept> } = {},
): Promise<Outcome> {
  const limits = { ...LIMITS, ...options.limits }
  const { stage, ledger } = memoryStage(limits.fileBytesMax)
  const { form = FORM, signal = new AbortController().signal } = options
  try {
    const body = await readUpload(requestOf(chunks, headers), { stage: options.stage ?? stage, limits, signal, form })
    if (ledger.discarded > 0) throw new Error('a good body was discarded')
    return { body, code: null, error: null, ledger }
  } catch (error) {
    if (!SluiceError.is(error)) throw error
    if (ledger.discarded !== ledger.staged) throw new Error('what was staged was not discarded once', { cause: error })
    return { body: null, code: error.code, error, ledger }
  }
}
