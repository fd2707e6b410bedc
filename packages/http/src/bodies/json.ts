import { SluiceError } from '@sluice/core'
import { Base64Decoder, type Base64Policy } from './base64.ts'
import { Chunks } from './chunks.ts'
import { JsonEnvelope } from './json-envelope.ts'
import { JsonText } from './json-text.ts'
import type { UploadBody, UploadLimits } from './read-upload.ts'
import type { StageBytes } from './staging.ts'

interface JsonOptions<Staged> {
  readonly contentAt: { readonly path: readonly string[]; readonly policy: Base64Policy } | null
  readonly stage: StageBytes<Staged>
  readonly limits: Pick<UploadLimits, 'envelopeBytesMax'>
}

/** A JSON document with a file in one of its members: the member goes to staging while it arrives, the rest is parsed whole. */
export async function readJson<Staged>(bytes: AsyncIterable<Buffer>, options: JsonOptions<Staged>): Promise<UploadBody<Staged>> {
  const { staged, document } = await readDocument(bytes, options)
  if (!isRecord(document)) throw new SluiceError('request_invalid', 'The body must be a JSON object.')
  if (staged !== null && options.contentAt) removeMember(document, options.contentAt.path)
  return { staged, fields: document }
}

/** Any JSON document, with the file's member emptied. */
export async function readDocument<Staged>(
  bytes: AsyncIterable<Buffer>,
  { contentAt, stage, limits }: JsonOptions<Staged>,
): Promise<{ staged: Staged | null; document: unknown }> {
  const source = new Chunks(bytes)
  const envelope = new JsonEnvelope(contentAt?.path ?? [], limits.envelopeBytesMax)
  let staged: Staged | null = null
  while (await source.fill()) {
    envelope.read(source)
    if (envelope.isAtContent && contentAt) {
      // Type and name may follow the content, so that they are never taken from here: `fields` has them.
      staged = await stage(decoded(source, contentAt.policy), { declaredType: null, fileName: null })
      envelope.endContent()
    }
  }
  return { staged, document: envelope.parse() }
}

async function* decoded(source: Chunks, policy: Base64Policy): AsyncGenerator<Buffer> {
  const text = new JsonText()
  const decoder = new Base64Decoder(policy)
  while (!text.hasEnded) {
    if (!(await source.fill())) throw new SluiceError('json_invalid', 'The body ends inside the content of the file.')
    const bytes = decoder.write(text.read(source))
    if (bytes.length > 0) yield bytes
  }
  const last = decoder.end()
  if (last.length > 0) yield last
}

function removeMember(document: Record<string, unknown>, path: readonly string[]): void {
  const [name, ...inner] = path
  if (name === undefined) return
  const value = document[name]
  if (inner.length === 0) delete document[name]
  else if (isRecord(value)) removeMember(value, inner)
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}
