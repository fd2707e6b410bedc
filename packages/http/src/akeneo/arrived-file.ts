/** The part `file` of a form, which may come before anything that says what it is for: a fault of its content waits to be told. */
import { type IntakeWorld, SluiceError, type StagedUpload, stageUpload, type TenantId } from '@sluice/core'
import type { StageBytes } from '../bodies/staging.ts'
import { extensionOf } from './media-files.ts'

export interface ArrivedFile {
  /** False for a part that has no file name: a text that is called `file`. */
  readonly isFile: boolean
  /** Lower case. */
  readonly extension: string
  readonly bytes: number
  /** What the content shows. */
  readonly mediaType: string
  readonly content: { readonly staged: StagedUpload } | { readonly fault: SluiceError }
  discard(): Promise<void>
}

/** The faults of content that the checks of an attribute speak of; all others are told at once. */
const CONTENT_FAULTS = ['media_type_unsupported', 'file_empty'] as const

export function stageArrived(world: IntakeWorld, tenantId: TenantId, signal: AbortSignal): StageBytes<ArrivedFile> {
  return async (given, { declaredType, fileName }) => {
    const meter = openMeter(given)
    const declaration = { contentType: declaredType, fileName, typeMustMatch: false, reusesFile: true }
    const arrived = { isFile: fileName !== null, extension: extensionOf(fileName).toLowerCase() }
    try {
      const staged = await stageUpload(world, tenantId, meter.bytes, declaration, signal)
      const { source, mediaType } = staged
      return { ...arrived, bytes: source.bytes, mediaType, content: { staged }, discard: () => staged.discard() }
    } catch (error) {
      const fault = CONTENT_FAULTS.some((code) => SluiceError.is(error, code)) && SluiceError.is(error) ? error : null
      if (!fault) throw error
      await meter.drain()
      const mediaType = (await world.decoder.sniff(meter.head())) ?? typeOfText(meter.head())
      return { ...arrived, bytes: meter.count(), mediaType, content: { fault }, discard: async () => undefined }
    }
  }
}

const HEAD_BYTES = 4100

/** Bytes that can be read on when their first reader has given up: a form goes on only when its file was read. */
function openMeter(given: AsyncIterable<Uint8Array>) {
  const iterator = given[Symbol.asyncIterator]()
  let head: Buffer = Buffer.alloc(0)
  let count = 0
  const next = async (): Promise<IteratorResult<Uint8Array>> => {
    const result = await iterator.next()
    if (result.done) return result
    count += result.value.byteLength
    if (head.length < HEAD_BYTES) head = Buffer.concat([head, result.value.subarray(0, HEAD_BYTES - head.length)])
    return result
  }
  return {
    // Without `return`, which would end the stream for everybody.
    bytes: { [Symbol.asyncIterator]: () => ({ next }) },
    async drain() {
      while (!(await next()).done);
    },
    head: () => head,
    count: () => count,
  }
}

/** As `file --mime-type` has it for what is nothing else: Akeneo says so in its messages. */
function typeOfText(head: Buffer): string {
  if (head.length === 0) return 'application/x-empty'
  // A character that the head cuts in two is no fault, so this decodes as if there were more.
  try {
    const text = new TextDecoder('utf-8', { fatal: true }).decode(head, { stream: true })
    return text.includes('\0') ? 'application/octet-stream' : 'text/plain'
  } catch {
    // Not UTF-8.
    return 'application/octet-stream'
  }
}
