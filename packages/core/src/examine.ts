import type { BlobRef, BlobRow, BlobUse } from './blob.ts'
import { FINDING_KINDS, type FindingKind, type Tally } from './examination.ts'
import { blobKey, blobOfKey, thumbnailKey } from './file.ts'
import type { TenantId } from './ids.ts'
import type { Ingest, IngestState } from './ingest.ts'
import type { QueueWaiting, StoredBlob, World } from './ports.ts'
import { unneededOf } from './sweep.ts'

/** Something that is not as it should be. `ref` is null for what is no blob of ours. */
export interface Finding {
  readonly kind: FindingKind
  /** Of the object; of an ingest its id. */
  readonly key: string
  readonly ref: BlobRef | null
  /** As many as there should be; of what should not be there, as many as there are. */
  readonly bytes: number
  /** As many as there are; null when the object is not there. */
  readonly storedBytes: number | null
  /** Of what nothing refers to: for how long it is marked; null until it is. */
  readonly markedMs: number | null
}

export interface Examination {
  /** By the database's clock, when it began. */
  readonly at: Date
  readonly looked: { readonly objects: number; readonly blobs: number; readonly staged: number }
  readonly found: Tally
  /** At most so many of each kind as were asked for. */
  readonly findings: readonly Finding[]
  /** Of the findings about files: what shows them, as far as it is told. */
  readonly uses: readonly BlobUse[]
  readonly stuck: readonly Ingest[]
  readonly ingests: Readonly<Record<IngestState, number>>
  readonly outbox: { readonly entries: number; readonly oldestMs: number }
  /** Null when it does not answer. */
  readonly queue: QueueWaiting | null
}

export type ExaminedWorld = Pick<World, 'database' | 'objects' | 'limits' | 'now'> & {
  readonly queue: Pick<World['queue'], 'waiting'>
}

export interface ExamineOptions {
  /** What is younger by the store's clock may belong to a run that has not committed yet. */
  readonly graceMs: number
  /** Findings of each kind that are kept; all are counted. */
  readonly limit: number
  /** Called with the number of blobs that were looked at. */
  readonly onProgress?: (blobs: number) => void
  /** Before somebody is said to do nothing, he is looked at twice. */
  readonly pause?: () => Promise<void>
}

/**
 * Looks at all that there is, and changes nothing. Objects and rows are read side by side in the order of their keys, a page of each
 * at a time, so that it takes no more memory for millions. The two are not of one moment: what seems wrong is asked for once more.
 */
export async function examine(world: ExaminedWorld, options: ExamineOptions): Promise<Examination> {
  const { database } = world
  const notes = openNotes(options.limit)
  const at = await database.blobs.now()
  const blobs = await examineBlobs(world, options, notes, new Date(at.getTime() - options.graceMs))
  const staged = await examineStaged(world, notes)
  const waiting = await examineWaiters(world, options, notes)
  const files = notes.findings.filter(({ kind }) => kind === 'missing' || kind === 'damaged' || kind === 'thumbnail')
  const refs = files.flatMap(({ ref }) => ref ?? [])
  const uses = refs.length > 0 ? await database.blobs.uses(refs, options.limit) : []
  const { states: ingests } = await database.ingests.census()
  return { at, looked: { ...blobs, staged }, found: notes.found, findings: notes.findings, uses, ingests, ...waiting }
}

type Notes = ReturnType<typeof openNotes>

function openNotes(limit: number) {
  const found = Object.fromEntries(FINDING_KINDS.map((kind) => [kind, 0])) as Record<FindingKind, number>
  const findings: Finding[] = []
  return {
    found,
    findings,
    hasRoom: (kind: FindingKind) => found[kind] < limit,
    count: (kind: FindingKind, number: number) => void (found[kind] += number),
    add(kind: FindingKind, key: string, facts: Partial<Finding> = {}) {
      if (found[kind] < limit) findings.push({ kind, key, ref: null, bytes: 0, storedBytes: null, markedMs: null, ...facts })
      found[kind] += 1
    },
  }
}

// ── Blobs ───────────────────────────────────────────────────────────────────────────────────────────────────────────

/** What is stored for one blob. */
interface Stored {
  readonly ref: BlobRef
  readonly blob: StoredBlob | null
  readonly thumbnail: StoredBlob | null
}

async function examineBlobs(world: ExaminedWorld, options: ExamineOptions, notes: Notes, before: Date) {
  const looked = { objects: 0, blobs: 0 }
  const stored = storedBlobs(world, notes, () => (looked.objects += 1))
  const rows = inPages((after: BlobRow | null) => world.database.blobs.list(world.limits.examinePageItems, after))
  for await (const [row, object] of sideBySide(rows, stored)) {
    if (row) options.onProgress?.((looked.blobs += 1))
    if (!row) await noteOrphan(world, notes, object, before)
    else if (!row.isReferenced) notes.add('unreferenced', keyOf(row), { ref: row, bytes: row.bytes, markedMs: row.markedMs })
    else await noteFaults(world, notes, row, object)
  }
  return looked
}

async function noteOrphan({ database }: ExaminedWorld, notes: Notes, object: Stored | null, before: Date): Promise<void> {
  const parts = [object?.blob, object?.thumbnail].filter((part) => part !== null && part !== undefined)
  if (!object || parts.some(({ modifiedAt }) => modifiedAt >= before)) return
  if (notes.hasRoom('orphan') && (await database.blobs.findMany([object.ref])).length > 0) return
  notes.add('orphan', keyOf(object.ref), { ref: object.ref, bytes: parts.reduce((sum, { bytes }) => sum + bytes, 0) })
}

async function noteFaults(world: ExaminedWorld, notes: Notes, row: BlobRow, object: Stored | null): Promise<void> {
  const blob = await sizeNow(world, notes, row, keyOf(row), object?.blob ?? null, (bytes) => bytes === row.bytes)
  if (blob === 'gone') return
  if (blob !== row.bytes) {
    notes.add(blob === null ? 'missing' : 'damaged', keyOf(row), { ref: row, bytes: row.bytes, storedBytes: blob })
    return
  }
  const key = thumbnailKey(row.tenantId, row.digest)
  const thumbnail = await sizeNow(world, notes, row, key, object?.thumbnail ?? null, (bytes) => bytes !== null)
  if (thumbnail === null) notes.add('thumbnail', key, { ref: row })
}

/** What was listed, if that is right; or else what there is now, unless the row is gone by now, too. */
async function sizeNow(
  { database, objects }: ExaminedWorld,
  notes: Notes,
  row: BlobRow,
  key: string,
  listed: StoredBlob | null,
  isRight: (bytes: number | null) => boolean,
): Promise<number | null | 'gone'> {
  const bytes = listed?.bytes ?? null
  if (isRight(bytes) || !notes.hasRoom('missing')) return bytes
  const now = await objects.statBlob(key)
  if (isRight(now)) return now
  return (await database.blobs.findMany([row])).some(({ isReferenced }) => isReferenced) ? now : 'gone'
}

/** A blob and its thumbnail stand side by side. What cannot be ours is noted on the way. */
async function* storedBlobs(world: ExaminedWorld, notes: Notes, onObject: () => void): AsyncGenerator<Stored> {
  const { objects, limits } = world
  const isOurs = asksForTenants(world)
  let open: Stored[] = []
  for await (const object of inPages((after: StoredBlob | null) =>
    objects.listBlobs(limits.examinePageItems, after?.key ?? null),
  )) {
    onObject()
    const named = blobOfKey(object.key)
    if (!named || !(await isOurs(named.tenantId))) {
      notes.add('foreign', object.key, { bytes: object.bytes })
      continue
    }
    const { tenantId, digest, isThumbnail } = named
    const part = isThumbnail ? { thumbnail: object } : { blob: object }
    const same = open.filter(({ ref }) => keyOf(ref) === blobKey(tenantId, digest))
    if (same.length === 0) yield* open
    open = [{ ref: { tenantId, digest }, blob: null, thumbnail: null, ...same[0], ...part }]
  }
  yield* open
}

/** Objects of one tenant stand together, so that the last answer is all that need be remembered. */
function asksForTenants({ database }: ExaminedWorld): (tenantId: TenantId) => Promise<boolean> {
  let last = { tenantId: '', isOurs: false }
  return async (tenantId) => {
    if (last.tenantId !== tenantId) last = { tenantId, isOurs: await database.tenants.exists(tenantId) }
    return last.isOurs
  }
}

/** Two sequences in the order of their keys as one: each pair has the same key, or a side that lacks it. */
async function* sideBySide(
  rows: AsyncGenerator<BlobRow>,
  stored: AsyncGenerator<Stored>,
): AsyncGenerator<readonly [BlobRow | null, Stored | null]> {
  let [row, object] = [await rows.next(), await stored.next()]
  while (!row.done || !object.done) {
    const rowKey = row.done ? null : keyOf(row.value)
    const objectKey = object.done ? null : keyOf(object.value.ref)
    const hasRow = rowKey !== null && (objectKey === null || rowKey <= objectKey)
    const hasObject = objectKey !== null && (rowKey === null || objectKey <= rowKey)
    yield [hasRow && !row.done ? row.value : null, hasObject && !object.done ? object.value : null]
    if (hasRow) row = await rows.next()
    if (hasObject) object = await stored.next()
  }
}

async function* inPages<T>(read: (after: T | null) => Promise<readonly T[]>): AsyncGenerator<T> {
  for (let page = await read(null); page.length > 0; page = await read(page.at(-1) ?? null)) yield* page
}

function keyOf({ tenantId, digest }: BlobRef): string {
  return blobKey(tenantId, digest)
}

// ── What waits ──────────────────────────────────────────────────────────────────────────────────────────────────────

async function examineStaged(world: ExaminedWorld, notes: Notes): Promise<number> {
  const { database, objects, limits } = world
  const before = new Date((await database.blobs.now()).getTime() - limits.stagedMsMax)
  let looked = 0
  for (let after: string | null = null; ;) {
    const old: readonly string[] = await objects.listStaged(before, limits.sweepBatchMax, after)
    looked += old.length
    for (const key of old.length > 0 ? await unneededOf(world, old) : []) notes.add('staged', key)
    after = old.at(-1) ?? null
    if (after === null) return looked
  }
}

const RELAYED_AFTER_MS = 60_000

async function examineWaiters(world: ExaminedWorld, { limit, pause }: ExamineOptions, notes: Notes) {
  const { database, limits } = world
  // Upkeep has had two turns since.
  const late = 2 * limits.upkeepEveryMs
  const idleMs = { ingest: limits.reconcileAfterMs + late, parked: late, removal: limits.removalTakeoverMs + late }
  const look = async () => {
    const queue = await world.queue.waiting().catch(() => null)
    return { queue, waiters: await database.examinations.waiters(idleMs, limit) }
  }
  let seen = await look()
  if (isUnrelayed(seen)) {
    await (pause ?? restAWhile)()
    seen = await look()
  }
  const { queue, waiters } = seen
  for (const { id } of waiters.examples) notes.add('stuck', id)
  notes.count('stuck', waiters.stuck - waiters.examples.length + waiters.overdue)
  notes.count('unfinished', waiters.unfinished)
  if (isUnrelayed(seen)) notes.count('unrelayed', waiters.outbox)
  return { queue, stuck: waiters.examples, outbox: { entries: waiters.outbox, oldestMs: waiters.outboxOldestMs } }
}

interface Seen {
  readonly queue: QueueWaiting | null
  readonly waiters: { readonly outbox: number; readonly outboxOldestMs: number }
}

/** A long outbox is no fault where the queue is as full as it should be. */
function isUnrelayed({ queue, waiters }: Seen): boolean {
  const isEmpty = queue === null || queue.interactive + queue.import + queue.delayed === 0
  return waiters.outbox > 0 && waiters.outboxOldestMs > RELAYED_AFTER_MS && isEmpty
}

const REST_MS = 3_000

function restAWhile(): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, REST_MS))
}
