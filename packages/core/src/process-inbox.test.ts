import { describe, expect, it } from 'vitest'
import { SluiceError } from './errors.ts'
import type { HookMapping } from './hook-mapping.ts'
import type { HookEventId, HookSourceId, IngestId, ProductId, TenantId, TokenId } from './ids.ts'
import type { Hooks } from './hook.ts'
import { previewEvent, processInbox } from './process-inbox.ts'
import { memoryWorld, newId, type WorldParts } from './testing/index.ts'
import { bucketKeyOf } from './upload.ts'

const MAPPING: HookMapping = { each: '/images', product: { sku: { event: '/sku' } }, source: { file_id: '/file' } }
const FILE = 'ffffffff-0000-7000-8000-000000000000'

async function openSource(parts: WorldParts = {}, mapping = MAPPING) {
  const world = memoryWorld(parts)
  const tenantId = (await world.database.tenants.findByName('default')) as TenantId
  const id = newId() as HookSourceId
  const verifier = { kind: 'shopify' } as const
  const source = { id, tenantId, tokenId: newId() as TokenId, name: '', verifier, secrets: [], mapping, enabled: true }
  await world.database.hooks.createSource(source, 10)
  await world.database.products.create({ id: newId() as ProductId, tenantId, sku: 'shirt', title: null })
  // Whether a file is there is asked before; what its ingest makes of it is not this test's business.
  const files = { ...world.database.files, find: async () => ({}) as never }
  const own = { ...world, database: { ...world.database, files } }

  async function receive(document: unknown): Promise<HookEventId> {
    const eventId = newId() as HookEventId
    const body = Buffer.from(JSON.stringify(document))
    await world.database.hooks.receive({ id: eventId, tenantId, sourceId: id, key: eventId, saidId: null, headers: {}, body })
    return eventId
  }
  const eventOf = (eventId: HookEventId) => world.database.hooks.findEvent(tenantId, id, eventId)
  const ingests = async () =>
    (await world.database.ingests.list(tenantId, {}, { before: null, limit: 100 })).map((each) => each.id)
  return { world: own, source, receive, eventOf, ingests }
}

const twoImages = { sku: 'shirt', images: [{ file: FILE }, { file: FILE }] }

describe('processInbox', () => {
  it('makes an ingest of each item, in the name of who defined the source', async () => {
    const { world, receive, eventOf, ingests } = await openSource()
    const id = await receive(twoImages)
    expect(await processInbox(world)).toBe(1)
    const event = await eventOf(id)
    expect(event?.state).toBe('processed')
    const made = event?.results.map((result) => (result.outcome === 'ingested' ? result.ingestId : null))
    expect(made?.toSorted()).toEqual((await ingests()).toSorted())
    expect(made).toHaveLength(2)
    expect(await processInbox(world)).toBe(0)
    expect(world.observed).toContainEqual({ kind: 'hook.ended', eventId: id, state: 'processed', ingests: 2 })
  })

  it.for(['holdItem', 'accept', 'finish'] as const)(
    'that died after %s brings nothing twice and loses nothing',
    async (point) => {
      const { world, receive, eventOf, ingests } = await openSource()
      const id = await receive(twoImages)
      const { hooks, ingests: ported } = world.database
      const die = async <T>(done: Promise<T>): Promise<never> => {
        await done
        throw new SluiceError('service_unavailable')
      }
      const dying = {
        hooks: {
          ...hooks,
          ...(point === 'holdItem' && { holdItem: (...given: Parameters<Hooks['holdItem']>) => die(hooks.holdItem(...given)) }),
          ...(point === 'finish' && { finish: (...given: Parameters<Hooks['finish']>) => die(hooks.finish(...given)) }),
        },
        ingests: {
          ...ported,
          ...(point === 'accept' && { accept: (given: Parameters<typeof ported.accept>[0]) => die(ported.accept(given)) }),
        },
      }
      await processInbox({ ...world, database: { ...world.database, ...dying } })
      world.clock.advance(world.limits.inboxLeaseMs + world.limits.outageWaitMs)
      await processInbox(world)
      expect((await eventOf(id))?.state).toBe('processed')
      expect(await ingests()).toHaveLength(2)
    },
  )

  it('quarantines at once what is nested so deep that reading it would run out of stack', async () => {
    const { world, source, eventOf } = await openSource()
    const id = newId() as HookEventId
    const body = Buffer.from(`{"a":${'['.repeat(200_000)}${']'.repeat(200_000)}}`)
    const { tenantId, id: sourceId } = source
    await world.database.hooks.receive({ id, tenantId, sourceId, key: id, saidId: null, headers: {}, body })
    await processInbox(world)
    expect(await eventOf(id)).toMatchObject({ state: 'quarantined', attempts: 1, problem: { code: 'json_invalid' } })
    const detail = expect.stringContaining('nested deeper')
    expect(await previewEvent(world, source, { headers: {}, body })).toMatchObject({ kind: 'faulty', problem: { detail } })
  })

  it('waits for an outage without counting it, and gives up what fails for no known reason', async () => {
    const { world, receive, eventOf } = await openSource()
    const failing = (error: Error) => {
      const find = async () => {
        throw error
      }
      return { ...world, database: { ...world.database, products: { ...world.database.products, find } } }
    }
    const id = await receive(twoImages)
    const times = world.limits.inboxAttemptsMax + 2
    for (let n = 0; n < times; n += 1) {
      await processInbox(failing(new SluiceError('service_unavailable')))
      world.clock.advance(world.limits.outageWaitMs)
    }
    expect(await eventOf(id)).toMatchObject({ state: 'received', attempts: 0 })
    for (let n = 0; n < times; n += 1) {
      await processInbox(failing(new Error('what is this')))
      world.clock.advance(world.limits.retryMsMax)
    }
    expect(await eventOf(id)).toMatchObject({ state: 'quarantined', problem: { code: 'attempts_exhausted' } })
  })

  it('ends as the newest version says, in whatever order the events come', async () => {
    const mapping = { ...MAPPING, key: '/id', order_by: { event: '/v' }, image: { slot: '/id' } }
    for (const order of [
      [1, 2, 3],
      [3, 2, 1],
      [2, 3, 1],
      [1, 3, 2, 3, 1],
    ]) {
      const { world, source, receive } = await openSource({}, mapping)
      for (const v of order) {
        await receive({ sku: 'shirt', v, images: [{ id: 'front', file: FILE.replace(/.$/, String(v)) }] })
        await processInbox(world)
      }
      const [newest] = await world.database.ingests.list(source.tenantId, {}, { before: null, limit: 1 })
      expect(newest?.source).toEqual({ kind: 'file', fileId: FILE.replace(/.$/, '3') })
    }
  })

  it('parks an image whose product is not there yet, in the lane of imports', async () => {
    const { world, source, receive, eventOf, ingests } = await openSource({}, { ...MAPPING, park_seconds: 60 })
    const id = await receive({ sku: 'new', images: [{ file: FILE }] })
    await processInbox(world)
    expect((await eventOf(id))?.state).toBe('processed')
    const [parked] = await ingests()
    const find = () => world.database.ingests.find(source.tenantId, parked as IngestId)
    expect(await find()).toMatchObject({ state: 'parked', lane: 'import', parking: { sku: 'new' } })
    await world.database.products.create({ id: newId() as ProductId, tenantId: source.tenantId, sku: 'new', title: null })
    expect(await find()).toMatchObject({ state: 'received', target: { kind: 'attach' } })
  })

  it('takes an event of the bucket for a hint: an upload is complete when its bytes are there, and all else is passed over', async () => {
    const mapping = { each: '/Records', completes_upload: { at: '/s3/object/key', decode: 'form' as const } }
    const { world, source, receive, eventOf, ingests } = await openSource({}, mapping)
    const { tenantId, tokenId } = source
    const id = newId() as IngestId
    const bucketKey = bucketKeyOf(tenantId, id)
    const upload = { id, tenantId, tokenId, bytes: 4, declaredType: null, fileName: null, sha256: null, target: null, bucketKey }
    await world.database.uploads.reserve({ ...upload, metadata: null, ttlMs: 60_000 }, world.limits)
    const tell = async (...keys: string[]) => {
      const eventId = await receive({ Records: keys.map((key) => ({ s3: { object: { key: encodeURIComponent(key) } } })) })
      await processInbox(world)
      const event = await eventOf(eventId)
      return [event?.state, ...(event?.results ?? []).map(({ outcome }) => outcome)]
    }
    expect(await tell(bucketKey, 'photos/other.jpg', bucketKeyOf(tenantId, newId() as IngestId))).toEqual([
      'processed',
      'ignored',
      'ignored',
      'ignored',
    ])
    expect(await ingests()).toEqual([])
    await world.objects.stage(bucketKey, bytesOf('abcd'), AbortSignal.timeout(1_000))
    expect(await tell(bucketKey, bucketKey)).toEqual(['processed', 'completed', 'completed'])
    expect(await tell(bucketKey)).toEqual(['processed', 'completed'])
    expect(await ingests()).toEqual([id])
  })

  it("passes over an event that tells of another tenant's upload, even if all of its bytes are there", async () => {
    const mapping = { each: '/Records', completes_upload: '/key' }
    const { world, source, receive, eventOf } = await openSource({}, mapping)
    const tenantId = await world.database.newTenant()
    const id = newId() as IngestId
    const bucketKey = bucketKeyOf(tenantId, id)
    const upload = { id, tenantId, tokenId: source.tokenId, bytes: 4, declaredType: null, fileName: null, sha256: null }
    const more = { target: null, bucketKey, metadata: null, ttlMs: 60_000 }
    await world.database.uploads.reserve({ ...upload, ...more }, world.limits)
    await world.objects.stage(bucketKey, bytesOf('abcd'), AbortSignal.timeout(1_000))
    const keys = [bucketKey, bucketKey.toUpperCase().replace('UPLOADS', 'uploads'), bucketKeyOf(source.tenantId, id)]
    const eventId = await receive({ Records: keys.map((key) => ({ key })) })
    await processInbox(world)
    const outcomes = (await eventOf(eventId))?.results.map(({ outcome }) => outcome)
    expect(outcomes).toEqual(['ignored', 'ignored', 'ignored'])
    expect((await world.database.uploads.find(tenantId, id))?.state).toBe('open')
  })

  it('brings an item again when its ingest has failed, and another event tells of it', async () => {
    const { world, receive, ingests } = await openSource({}, { ...MAPPING, key: '/file' })
    const event = { sku: 'shirt', images: [{ file: FILE }] }
    await receive(event)
    await receive(event)
    await processInbox(world)
    const [first] = await ingests()
    expect(await ingests()).toEqual([first])
    await world.database.ingests.end(first as IngestId, 'rejected', { code: 'image_corrupt', detail: '' }, [])
    await receive(event)
    await processInbox(world)
    expect(await ingests()).toHaveLength(2)
  })

  it('tells numbers apart that JavaScript does not', async () => {
    const { world, source, eventOf, ingests } = await openSource({}, { ...MAPPING, key: '/id' })
    expect(Number('788032119674292922')).toBe(Number('788032119674292923'))
    for (const id of ['788032119674292922', '788032119674292923', '788032119674292922', '0.5', '1e3']) {
      const eventId = newId() as HookEventId
      const body = Buffer.from(`{"sku":"shirt","images":[{"id":${id},"file":"${FILE}"}]}`)
      const said = { saidId: null, headers: {}, body }
      await world.database.hooks.receive({ id: eventId, tenantId: source.tenantId, sourceId: source.id, key: eventId, ...said })
      await processInbox(world)
      expect((await eventOf(eventId))?.state).toBe('processed')
    }
    expect(await ingests()).toHaveLength(4)
  })

  it('does not begin what it could not end in its time', async () => {
    const { world, receive, eventOf } = await openSource()
    const ids = [await receive(twoImages), await receive(twoImages)]
    const { products } = world.database
    const slow = {
      ...products,
      find: (...given: Parameters<typeof products.find>) => {
        world.clock.advance(world.limits.inboxLeaseMs / 2)
        return products.find(...given)
      },
    }
    await processInbox({ ...world, database: { ...world.database, products: slow } })
    expect(await Promise.all(ids.map(async (id) => (await eventOf(id))?.state))).toEqual(['processed', 'received'])
    await processInbox(world)
    expect(await Promise.all(ids.map(async (id) => (await eventOf(id))?.attempts))).toEqual([1, 1])
  })
})

async function* bytesOf(text: string): AsyncIterable<Uint8Array> {
  yield Buffer.from(text)
}
