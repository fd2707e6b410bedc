import type { BlobRef } from './blob.ts'
import { isRefusal } from './errors.ts'
import { FINDING_KINDS, type FindingKind, type Tally } from './examination.ts'
import type { Examination, Finding } from './examine.ts'
import { blobKey, thumbnailKey } from './file.ts'
import { settleParked } from './parking.ts'
import type { LocalCopy, World } from './ports.ts'
import { reconcile } from './reconcile.ts'
import { finishRemoval, takeOverRemovals } from './removal.ts'
import { sweepStaging } from './sweep.ts'

export interface MendOptions {
  /** What nothing refers to is removed when it has been marked for so long. */
  readonly graceMs: number
  /** Also where most of what is stored seems to be nobody's. */
  readonly force: boolean
  /** Called after each of the findings. */
  readonly onProgress?: (mended: number) => void
}

export interface Mending {
  readonly mended: Tally
  /** Marked by this run: they can be removed when the grace time is over. */
  readonly marked: number
  /** Orphans were left alone, since they are most of what is stored. */
  readonly isSuspicious: boolean
}

/**
 * Mends what can be mended safely, as far as the findings were kept. All of them may be out of date: each is looked at again by what
 * mends it, and by the database where that decides. Whatever it does may be done twice, and be cut off anywhere.
 */
export async function mend(world: World, examination: Examination, options: MendOptions): Promise<Mending> {
  const mended = Object.fromEntries(FINDING_KINDS.map((kind) => [kind, 0])) as Record<FindingKind, number>
  const isSuspicious = !options.force && looksForeign(examination)
  const unreferenced = refsOf(examination, 'unreferenced')
  // What others have left is stored without a row, too: it is found as an orphan, which nobody else can begin to remove.
  mended.unfinished = await takeOverRemovals(world)
  let marked = 0
  for (const batch of batchesOf(unreferenced, world.limits.examinePageItems)) marked += await world.database.blobs.mark(batch)

  let done = 0
  for (const finding of examination.findings) {
    const isMended = finding.kind === 'orphan' && isSuspicious ? false : await mendOne(world, finding, options.graceMs)
    if (isMended) mended[finding.kind] += 1
    options.onProgress?.((done += 1))
  }
  mended.staged = await sweepAll(world, examination.found.staged)
  mended.stuck = (await reconcile(world)) + (await settleParked(world))
  const most = (kind: FindingKind) => Math.min(mended[kind], examination.found[kind])
  const counted = Object.fromEntries(FINDING_KINDS.map((kind) => [kind, most(kind)])) as Tally
  return { mended: counted, marked: marked - Math.min(marked, counted.unreferenced), isSuspicious }
}

const ORPHANS_BELIEVED = 100

/** More nobody's than somebody's: that is rather the wrong database, or the wrong bucket. */
function looksForeign({ found, looked }: Examination): boolean {
  return found.orphan > ORPHANS_BELIEVED && found.orphan > looked.blobs
}

function refsOf({ findings }: Examination, kind: FindingKind): readonly BlobRef[] {
  return findings.flatMap((finding) => (finding.kind === kind ? (finding.ref ?? []) : []))
}

type Mender = (world: World, ref: BlobRef, finding: Finding, graceMs: number) => Promise<boolean>

const remove: Mender = async (world, ref, _finding, graceMs) =>
  (await world.database.blobs.beginRemoval(ref, graceMs)) && (await finishRemoval(world, ref))
const heal: Mender = async (world, ref, { bytes }) => healFromCopies(world, ref, bytes)

/** What is about single blobs. The rest is mended all together, or by people only. */
const MENDERS: Partial<Record<FindingKind, Mender>> = {
  orphan: remove,
  unreferenced: remove,
  missing: heal,
  damaged: heal,
  thumbnail: (world, ref) => drawThumbnail(world, ref),
}

async function mendOne(world: World, finding: Finding, graceMs: number): Promise<boolean> {
  const act = MENDERS[finding.kind]
  if (!act || finding.ref === null) return false
  try {
    return await act(world, finding.ref, finding, graceMs)
  } catch (error) {
    // What cannot be decoded any more stays a finding, and no reason to leave the others as they are.
    return unlessRefusal(error)
  }
}

function unlessRefusal(error: unknown): false {
  if (!isRefusal(error)) throw error
  return false
}

/** The same bytes from wherever they still are, looked at as they are read back. */
async function healFromCopies(world: World, ref: BlobRef, bytes: number): Promise<boolean> {
  const { database, objects, limits } = world
  const [row] = await database.blobs.findMany([ref])
  if (!row?.isReferenced) return false
  const { stagedKeys, blobs } = await database.blobs.copies(ref)
  const signal = AbortSignal.timeout(limits.ingestMsMax)
  const put = async (key: string): Promise<boolean> => {
    await using copy = await objects.checkOut(key, signal)
    if (copy?.digest !== ref.digest || copy.bytes !== bytes) return false
    await objects.promote(key, copy, blobKey(ref.tenantId, ref.digest), row.mediaType, signal)
    // A thumbnail that cannot be drawn is a finding of its own.
    await drawThumbnailOf(world, ref, copy).catch(unlessRefusal)
    return true
  }
  for (const key of stagedKeys) if (await put(key)) return true
  for (const other of blobs) if (await whileStaged(world, other, ref, put)) return true
  return false
}

/** From the stored bytes, by the same decode as at the first time. */
async function drawThumbnail(world: World, ref: BlobRef): Promise<boolean> {
  return whileStaged(world, ref, ref, async (key) => {
    await using copy = await world.objects.checkOut(key, AbortSignal.timeout(world.limits.ingestMsMax))
    if (copy?.digest !== ref.digest) return false
    await drawThumbnailOf(world, ref, copy)
    return true
  })
}

async function drawThumbnailOf({ objects, decoder, limits }: World, ref: BlobRef, copy: LocalCopy): Promise<void> {
  const key = thumbnailKey(ref.tenantId, ref.digest)
  if ((await objects.statBlob(key)) !== null) return
  const signal = AbortSignal.timeout(limits.ingestMsMax)
  const { thumbnail } = await decoder.inspect(copy.path, signal)
  await objects.putBlob(key, thumbnail.data, 'image/webp', signal)
}

/** Stages what is stored, for as long as somebody needs it as a file. The sweeper removes what a death leaves behind. */
async function whileStaged(
  { objects, newId, limits }: World,
  from: BlobRef,
  { tenantId }: BlobRef,
  act: (key: string) => Promise<boolean>,
): Promise<boolean> {
  const signal = AbortSignal.timeout(limits.ingestMsMax)
  const bytes = await objects.readBlob(blobKey(from.tenantId, from.digest), null, signal)
  if (!bytes) return false
  const key = `${tenantId}/${newId()}`
  await objects.stage(key, bytes, signal)
  try {
    return await act(key)
  } finally {
    await objects.unstage(key)
  }
}

async function sweepAll(world: World, found: number): Promise<number> {
  const place = { after: null as string | null }
  let swept = 0
  if (found === 0) return 0
  do swept += await sweepStaging(world, place)
  while (place.after !== null)
  return swept
}

function* batchesOf<T>(items: readonly T[], size: number): Generator<readonly T[]> {
  for (let at = 0; at < items.length; at += size) yield items.slice(at, at + size)
}
