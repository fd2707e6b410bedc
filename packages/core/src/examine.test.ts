import { createHash } from 'node:crypto'
import { expect, test } from 'vitest'
import type { BlobRef } from './blob.ts'
import { FINDING_KINDS, type FindingKind } from './examination.ts'
import { type Examination, examine, type ExamineOptions } from './examine.ts'
import { blobKey, blobOfKey, thumbnailKey } from './file.ts'
import type { Digest, FileId, TenantId } from './ids.ts'
import { DEFAULT_LIMITS } from './limits.ts'
import { mend } from './mend.ts'
import { takeOverRemovals } from './removal.ts'
import { aCommit, aFacts, aNewIngest, aPlacement, aStagedSource, newDigest, newId } from './testing/builders.ts'
import { imageBytes } from './testing/scripted-decoder.ts'
import { type MemoryWorld, memoryWorld } from './testing/memory-world.ts'

const HOUR_MS = 3_600_000
const CALM = new AbortController().signal
const LIMITS = { ...DEFAULT_LIMITS, examinePageItems: 3, sweepBatchMax: 2 }

function openWorld(): MemoryWorld {
  return memoryWorld({ limits: LIMITS })
}

const look = (world: MemoryWorld, options: Partial<ExamineOptions> = {}) =>
  examine(world, { graceMs: HOUR_MS, limit: 100, pause: async () => {}, ...options })

/** What was found, without what was not. */
const foundOf = ({ found }: Pick<Examination, 'found'>) =>
  Object.fromEntries(FINDING_KINDS.flatMap((kind) => (found[kind] > 0 ? [[kind, found[kind]]] : [])))
const keysOf = ({ findings }: Examination, kind: FindingKind) =>
  findings.filter((finding) => finding.kind === kind).map(({ key }) => key)

const bytesOf = (text: string) => imageBytes(text)
const digestOf = (text: string) => createHash('sha256').update(bytesOf(text)).digest('hex') as Digest
const keyOf = ({ tenantId, digest }: BlobRef) => blobKey(tenantId, digest)
const thumbnailOf = ({ tenantId, digest }: BlobRef) => thumbnailKey(tenantId, digest)

async function put({ objects }: MemoryWorld, ref: BlobRef, text: string): Promise<BlobRef> {
  await objects.putBlob(keyOf(ref), bytesOf(text), 'image/jpeg', CALM)
  await objects.putBlob(thumbnailOf(ref), bytesOf('small'), 'image/webp', CALM)
  return ref
}

/** A file whose bytes are this text, stored as the pipeline does it. */
async function store(world: MemoryWorld, tenantId: TenantId, text: string): Promise<BlobRef & { fileId: FileId }> {
  const digest = digestOf(text)
  await put(world, { tenantId, digest }, text)
  const ingest = await world.database.ingests.accept(aNewIngest({ tenantId, source: aStagedSource({ digest }) }))
  const facts = aFacts({ digest, bytes: bytesOf(text).length })
  const fileId = newId() as FileId
  const file = { kind: 'new', id: fileId, name: `${text}.jpg`, facts, reuses: false } as const
  await world.database.ingests.commit(aCommit(ingest, { file }), world.limits)
  await drain(world)
  return { tenantId, digest, fileId }
}

/** Nobody works here: what is promised would wait for ever. */
async function drain({ database }: MemoryWorld): Promise<void> {
  const rows = await database.outbox.claim({ interactive: 100, import: 100 }, 1)
  await database.outbox.remove(rows.map(({ id }) => id))
}

async function stage({ objects }: MemoryWorld, key: string, text: string): Promise<string> {
  const chunks = async function* () {
    yield bytesOf(text)
  }
  await objects.stage(key, chunks(), CALM)
  return key
}

test('keys of blobs tell what they name, and other keys nothing', () => {
  const [tenantId, digest] = [newId() as TenantId, newDigest()]
  expect(blobOfKey(blobKey(tenantId, digest))).toEqual({ tenantId, digest, isThumbnail: false })
  expect(blobOfKey(thumbnailKey(tenantId, digest))).toEqual({ tenantId, digest, isThumbnail: true })
  const strange = [
    `${tenantId}/00/${digest}`,
    `${tenantId}/${digest}`,
    `x/${blobKey(tenantId, digest)}`,
    `${blobKey(tenantId, digest)}.jpg`,
  ]
  for (const key of ['', 'notes.txt', ...strange]) expect(blobOfKey(key)).toBeNull()
})

test('a sound world has no findings, however many pages it fills, and is looked at as a whole', async () => {
  await using world = openWorld()
  const tenants = [await world.database.newTenant(), await world.database.newTenant()]
  for (const n of Array.from({ length: 10 }).keys()) await store(world, tenants[n % 2] as TenantId, `file ${n}`)
  const seen: number[] = []
  const examination = await look(world, { onProgress: (blobs) => seen.push(blobs) })
  expect(foundOf(examination)).toEqual({})
  expect(examination.looked).toEqual({ objects: 20, blobs: 10, staged: 0 })
  expect(seen.at(-1)).toBe(10)
  expect(examination.ingests.committed).toBe(10)
})

test('each kind of fault is found, told with what hangs on it, mended where that is possible, and nothing else is touched', async () => {
  await using world = openWorld()
  const { database, objects, clock } = world
  const [tenantId, other] = [await database.newTenant(), await database.newTenant()]
  const product = await database.products.create({ id: newId() as never, tenantId, sku: 'chair', title: null })
  const sound = await store(world, tenantId, 'sound')
  const missing = await store(world, tenantId, 'missing')
  const source = { kind: 'file', fileId: missing.fileId } as const
  const target = { kind: 'attach', productId: product.id, placement: aPlacement() } as const
  const hung = await database.ingests.accept(aNewIngest({ tenantId, source, target }))
  await database.ingests.commit(aCommit(hung), world.limits)
  await drain(world)
  const elsewhere = await store(world, tenantId, 'elsewhere')
  await store(world, other, 'elsewhere')
  const shortened = await store(world, tenantId, 'shortened')
  const faceless = await store(world, tenantId, 'faceless')
  const unreferenced = await store(world, tenantId, 'unreferenced')
  const orphan = await put(world, { tenantId, digest: digestOf('orphan') }, 'orphan')
  const stranger = await put(world, { tenantId: newId() as TenantId, digest: digestOf('stranger') }, 'stranger')
  await objects.putBlob('notes.txt', bytesOf('notes'), 'text/plain', CALM)
  const left = await stage(world, `${tenantId}/${newId()}`, 'left')
  const kept = await stage(world, `${tenantId}/${newId()}`, 'shortened')
  const failed = await database.ingests.accept(
    aNewIngest({ tenantId, source: aStagedSource({ key: kept, digest: shortened.digest }) }),
  )
  await database.ingests.end(failed.id, 'failed', { code: 'attempts_exhausted', detail: '' }, [])
  const stuck = await database.ingests.accept(aNewIngest({ tenantId }))
  await drain(world)

  clock.advance(LIMITS.stagedMsMax + 1)
  for (const key of [keyOf(missing), keyOf(elsewhere), thumbnailOf(elsewhere), thumbnailOf(faceless)])
    await objects.removeBlob(key)
  await objects.putBlob(keyOf(shortened), bytesOf('short'), 'image/jpeg', CALM)
  await database.files.remove(tenantId, unreferenced.fileId)
  await put(world, { tenantId, digest: digestOf('young') }, 'young')

  const first = await look(world)
  const expected = { orphan: 1, foreign: 3, missing: 2, damaged: 1, thumbnail: 1, unreferenced: 1, staged: 1, stuck: 1 }
  expect(foundOf(first)).toEqual(expected)
  expect(keysOf(first, 'orphan')).toEqual([keyOf(orphan)])
  expect(keysOf(first, 'foreign').toSorted()).toEqual([keyOf(stranger), thumbnailOf(stranger), 'notes.txt'].toSorted())
  expect(keysOf(first, 'missing').toSorted()).toEqual([keyOf(missing), keyOf(elsewhere)].toSorted())
  expect(keysOf(first, 'damaged')).toEqual([keyOf(shortened)])
  expect(keysOf(first, 'thumbnail')).toEqual([thumbnailOf(faceless)])
  expect(keysOf(first, 'unreferenced')).toEqual([keyOf(unreferenced)])
  expect(keysOf(first, 'staged')).toEqual([left])
  expect(keysOf(first, 'stuck')).toEqual([stuck.id])
  const told = first.uses.find(({ digest }) => digest === missing.digest)
  expect(told).toMatchObject({ fileId: missing.fileId, fileName: 'missing.jpg', image: { sku: 'chair', name: 'image' } })
  expect(foundOf(await look(world))).toEqual(expected)

  const second = await mend(world, first, { graceMs: HOUR_MS, force: false })
  expect(foundOf({ found: second.mended })).toEqual({ orphan: 1, missing: 1, damaged: 1, thumbnail: 1, staged: 1, stuck: 1 })
  expect(second).toMatchObject({ marked: 1, isSuspicious: false })
  await drain(world)
  expect(foundOf(await look(world))).toEqual({ foreign: 3, missing: 1, unreferenced: 1 })
  clock.advance(HOUR_MS + 1)
  const third = await mend(world, await look(world), { graceMs: HOUR_MS, force: false })
  expect(foundOf({ found: third.mended })).toMatchObject({ orphan: 1, unreferenced: 1 })

  expect(foundOf(await look(world))).toMatchObject({ foreign: 3, missing: 1 })
  for (const ref of [sound, elsewhere, shortened, faceless]) {
    expect(await objects.statBlob(keyOf(ref))).not.toBeNull()
    expect(await objects.statBlob(thumbnailOf(ref))).not.toBeNull()
  }
  for (const ref of [orphan, unreferenced]) expect(await objects.statBlob(keyOf(ref))).toBeNull()
  expect(await objects.statStaged(kept)).not.toBeNull()
  expect(await objects.statBlob('notes.txt')).not.toBeNull()
})

test('what came or went while it was read is no finding', async () => {
  await using world = openWorld()
  const { database, objects, clock } = world
  const tenantId = await database.newTenant()
  const [late, gone] = [await store(world, tenantId, 'late'), await store(world, tenantId, 'gone')]
  clock.advance(2 * HOUR_MS)
  /** The page of objects is older than that of rows: it lacks one that came, and has one whose row has gone. */
  const listBlobs = async (limit: number, after?: string | null) =>
    (await objects.listBlobs(100))
      .filter(({ key }) => !key.startsWith(keyOf(late)) && (after == null || key > after))
      .slice(0, limit)
  const list = async (...asked: Parameters<typeof database.blobs.list>) =>
    (await database.blobs.list(...asked)).filter(({ digest }) => digest !== gone.digest)
  const torn = { ...world, objects: { ...objects, listBlobs }, database: { ...database, blobs: { ...database.blobs, list } } }
  expect(foundOf(await look(torn))).toEqual({})
})

test('findings are kept up to the limit, and all are counted', async () => {
  await using world = openWorld()
  const tenantId = await world.database.newTenant()
  for (const n of Array.from({ length: 7 }).keys()) await put(world, { tenantId, digest: digestOf(`${n}`) }, `${n}`)
  world.clock.advance(2 * HOUR_MS)
  const examination = await look(world, { limit: 2 })
  expect(foundOf(examination)).toEqual({ orphan: 7 })
  expect(examination.findings).toHaveLength(2)
  const { mended } = await mend(world, examination, { graceMs: HOUR_MS, force: false })
  expect(mended.orphan).toBe(2)
  expect(foundOf(await look(world))).toEqual({ orphan: 5 })
})

test('where most of what is stored is nobody’s, it is left alone, unless somebody insists', async () => {
  await using world = openWorld()
  const tenantId = await world.database.newTenant()
  for (const n of Array.from({ length: 101 }).keys()) await put(world, { tenantId, digest: digestOf(`${n}`) }, `${n}`)
  world.clock.advance(2 * HOUR_MS)
  const examination = await look(world, { limit: 1_000 })
  const careful = await mend(world, examination, { graceMs: HOUR_MS, force: false })
  expect([careful.isSuspicious, careful.mended.orphan]).toEqual([true, 0])
  const insisted = await mend(world, examination, { graceMs: HOUR_MS, force: true })
  expect(insisted.mended.orphan).toBe(101)
})

test('promises that nobody relays are found; those behind a queue that is full, or young, are not', async () => {
  await using world = openWorld()
  const tenantId = await world.database.newTenant()
  const promised = await world.database.ingests.accept(aNewIngest({ tenantId }))
  expect(foundOf(await look(world))).toEqual({})
  world.clock.advance(61_000)
  expect(foundOf(await look(world))).toEqual({ unrelayed: 1 })
  expect(foundOf(await look({ ...world, queue: { ...world.queue, waiting: () => Promise.reject(new Error('away')) } }))).toEqual({
    unrelayed: 1,
  })
  await world.queue.add([{ ingestId: promised.id, epoch: 0 }])
  expect(foundOf(await look(world))).toEqual({})
})

test('a removal whose remover died is found, and ended by upkeep; until then no file is made of these bytes', async () => {
  await using world = openWorld()
  const { database, objects, clock, limits } = world
  const tenantId = await database.newTenant()
  const ref = await put(world, { tenantId, digest: digestOf('left') }, 'left')
  expect(await database.blobs.beginRemoval(ref, 0)).toBe(true)
  expect(await takeOverRemovals(world)).toBe(0)
  clock.advance(limits.removalTakeoverMs + 2 * limits.upkeepEveryMs + 1)
  expect(foundOf(await look(world))).toMatchObject({ unfinished: 1 })
  await expect(store(world, tenantId, 'left')).rejects.toMatchObject({ code: 'service_unavailable' })
  await put(world, ref, 'left')
  expect(await takeOverRemovals(world)).toBe(1)
  expect(await objects.statBlob(keyOf(ref))).toBeNull()
  clock.advance(1)
  await store(world, tenantId, 'left')
  expect((await look(world)).found.unfinished).toBe(0)
})

test('who comes too late to remove what he has begun to remove leaves it to others', async () => {
  await using world = openWorld()
  const { database, objects, clock } = world
  const tenantId = await database.newTenant()
  const ref = await put(world, { tenantId, digest: digestOf('late') }, 'late')
  clock.advance(2 * HOUR_MS)
  const slow = { ...world, limits: { ...world.limits, removalMsMax: -1 } }
  const { mended } = await mend(slow, await look(slow), { graceMs: HOUR_MS, force: false })
  expect(mended.orphan).toBe(0)
  expect(await objects.statBlob(keyOf(ref))).not.toBeNull()
  clock.advance(world.limits.removalTakeoverMs + 1)
  expect(await takeOverRemovals(world)).toBe(1)
  expect(await objects.statBlob(keyOf(ref))).toBeNull()
})
