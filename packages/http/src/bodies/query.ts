import { SluiceError } from '@sluice/core'
import { Base64Decoder, type Base64Policy } from './base64.ts'
import { FormFields } from './form-fields.ts'
import type { UploadBody, UploadLimits } from './read-upload.ts'
import type { StageBytes } from './staging.ts'

interface QueryOptions<Staged> {
  readonly content: { readonly name: string; readonly policy: Base64Policy }
  readonly stage: StageBytes<Staged>
  readonly limits: Pick<UploadLimits, 'envelopeBytesMax' | 'formFieldsMax'>
}

/** `a=1&list[]=2`, as PHP reads it. It is held whole, so a body in this form is bounded as an envelope is, its file included. */
export async function readQuery<Staged>(
  bytes: AsyncIterable<Buffer>,
  { content, stage, limits }: QueryOptions<Staged>,
): Promise<UploadBody<Staged>> {
  const fields = new FormFields(limits.envelopeBytesMax)
  const texts: string[] = []
  const pairs = [...new URLSearchParams(await textOf(bytes))]
  if (pairs.length > limits.formFieldsMax)
    throw new SluiceError('request_too_large', `The body may have ${limits.formFieldsMax} fields.`)
  for (const [name, value] of pairs) {
    // PHP counts the members of a list, or does not: `types[]`, `types[0]`.
    const fault = name === content.name ? void texts.push(value) : fields.add(name.replace(/\[\d+\]$/, '[]'), value, false)
    if (fault) throw fault
  }
  const [text] = texts
  if (texts.length > 1) throw new SluiceError('request_invalid', `${content.name} is there twice.`)
  const staged = text === undefined ? null : await stage(decoded(text, content.policy), { declaredType: null, fileName: null })
  return { staged, fields: fields.toRecord() }
}

async function textOf(bytes: AsyncIterable<Buffer>): Promise<string> {
  const body = Buffer.concat(await Array.fromAsync(bytes))
  // The parser below replaces what is not UTF-8, and the fields are looked through for what it puts there.
  return body.toString('utf8')
}

async function* decoded(text: string, policy: Base64Policy): AsyncGenerator<Buffer> {
  const decoder = new Base64Decoder(policy)
  const bytes = Buffer.concat([decoder.write(Buffer.from(text)), decoder.end()])
  if (bytes.length > 0) yield bytes
}
