import type { BlobRef } from './blob.ts'
import { failpoint } from './failpoint.ts'
import { blobKey, thumbnailKey } from './file.ts'
import type { World } from './ports.ts'

type RemovalWorld = Pick<World, 'database' | 'objects' | 'limits'>

/**
 * Removes the objects of a blob whose removal the caller has begun, just now. Whoever was stopped in between, and comes too late, leaves
 * it to others: they may have ended it, and the same bytes may have come again. False then.
 */
export async function finishRemoval({ database, objects, limits }: RemovalWorld, ref: BlobRef): Promise<boolean> {
  const begunAt = performance.now()
  failpoint('gc-marked')
  for (const keyOf of [blobKey, thumbnailKey]) {
    if (performance.now() - begunAt > limits.removalMsMax) return false
    await objects.removeBlob(keyOf(ref.tenantId, ref.digest))
    failpoint('gc-object-deleted')
  }
  await database.blobs.endRemoval(ref)
  return true
}

/**
 * Ends what others have begun and did not live to end: until then no file can be made of the same bytes. Returns how many. This is all
 * that upkeep does about blobs: to read the whole store is for an examination, and what leaves it is for an operator to decide, who
 * knows what a backup still speaks of.
 */
export async function takeOverRemovals(world: RemovalWorld): Promise<number> {
  const { removalTakeoverMs, sweepBatchMax } = world.limits
  // Few at a time: the last of them must be removed soon after it was taken over.
  const left = await world.database.blobs.takeOverRemovals(removalTakeoverMs, Math.min(sweepBatchMax, TAKEN_AT_ONCE))
  let ended = 0
  for (const ref of left) if (await finishRemoval(world, ref)) ended += 1
  return ended
}

const TAKEN_AT_ONCE = 10
