import { failpoint } from '../failpoint.ts'
import { blobKey, thumbnailKey } from '../file.ts'
import type { StepOutcome, Work } from '../pipeline.ts'
import type { World } from '../ports.ts'
import { stagedBytes } from './staged-bytes.ts'

/**
 * The verified bytes go under the key that names their content. A retry writes equal bytes to the same key, and a crash
 * leaves at most a blob without a row, which the next upload of the same image takes up.
 */
export async function store(work: Work, world: World, signal: AbortSignal): Promise<StepOutcome> {
  const { ingest, copy, inspection } = work
  if (!copy || !inspection) return { kind: 'skipped', because: 'the bytes are stored already' }
  const { tenantId } = ingest
  const source = stagedBytes(work)
  await Promise.all([
    world.objects
      .promote(
        ingest.source.kind === 'uploaded' ? null : source.key,
        copy,
        blobKey(tenantId, source.digest),
        inspection.mediaType,
        signal,
      )
      .then(() => failpoint('w-put-half')),
    world.objects.putBlob(thumbnailKey(tenantId, source.digest), inspection.thumbnail.data, 'image/webp', signal),
  ])
  failpoint('w-put')
  return { kind: 'done' }
}
