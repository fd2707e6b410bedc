import { describe, expect, test } from 'vitest'
import { SluiceError } from './errors.ts'
import { blobKey } from './file.ts'
import type { HookSourceId, IngestId, TenantId } from './ids.ts'
import { type Ingest, type Source, stagedKeysOf } from './ingest.ts'
import { replayableUntil, replayFailed, replayIngest, replayThese, whyNotReplayable } from './replay.ts'
import { aCommit, aFacts, aNewIngest, aStagedSource, newId } from './testing/builders.ts'
import { memoryObjects } from './testing/memory-objects.ts'
import { memoryWorld, type WorldParts } from './testing/memory-world.ts'

const GIVEN_UP = { code: 'attempts_exhausted', detail: 'Given up.' } as const
const PAGE = { filter: {}, before: null, limit: 100, isDryRun: false }

async function scene(parts: WorldParts = {}) {
  const world = memoryWorld(parts)
  const { database, objects } = world
  const home = await database.newTenant()

  async function failed(source: Source = aStagedSource({ key: `${home}/${newId()}` }), tenantId = home): Promise<Ingest> {
    if (source.kind === 'staged') await objects.stage(source.key, chunks(), new AbortController().signal)
    const { id } = await database.ingests.accept(aNewIngest({ tenantId, source }))
    await database.ingests.end(id, 'failed', GIVEN_UP, [])
    return found(id, tenantId)
  }
  const found = async (id: IngestId, tenantId: TenantId = home): Promise<Ingest> => {
    const ingest = await database.ingests.find(tenantId, id)
    if (!ingest) throw new Error('it is not there')
    return ingest
  }
  return { ...world, home, failed, found, [Symbol.asyncDispose]: () => world[Symbol.asyncDispose]() }
}

async function* chunks() {
  yield new Uint8Array(1)
}

describe('a replay', () => {
  test('is refused at once where the bytes are gone, and the ingest stays as it is', async () => {
    await using world = await scene()
    const ingest = await world.failed()
    if (ingest.source.kind !== 'staged') throw new Error('it is staged')
    await world.objects.unstage(ingest.source.key)
    const refusal = await replayIngest(world, world.home, ingest.id).catch((error: unknown) => error)
    expect(refusal).toMatchObject({ code: 'ingest_bytes_gone', status: 410, message: expect.stringContaining('Send the file') })
    expect(await world.found(ingest.id)).toEqual(ingest)
  })

  test('needs no staged bytes where the same are stored already, or can be got again', async () => {
    await using world = await scene()
    const { database, objects, home } = world
    const stored = await world.failed()
    if (stored.source.kind !== 'staged') throw new Error('it is staged')
    const facts = aFacts({ digest: stored.source.digest, bytes: 1 })
    const twin = await database.ingests.accept(aNewIngest({ tenantId: home, source: stored.source }))
    const file = { kind: 'new', id: newId() as never, name: null, facts, reuses: false } as const
    await database.ingests.commit(aCommit(twin, { file }), { imagesPerProductMax: 10 })
    await objects.putBlob(blobKey(home, facts.digest), new Uint8Array(1), 'image/png', new AbortController().signal)
    await objects.unstage(stored.source.key)
    expect(await replayIngest(world, home, stored.id)).toMatchObject({ state: 'received', epoch: 1 })
    const url = await world.failed({ kind: 'url', url: 'https://example.com/a.jpg', fileName: null })
    expect(await replayIngest(world, home, url.id)).toMatchObject({ state: 'received', epoch: 1 })
  })

  test('is refused for what has not failed, and what is not there, with the reason', async () => {
    await using world = await scene()
    const { database, home } = world
    const open = await database.ingests.accept(aNewIngest({ tenantId: home }))
    const rejected = await database.ingests.accept(aNewIngest({ tenantId: home }))
    await database.ingests.end(rejected.id, 'rejected', { code: 'image_corrupt', detail: '' }, [])
    const stranger = await world.failed(undefined, await database.newTenant())
    const ids = [open.id, rejected.id, stranger.id]
    const { matched, replayed, refused } = await replayThese(world, home, ids, false)
    expect({ matched, replayed }).toEqual({ matched: 2, replayed: [] })
    expect(new Map(refused.map(({ id, code }) => [id, code]))).toEqual(
      new Map([
        [open.id, 'ingest_not_replayable'],
        [rejected.id, 'ingest_not_replayable'],
        [stranger.id, 'ingest_unknown'],
      ]),
    )
    expect(refused.find(({ id }) => id === rejected.id)?.detail).toContain('send it anew')
    await expect(replayIngest(world, home, stranger.id)).rejects.toMatchObject({ code: 'ingest_unknown' })
  })

  test('is refused for an item that a later event has brought, and names its ingest', async () => {
    await using world = await scene()
    const ingest = await world.failed()
    const { hooks } = world.database
    const source = newId() as HookSourceId
    await hooks.holdItem(source, 'item', ingest.id)
    const successor = await hooks.holdItem(source, 'item', newId() as IngestId)
    const refusal = { id: ingest.id, code: 'ingest_not_replayable', detail: expect.stringContaining(successor) }
    expect(await replayFailed(world, world.home, PAGE)).toMatchObject({ matched: 1, replayed: [], refused: [refusal] })
  })

  test('comes as late as the bytes are kept, and the sweeper not before', async () => {
    await using world = await scene()
    const { clock, limits } = world
    const ingest = await world.failed()
    const until = replayableUntil(ingest, limits)
    expect(until?.getTime()).toBe(clock.now().getTime() + limits.failedBytesMsMax - 60_000)
    clock.advance(limits.failedBytesMsMax - 60_001)
    expect(whyNotReplayable(ingest, world)).toBeNull()
    expect(await world.database.ingests.stagedInUse(stagedKeysOf(ingest), limits.failedBytesMsMax)).toHaveProperty('size', 1)
    clock.advance(1)
    expect(whyNotReplayable(ingest, world)).toMatchObject({ code: 'ingest_bytes_gone' })
    expect(await replayFailed(world, world.home, PAGE)).toMatchObject({ matched: 1, replayed: [], refused: [{ id: ingest.id }] })
  })

  test('cannot be told of while the store is away, and changes nothing then', async () => {
    const objects = memoryObjects()
    const away = () => Promise.reject(new SluiceError('service_unavailable'))
    await using world = await scene({ objects: { ...objects, statStaged: away } })
    const ingest = await world.failed()
    await expect(replayIngest(world, world.home, ingest.id)).rejects.toMatchObject({ code: 'service_unavailable' })
    expect(await world.found(ingest.id)).toEqual(ingest)
  })
})

describe('replays of all that have failed', () => {
  test('go on where the last one ended, until each was looked at once', async () => {
    await using world = await scene()
    const all: IngestId[] = []
    for (let n = 0; n < 25; n += 1) all.push((await world.failed()).id)
    const gone = await world.found(all[12] as IngestId)
    if (gone.source.kind === 'staged') await world.objects.unstage(gone.source.key)
    const seen: IngestId[] = []
    let before: IngestId | null = null
    for (const matched of [10, 10, 5]) {
      const page = await replayFailed(world, world.home, { ...PAGE, before, limit: 10 })
      expect(page.matched).toBe(matched)
      seen.push(...page.replayed.map(({ id }) => id), ...page.refused.map(({ id }) => id))
      before = page.next
    }
    expect(before).toBeNull()
    expect(seen.toSorted()).toEqual(all.toSorted())
    const again = await replayFailed(world, world.home, PAGE)
    expect(again).toEqual({ matched: 1, replayed: [], next: null, refused: [expect.objectContaining({ id: gone.id })] })
    expect((await world.database.ingests.census()).outbox).toBe(25 + 24)
    const told = world.observed.flatMap((event) => (event.kind === 'ingest.replayed' ? event.ingestIds : []))
    expect(told).toHaveLength(24)
  })

  test('change nothing in a dry run, and say what would be refused', async () => {
    await using world = await scene()
    const ingest = await world.failed()
    const gone = await world.failed()
    if (gone.source.kind === 'staged') await world.objects.unstage(gone.source.key)
    const report = { replayed: [], refused: [{ id: gone.id, code: 'ingest_bytes_gone', detail: expect.any(String) }] }
    expect(await replayFailed(world, world.home, { ...PAGE, isDryRun: true })).toEqual({ matched: 2, next: null, ...report })
    expect(await replayThese(world, world.home, [ingest.id, gone.id], true)).toMatchObject({ matched: 2, ...report })
    expect(await world.found(ingest.id)).toEqual(ingest)
  })
})
