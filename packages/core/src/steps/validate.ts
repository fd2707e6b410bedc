import { checkContentType } from '../accept-upload.ts'
import { SluiceError } from '../errors.ts'
import { failpoint } from '../failpoint.ts'
import { blobKey } from '../file.ts'
import type { StepOutcome, Work } from '../pipeline.ts'
import type { World } from '../ports.ts'
import { stagedBytes } from './staged-bytes.ts'

/**
 * Are these bytes what they claim to be? They are hashed again as they are read back, and decoded once, fully; thumbnail,
 * thumbhash and dominant colour come from the same decode. Bytes that this tenant has stored before are not decoded again.
 */
export async function validate(work: Work, world: World, signal: AbortSignal): Promise<StepOutcome> {
  const { source: asked, tenantId } = work.ingest
  if (asked.kind === 'file') {
    const file = await world.database.files.find(tenantId, asked.fileId)
    if (!file) throw new SluiceError('file_reference_unknown')
    return { kind: 'skipped', found: { file, facts: file.facts }, because: 'the file was validated when it was stored' }
  }
  const source = stagedBytes(work)
  const declaredType = source.typeMustMatch ? source.declaredType : null
  const known = await world.database.files.findFacts(tenantId, source.digest)
  if (known && (await world.objects.statBlob(blobKey(tenantId, source.digest))) === known.bytes) {
    checkContentType(known.mediaType, declaredType)
    return { kind: 'skipped', found: { facts: known }, because: 'the same bytes are stored already' }
  }

  const copy = work.copy ?? (await world.objects.checkOut(source.key, signal))
  if (copy?.digest !== source.digest || copy.bytes !== source.bytes) {
    await copy?.[Symbol.asyncDispose]()
    throw new SluiceError(
      'bytes_damaged',
      copy ? 'The staged bytes are not those that were received.' : 'The staged bytes are gone.',
    )
  }
  try {
    failpoint('w-read')
    const inspection = await world.decoder.inspect(copy.path, signal)
    failpoint('w-decoded')
    checkContentType(inspection.mediaType, declaredType)
    return { kind: 'done', found: { copy, inspection } }
  } catch (error) {
    await copy[Symbol.asyncDispose]()
    throw error
  }
}
