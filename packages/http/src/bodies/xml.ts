import { Base64Decoder, type Base64Policy } from './base64.ts'
import type { UploadBody, UploadLimits } from './read-upload.ts'
import type { StageBytes } from './staging.ts'
import { XmlDocument, type XmlShape } from './xml-document.ts'

interface XmlOptions<Staged> {
  readonly shape: XmlShape & { readonly policy: Base64Policy }
  readonly stage: StageBytes<Staged>
  readonly limits: Pick<UploadLimits, 'envelopeBytesMax'>
}

/** An XML document with a file in one of its elements: its text goes to staging while it arrives, the rest is kept. */
export async function readXml<Staged>(
  bytes: AsyncIterable<Buffer>,
  { shape, stage, limits }: XmlOptions<Staged>,
): Promise<UploadBody<Staged>> {
  const document = new XmlDocument(shape, limits.envelopeBytesMax)
  const source = bytes[Symbol.asyncIterator]()
  const readOn = async () => {
    const next = await source.next()
    if (!next.done) document.write(next.value)
    return !next.done
  }

  let staged: Staged | null = null
  while (await readOn()) {
    if (document.content !== 'ahead' && staged === null) {
      // Type and name may follow the content, so that they are never taken from here: `fields` has them.
      staged = await stage(decoded(document, readOn, shape.policy), { declaredType: null, fileName: null })
    }
  }
  return { staged, fields: document.end() }
}

async function* decoded(document: XmlDocument, readOn: () => Promise<boolean>, policy: Base64Policy): AsyncGenerator<Buffer> {
  const decoder = new Base64Decoder(policy)
  for (;;) {
    // A text that ends with this piece has said so already.
    const isLast = document.content === 'over'
    const bytes = decoder.write(Buffer.from(document.takeContent()))
    if (bytes.length > 0) yield bytes
    if (isLast) break
    // Ends with the parser's own complaint about the element that is open.
    if (!(await readOn())) document.end()
  }
  const last = decoder.end()
  if (last.length > 0) yield last
}
