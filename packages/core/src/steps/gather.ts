import { SluiceError } from '../errors.ts'
import type { Source, StagedSource } from '../ingest.ts'
import type { StepOutcome } from '../pipeline.ts'
import type { World } from '../ports.ts'

/**
 * Brings what a client put into the bucket, or sent in parts, together in one local copy, and learns its digest on the way. From here
 * on nothing but that copy is read: whoever holds the link may still write into the bucket.
 */
export async function gather(
  { keys, bytes, sha256, declaredType, typeMustMatch, fileName }: Extract<Source, { kind: 'uploaded' }>,
  world: World,
  signal: AbortSignal,
): Promise<StepOutcome> {
  const copy = await world.objects.gather(keys, signal)
  try {
    if (!copy) throw new SluiceError('bytes_damaged', 'The uploaded bytes are gone.')
    if (copy.bytes !== bytes) throw new SluiceError('bytes_damaged', 'The uploaded bytes are not as many as they were.')
    if (sha256 !== null && copy.digest !== sha256) throw new SluiceError('digest_mismatched')
    const { digest } = copy
    const key = keys[0] ?? ''
    const staged: StagedSource = {
      kind: 'staged',
      key,
      digest,
      bytes,
      declaredType,
      typeMustMatch,
      fileName,
      reusesFile: false,
    }
    return { kind: 'done', found: { staged, copy } }
  } catch (error) {
    await copy?.[Symbol.asyncDispose]()
    throw error
  }
}
