import { beforeEach, expect, test } from 'vitest'
import type { BlobRef } from '../../blob.ts'
import { FINDING_KINDS, type Tally } from '../../examination.ts'
import { blobKey } from '../../file.ts'
import type { FileId, TenantId } from '../../ids.ts'
import type { Ingest } from '../../ingest.ts'
import type { Commit } from '../../ports.ts'
import { aCommit, aFacts, aPlacement, aStagedSource, newDigest, newId } from '../builders.ts'
import { expectRefusal, LIMITS, LONG_MS, present, range, roomFor, type Subject } from './catalogue.ts'

export function blobTests({ catalogue, openOwn }: Subject): void {
  const blobs = () => catalogue().database.blobs
  let tenantId: TenantId
  beforeEach(async () => {
    tenantId = await catalogue().newTenant()
  })

  const accept = (digest: BlobRef['digest']) => catalogue().accept({ tenantId, source: aStagedSource({ digest }) })
  const fileOf = (digest: BlobRef['digest'], bytes = 1_000): Commit['file'] => ({
    kind: 'new',
    id: newId() as FileId,
    name: 'a.jpg',
    facts: aFacts({ digest, bytes }),
    reuses: false,
  })
  const commit = (ingest: Ingest, digest: BlobRef['digest'], change: Partial<Commit> = {}) =>
    catalogue().database.ingests.commit(aCommit(ingest, { file: fileOf(digest), ...change }), LIMITS)
  /** A blob that one file shows. */
  async function store(digest = newDigest()) {
    const ingest = await accept(digest)
    expect(await commit(ingest, digest)).toBe('committed')
    const fileId = present(present(await catalogue().database.ingests.find(tenantId, ingest.id)).result).fileId
    return { ref: { tenantId, digest }, fileId }
  }
  const drop = (fileId: FileId) => catalogue().database.files.remove(tenantId, fileId)
  /** A blob that nothing refers to any more. */
  async function abandon(digest = newDigest()): Promise<BlobRef> {
    const { ref, fileId } = await store(digest)
    await drop(fileId)
    return ref
  }
  const rowOf = async (ref: BlobRef) => (await blobs().findMany([ref]))[0] ?? null
  const isMarked = async (ref: BlobRef) => present(await rowOf(ref)).markedMs !== null

  test('blobs are listed in the order of their keys, page by page, with who refers to them', async () => {
    const stored = [await store(), await store(), await store()]
    const gone = await abandon()
    const first = stored.map(({ ref }) => ref).toSorted((a, b) => (a.digest < b.digest ? -1 : 1))[0]
    const seen = []
    for (let after: BlobRef | null = { tenantId, digest: present(first).digest }; ; after = present(seen.at(-1))) {
      const page = await blobs().list(2, after)
      seen.push(...page)
      if (page.length < 2) break
    }
    const keys = seen.map((row) => blobKey(row.tenantId, row.digest))
    expect(keys).toEqual([...new Set(keys)].toSorted())
    const own = seen.filter((row) => row.tenantId === tenantId)
    const others = [...stored.map(({ ref }) => ref.digest), gone.digest].filter((digest) => digest !== present(first).digest)
    expect(own.map(({ digest }) => digest)).toEqual(others.toSorted())
    for (const row of own)
      expect(row).toMatchObject({ bytes: 1_000, mediaType: 'image/jpeg', isReferenced: row.digest !== gone.digest })
    expect(await blobs().findMany([{ tenantId, digest: newDigest() }])).toEqual([])
  })

  test('blobs are counted, and a tenant is known or not', async () => {
    await using own = await openOwn()
    expect(await own.database.blobs.count()).toBe(0)
    const ingest = await own.accept()
    await own.commit(ingest)
    expect(await own.database.blobs.count()).toBe(1)
    expect(await own.database.tenants.exists(own.home)).toBe(true)
    expect(await own.database.tenants.exists(newId() as TenantId)).toBe(false)
    expect(await own.database.tenants.exists('no id' as TenantId)).toBe(false)
  })

  test('what shows a blob is told: files, and the images and products that show them', async () => {
    const product = await catalogue().newProduct(tenantId)
    const digest = newDigest()
    const { fileId } = await store(digest)
    const ingest = await catalogue().acceptFor(product, {}, { source: { kind: 'file', fileId } })
    expect(await catalogue().commit(ingest)).toBe('committed')
    const alone = await store()
    const uses = await blobs().uses([{ tenantId, digest }, alone.ref], 10)
    expect(uses).toHaveLength(2)
    const [image] = (await catalogue().imagesOf(product)).images
    expect(uses.find((use) => use.fileId === fileId)).toEqual({
      tenantId,
      digest,
      fileId,
      fileName: 'a.jpg',
      image: { productId: product.id, sku: product.sku, imageId: present(image).id, name: 'image' },
    })
    expect(uses.find((use) => use.fileId === alone.fileId)?.image).toBeNull()
    expect(await blobs().uses([{ tenantId, digest }, alone.ref], 1)).toHaveLength(1)
  })

  test('copies of the same bytes are known: staged for what is not over, and stored for others', async () => {
    const digest = newDigest()
    const { ref } = await store(digest)
    const waiting = await accept(digest)
    const ours = tenantId
    tenantId = await catalogue().newTenant()
    await store(digest)
    const other = tenantId
    tenantId = ours
    const { stagedKeys, blobs: elsewhere } = await blobs().copies(ref)
    expect(stagedKeys).toEqual([waiting.source.kind === 'staged' && waiting.source.key])
    expect(elsewhere).toEqual([{ tenantId: other, digest }])
    expect(await blobs().copies({ tenantId, digest: newDigest() })).toEqual({ stagedKeys: [], blobs: [] })
  })

  test('only what nothing refers to is marked, once, and the mark is void when a reference comes', async () => {
    const digest = newDigest()
    const [shown, gone] = [(await store()).ref, await abandon(digest)]
    expect(await blobs().mark([shown, gone, { tenantId, digest: newDigest() }])).toBe(1)
    expect(await blobs().mark([shown, gone])).toBe(0)
    expect([await isMarked(shown), await isMarked(gone)]).toEqual([false, true])
    const again = await store(digest)
    expect(await isMarked(gone)).toBe(false)
    await drop(again.fileId)
    expect(await isMarked(gone)).toBe(false)
    expect(await blobs().beginRemoval(gone, 0)).toBe(false)
    expect(await blobs().mark([gone])).toBe(1)
    expect(await blobs().beginRemoval(gone, 0)).toBe(true)
  })

  test('a removal begins when the mark is old enough, once, and takes the row with it', async () => {
    const ref = await abandon()
    expect(await blobs().beginRemoval(ref, 0)).toBe(false)
    await blobs().mark([ref])
    expect(await blobs().beginRemoval(ref, LONG_MS)).toBe(false)
    const begun = await Promise.all(range(5).map(() => blobs().beginRemoval(ref, 0)))
    expect(begun.filter(Boolean)).toHaveLength(1)
    expect(await rowOf(ref)).toBeNull()
    expect(await catalogue().database.files.findFacts(tenantId, ref.digest)).toBeNull()
    await blobs().endRemoval(ref)
    await blobs().endRemoval(ref)
  })

  test('what has no row may be removed at once, what a file shows never', async () => {
    const { ref } = await store()
    expect(await blobs().mark([ref])).toBe(0)
    expect(await blobs().beginRemoval(ref, 0)).toBe(false)
    expect(await rowOf(ref)).toMatchObject({ isReferenced: true })
    const orphan = { tenantId, digest: newDigest() }
    expect(await blobs().beginRemoval(orphan, LONG_MS)).toBe(true)
    expect(await blobs().beginRemoval(orphan, LONG_MS)).toBe(false)
    await blobs().endRemoval(orphan)
    expect(await blobs().beginRemoval(orphan, LONG_MS)).toBe(true)
  })

  test('no file is made of bytes that were removed while its run believed them to be there', async () => {
    const digest = newDigest()
    const ref = await abandon(digest)
    const ingest = await accept(digest)
    const running = present(await catalogue().database.ingests.start(ingest.id, ingest.epoch))
    const early = aCommit(running, { file: fileOf(digest) })
    await blobs().mark([ref])
    expect(await blobs().beginRemoval(ref, 0)).toBe(true)
    await expectRefusal(catalogue().database.ingests.commit(early, LIMITS), 'service_unavailable')
    await blobs().endRemoval(ref)
    await expectRefusal(catalogue().database.ingests.commit(early, LIMITS), 'service_unavailable')
    expect(await catalogue().database.ingests.find(tenantId, ingest.id)).toMatchObject({ state: 'running' })
    expect(await rowOf(ref)).toBeNull()
    // A run that begins when all is gone stores them anew. Of a run within the same millisecond nobody knows.
    const since = new Date((await blobs().now()).getTime() + 2)
    expect(await catalogue().database.ingests.commit({ ...early, since }, LIMITS)).toBe('committed')
    expect(await rowOf(ref)).toMatchObject({ isReferenced: true })
  })

  test('removals that were not ended are taken over when they are old, by one', async () => {
    await using own = await openOwn()
    const { blobs: all } = own.database
    const refs = range(3).map(() => ({ tenantId: own.home, digest: newDigest() }))
    for (const ref of refs) expect(await all.beginRemoval(ref, 0)).toBe(true)
    await all.endRemoval(present(refs[0]))
    expect(await all.takeOverRemovals(LONG_MS, 10)).toEqual([])
    const [one, other] = await Promise.all([all.takeOverRemovals(-1_000, 1), all.takeOverRemovals(-1_000, 10)])
    const taken = [...one, ...other].map(({ digest }) => digest)
    expect([...new Set(taken)].toSorted()).toEqual(
      refs
        .slice(1)
        .map(({ digest }) => digest)
        .toSorted(),
    )
    expect(await all.forgetRemovals(LONG_MS, 10)).toBe(0)
    expect(await all.forgetRemovals(-1_000, 10)).toBe(1)
  })

  test('an examination is told who waits in no line, and what is left of removals', async () => {
    await using own = await openOwn()
    const { ingests, outbox, examinations, blobs: all } = own.database
    const [taken, , parkedOne] = [
      await own.accept(),
      await own.accept(),
      await own.accept({ park: { sku: newId(), placement: aPlacement(), waitMs: 1 } }),
    ]
    expect(parkedOne.state).toBe('parked')
    const claimed = await outbox.claim(roomFor(10), LONG_MS)
    await outbox.remove(claimed.filter(({ job }) => job.ingestId === taken.id).map(({ id }) => id))
    await ingests.start(taken.id, 0)
    await all.beginRemoval({ tenantId: own.home, digest: newDigest() }, 0)
    const soon = await examinations.waiters({ ingest: -1_000, parked: -1_000, removal: -1_000 }, 10)
    expect(soon).toMatchObject({ stuck: 1, overdue: 1, outbox: 1, unfinished: 1 })
    expect(soon.examples.map(({ id, state }) => [id, state])).toEqual([[taken.id, 'running']])
    expect(soon.outboxOldestMs).toBeGreaterThanOrEqual(0)
    const later = await examinations.waiters({ ingest: LONG_MS, parked: LONG_MS, removal: LONG_MS }, 10)
    expect(later).toMatchObject({ stuck: 0, overdue: 0, outbox: 1, unfinished: 0, examples: [] })
  })

  test('of examinations the last findings are kept, and the sums of what was mended', async () => {
    await using own = await openOwn()
    const { examinations } = own.database
    const tally = (n: number) => Object.fromEntries(FINDING_KINDS.map((kind, index) => [kind, n * index])) as Tally
    expect(await examinations.last()).toBeNull()
    await examinations.record(tally(3), tally(1))
    await examinations.record(tally(2), tally(1))
    expect(await examinations.last()).toEqual({ at: expect.any(Date), found: tally(2), mended: tally(2) })
  })

  test('an ingest that was put off tells why, and until when, until it is started again', async () => {
    const { ingests } = catalogue().database
    const { id, epoch } = await catalogue().accept()
    const find = async () => present(await ingests.find(catalogue().home, id)).postponed
    const startAnew = async () => expect((await ingests.start(id, epoch))?.postponed).toBeNull()
    expect(await find()).toBeNull()
    await startAnew()
    const postponed = { because: 'outage', waitMs: LONG_MS } as const
    await ingests.release(id, { forgiveAttempt: true, problem: null, timeline: [], postponed })
    expect(await find()).toMatchObject({ because: 'outage' })
    const until = present(await find()).until.getTime()
    expect(Math.abs(until - (await blobs().now()).getTime() - LONG_MS)).toBeLessThan(LONG_MS / 2)
    await startAnew()
    await ingests.putBack(id, { because: 'turn', waitMs: 10 })
    expect(await find()).toMatchObject({ because: 'turn' })
    await startAnew()
    await ingests.release(id, { forgiveAttempt: true, problem: null, timeline: [] })
    expect(await find()).toBeNull()
  })
}
