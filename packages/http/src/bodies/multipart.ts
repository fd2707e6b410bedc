import { once } from 'node:events'
import { addAbortSignal } from 'node:stream'
import { Busboy, type BusboyFileStream, type BusboyInstance } from '@fastify/busboy'
import { essenceOf, humanBytes, SluiceError } from '@sluice/core'
import { FormFields } from './form-fields.ts'
import type { UploadBody, UploadLimits } from './read-upload.ts'
import type { StageBytes } from './staging.ts'

interface MultipartOptions<Staged> {
  readonly contentType: string
  readonly filePart: string
  readonly stage: StageBytes<Staged>
  readonly limits: UploadLimits
  /** Aborted with the first fault: it stops the parser, the request and whoever reads the file, all of which may be waiting. */
  readonly stop: AbortController
}

/** RFC 7578. The parts may come in any order; a file is staged while it arrives, and the fields are few and small. */
export async function readMultipart<Staged>(
  bytes: AsyncIterable<Buffer>,
  options: MultipartOptions<Staged>,
): Promise<UploadBody<Staged>> {
  const { stop, stage, filePart, limits } = options
  const parser = openParser(options)
  const fields = new FormFields(limits.envelopeBytesMax)
  const begun: Promise<Staged>[] = []

  // Listeners may be called outside of any `await`: what they throw would end the process.
  // The first fault is the true one: those that follow from it arrive in any order.
  const fail = (fault: unknown) => stop.abort(SluiceError.is(fault) ? fault : invalid(fault))
  parser.on('file', (part, file, fileName, _encoding, contentType) => {
    addAbortSignal(stop.signal, file).on('error', () => undefined)
    if (part !== filePart) return fail(partUnknown(part, filePart))
    const staging = stage(contentOf(file, limits), { declaredType: essenceOf(contentType), fileName: fileName || null })
    staging.catch((fault: unknown) => stop.abort(fault))
    begun.push(staging)
  })
  parser.on('field', (name, value, _nameTruncated, isTruncated) => {
    const fault = fields.add(name, value, isTruncated)
    if (fault) fail(fault)
  })
  parser.on('filesLimit', () => fail(new SluiceError('source_ambiguous', 'The form has more than one file.')))
  for (const limit of ['fieldsLimit', 'partsLimit'] as const) parser.on(limit, () => fail(tooManyFields(limits)))
  parser.on('error', fail)

  await Promise.all([feed(parser, bytes, stop.signal).catch(fail), finished(parser, stop.signal)])
  return { staged: (await begun[0]) ?? null, fields: fields.toRecord() }
}

async function feed(parser: BusboyInstance, bytes: AsyncIterable<Buffer>, signal: AbortSignal): Promise<void> {
  for await (const chunk of bytes) {
    if (!parser.write(chunk)) await once(parser, 'drain', { signal })
  }
  parser.end()
}

/**
 * Listens from the first byte on, as `pipeline` does not: the parser finishes early, and once only, when a form without parts
 * is followed by something that looks like a part.
 */
function finished(parser: BusboyInstance, signal: AbortSignal): Promise<void> {
  const { promise, resolve, reject } = Promise.withResolvers<void>()
  parser.once('finish', resolve)
  signal.addEventListener('abort', () => reject(signal.reason), { once: true })
  return promise
}

function openParser({ contentType, filePart, limits }: MultipartOptions<unknown>): BusboyInstance {
  try {
    return new Busboy({
      headers: { 'content-type': contentType },
      isPartAFile: (name, _type, fileName) => fileName !== undefined || name === filePart,
      limits: {
        files: 1,
        // One more than allowed, so that staging sees it and refuses; `truncated` is the second lock.
        fileSize: limits.fileBytesMax + 1,
        fields: limits.formFieldsMax,
        fieldSize: limits.envelopeBytesMax,
        parts: limits.formFieldsMax + 1,
        headerPairs: 32,
        headerSize: 16 * 1024,
      },
    })
  } catch (cause) {
    // Thrown for a boundary that is missing, or longer than 252; RFC 2046 §5.1.1 allows 70.
    throw invalid(cause)
  }
}

async function* contentOf(file: BusboyFileStream, { fileBytesMax }: UploadLimits): AsyncGenerator<Buffer> {
  for await (const chunk of file) yield chunk
  // A stream that reached the limit ends as if it were whole.
  if (file.truncated) throw new SluiceError('file_too_large', `The file is larger than ${humanBytes(fileBytesMax)}.`)
}

function invalid(cause: unknown): SluiceError {
  return new SluiceError('multipart_invalid', undefined, { cause })
}

function partUnknown(part: string | undefined, filePart: string): SluiceError {
  if (part === undefined) return new SluiceError('multipart_invalid', 'A part of the form has no name.')
  return new SluiceError('request_invalid', `The file must be in the part "${filePart}".`, { details: { field: part } })
}

function tooManyFields({ formFieldsMax }: UploadLimits): SluiceError {
  return new SluiceError('request_too_large', `A form may have ${formFieldsMax} fields.`, { details: { formFieldsMax } })
}
