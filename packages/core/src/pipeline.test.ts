import { afterEach, describe, expect, test } from 'vitest'
import { acceptIngest, stageUpload } from './accept-upload.ts'
import { SluiceError } from './errors.ts'
import type { ImageId, IngestId, ProductId, TenantId } from './ids.ts'
import type { Ingest, Placement, Target } from './ingest.ts'
import { PIPELINE, processIngest } from './pipeline.ts'
import type { Caller, JobOutcome } from './ports.ts'
import type { Product } from './product-image.ts'
import { reconcile } from './reconcile.ts'
import { relayOutbox } from './relay-outbox.ts'
import { replayIngest } from './replay.ts'
import { sweepStaging } from './sweep.ts'
import {
  aPlacement,
  imageBytes,
  memoryDatabase,
  memoryObjects,
  memoryQueue,
  memoryWorld,
  type MemoryWorld,
  newId,
  scriptedDecoder,
  type WorldParts,
} from './testing/index.ts'

const worlds: MemoryWorld[] = []
afterEach(async () => {
  for (const world of worlds.splice(0)) await world[Symbol.asyncDispose]()
})

/** The target lacks its product, which is that of the scene. */
type Wish = { readonly reusesFile?: boolean; readonly placement?: Partial<Placement>; readonly replaces?: ImageId }

interface Scene {
  readonly world: MemoryWorld
  readonly caller: Caller
  readonly product: Product
  /** Stages and accepts an image of this subject, as the intake does; for a new image of the product, if nothing else is said. */
  readonly accept: (subject?: string, wish?: Wish) => Promise<Ingest>
  /** Runs one job of the ingest, as a worker does; `epoch` 0 is its first. */
  readonly work: (ingest: Ingest, epoch?: number, signal?: AbortSignal) => Promise<JobOutcome>
  readonly find: (ingest: Ingest) => Promise<Ingest | null>
}

async function scene(parts: WorldParts = {}): Promise<Scene> {
  const world = memoryWorld(parts)
  worlds.push(world)
  const tenantId = (await world.database.tenants.findByName('default')) as TenantId
  const product = await world.database.products.create({ id: newId() as ProductId, tenantId, sku: 'shirt', title: null })
  const caller: Caller = { tokenId: newId() as never, tenantId, role: 'writer', name: 'test', number: 1 }
  const declaration = { contentType: null, fileName: 'photo.jpg', typeMustMatch: false }
  return {
    world,
    caller,
    product,
    async accept(subject = 'a tulip', { reusesFile = false, placement, replaces } = {}) {
      const bytes = bytesOf(imageBytes(subject))
      const from = await stageUpload(world, tenantId, bytes, { ...declaration, reusesFile }, new AbortController().signal)
      const target: Target = replaces
        ? { kind: 'replace', productId: product.id, imageId: replaces, change: { label: 'another' } }
        : { kind: 'attach', productId: product.id, placement: aPlacement(placement) }
      return acceptIngest(world, caller, { id: world.newId() as IngestId, from, target, idempotency: null, answer: null })
    },
    work: (ingest, epoch = 0, signal = new AbortController().signal) =>
      processIngest(world, { ingestId: ingest.id, epoch }, signal),
    find: (ingest) => world.database.ingests.find(tenantId, ingest.id),
  }
}

async function* bytesOf(bytes: Uint8Array): AsyncIterable<Uint8Array> {
  yield bytes
}

const staged = async ({ objects, clock }: MemoryWorld) => objects.listStaged(new Date(clock.now().getTime() + 1), 10)
const outage = () => Promise.reject(new SluiceError('service_unavailable'))

test('the order of work is read from one line', () => {
  expect(PIPELINE.map((step) => step.name)).toEqual(['fetch', 'validate', 'store', 'extract', 'name', 'commit'])
})

describe('an image that is good', () => {
  test('is committed, tells each step in its timeline, and leaves nothing staged', async () => {
    const { world, caller, product, accept, work, find } = await scene()
    const ingest = await accept()
    expect(await work(ingest)).toEqual({ kind: 'done', note: 'committed' })
    expect(await find(ingest)).toMatchObject({ state: 'committed', attempts: 1, problem: null })
    const timeline = await world.database.ingests.timeline(caller.tenantId, ingest.id)
    expect(timeline.map(({ step, outcome }) => `${step} ${outcome}`)).toEqual([
      'accept done',
      'start done',
      'fetch skipped',
      'validate done',
      'store done',
      'extract done',
      'name done',
      'commit done',
      'finish done',
    ])
    const list = await world.database.images.list(caller.tenantId, { kind: 'id', id: product.id })
    expect(list?.images).toMatchObject([{ name: 'image', label: '', file: { name: 'photo.jpg' } }])
    expect(await staged(world)).toEqual([])
  })

  test('is committed once, however often its job runs', async () => {
    const { world, caller, product, accept, work } = await scene()
    const ingest = await accept()
    await Promise.all([work(ingest), work(ingest), work(ingest)])
    expect(await work(ingest)).toMatchObject({ kind: 'done' })
    const list = await world.database.images.list(caller.tenantId, { kind: 'id', id: product.id })
    expect(list?.images).toHaveLength(1)
  })

  test('takes the place of the file of an image that is there, which keeps its name', async () => {
    const { world, caller, product, accept, work, find } = await scene()
    const first = await accept('a tulip', { placement: { name: 'front' } })
    await work(first)
    const imageId = (await find(first))?.result?.imageId as ImageId
    const second = await accept('a rose', { replaces: imageId })
    await work(second)
    const done = await find(second)
    expect(done).toMatchObject({ state: 'committed', result: { imageId } })
    const timeline = await world.database.ingests.timeline(caller.tenantId, second.id)
    expect(timeline.find(({ step }) => step === 'name')).toMatchObject({ outcome: 'skipped', detail: 'the image keeps its name' })
    const list = await world.database.images.list(caller.tenantId, { kind: 'id', id: product.id })
    expect(list?.images).toMatchObject([{ id: imageId, name: 'front', label: 'another', file: { id: done?.result?.fileId } }])
  })

  test('is told which image and which file there are in the end', async () => {
    const { accept, work, find } = await scene()
    const wish = { reusesFile: true, placement: { slot: 'picture' } }
    const [first, second] = [await accept('a tulip', wish), await accept('a tulip', wish)]
    await work(first)
    await work(second)
    expect((await find(second))?.result).toEqual((await find(first))?.result)
    expect((await find(first))?.result?.imageId).toEqual(expect.any(String))
  })

  test.for([
    ['main_image_changed', { main: true, replacesMain: { imageId: newId() as ImageId } }],
    ['images_unsupported', {}],
  ] as const)('is rejected where its product is not as it was asked for: %s', async ([code, placement]) => {
    const { world, caller, product, accept, work, find } = await scene()
    const acceptsImages = code !== 'images_unsupported'
    await world.database.products.update(caller.tenantId, { kind: 'id', id: product.id }, { acceptsImages })
    const ingest = await accept('a tulip', { placement })
    expect(await work(ingest)).toEqual({ kind: 'done', note: `rejected: ${code}` })
    expect(await find(ingest)).toMatchObject({ state: 'rejected', problem: { code } })
    expect(await staged(world)).toEqual([])
  })

  test('is not decoded and not written again when its bytes are known', async () => {
    const decoder = scriptedDecoder()
    let decodes = 0
    const counting = {
      ...decoder,
      inspect: (...args: Parameters<typeof decoder.inspect>) => ((decodes += 1), decoder.inspect(...args)),
    }
    const { accept, work, find } = await scene({ decoder: counting })
    const [first, second] = [await accept(), await accept()]
    await work(first)
    await work(second)
    expect(decodes).toBe(1)
    expect((await find(second))?.state).toBe('committed')
  })

  test('waits for its store without losing an attempt', async () => {
    const objects = memoryObjects()
    let isDown = true
    const { accept, work, find } = await scene({
      objects: { ...objects, promote: (...args) => (isDown ? outage() : objects.promote(...args)) },
    })
    const ingest = await accept()
    for (let round = 0; round < 20; round += 1) expect(await work(ingest)).toMatchObject({ kind: 'again' })
    expect(await find(ingest)).toMatchObject({ state: 'received', attempts: 0, problem: { code: 'service_unavailable' } })
    isDown = false
    await work(ingest)
    expect(await find(ingest)).toMatchObject({ state: 'committed', attempts: 1 })
  })

  test('is put back by a shutdown, at once and without losing an attempt', async () => {
    const stopping = new AbortController()
    const decoder = { ...scriptedDecoder(), inspect: async () => (stopping.abort(), Promise.reject(new Error('killed'))) }
    const { accept, work, find } = await scene({ decoder })
    const ingest = await accept()
    expect(await work(ingest, 0, stopping.signal)).toMatchObject({ kind: 'again', waitMs: 0 })
    expect(await find(ingest)).toMatchObject({ state: 'received', attempts: 0 })
  })
})

describe('an image that is at fault', () => {
  test('is rejected at once, with its reason, and never tried again', async () => {
    const decoder = scriptedDecoder({ 'a ruin': new SluiceError('image_corrupt', 'It is a ruin.') })
    const { world, accept, work, find } = await scene({ decoder })
    const ingest = await accept('a ruin')
    expect(await work(ingest)).toEqual({ kind: 'done', note: 'rejected: image_corrupt' })
    expect(await find(ingest)).toMatchObject({
      state: 'rejected',
      attempts: 1,
      problem: { code: 'image_corrupt', detail: 'It is a ruin.' },
    })
    expect(await staged(world)).toEqual([])
    expect(await work(ingest)).toMatchObject({ kind: 'done', note: expect.stringContaining('nothing to do') })
  })

  test('is given up after so many attempts when it only ever breaks things, and may be replayed', async () => {
    const decoder = { ...scriptedDecoder(), inspect: () => Promise.reject(new Error('the decoder died')) }
    const { world, caller, accept, work, find } = await scene({ decoder })
    const ingest = await accept()
    for (let attempt = 1; attempt < world.limits.attemptsMax; attempt += 1)
      expect(await work(ingest)).toMatchObject({ kind: 'again' })
    expect(await work(ingest)).toMatchObject({ kind: 'failed', note: expect.stringContaining('attempts_exhausted') })
    expect((await find(ingest))?.problem?.detail).not.toContain('decoder died')
    // Its bytes stay: a replay needs them, whatever the sweeper thinks of their age.
    world.clock.advance(world.limits.stagedMsMax + 1)
    expect(await sweepStaging(world)).toBe(0)
    expect(await replayIngest(world, caller.tenantId, ingest.id)).toMatchObject({ state: 'received', attempts: 0, epoch: 1 })
  })

  test('that kills its worker each time is given up without another try', async () => {
    const { world, accept, work, find } = await scene()
    const ingest = await accept()
    for (let death = 0; death < world.limits.attemptsMax; death += 1) await world.database.ingests.start(ingest.id, 0)
    await work(ingest)
    expect(await find(ingest)).toMatchObject({ state: 'failed', problem: { code: 'attempts_exhausted' } })
  })

  test('keeps its bytes for a replay when a run that comes too late finds it at fault', async () => {
    const database = memoryDatabase()
    const problem = { code: 'attempts_exhausted', detail: 'Given up.' } as const
    const inspect = async () => {
      await database.ingests.end(late.id, 'failed', problem, [])
      throw new SluiceError('image_corrupt')
    }
    const { world, accept, work, find } = await scene({ database, decoder: { ...scriptedDecoder(), inspect } })
    const late = await accept()
    expect(await work(late)).toMatchObject({ kind: 'done', note: expect.stringContaining('another run') })
    expect(await find(late)).toMatchObject({ state: 'failed', problem })
    expect(await staged(world)).toHaveLength(1)
    expect(world.observed.filter(({ kind }) => kind === 'ingest.ended')).toEqual([])
  })

  test('whose staged bytes were damaged is never committed', async () => {
    const objects = memoryObjects()
    const damaging: typeof objects.checkOut = async (...args) => {
      const copy = await objects.checkOut(...args)
      return copy && { ...copy, digest: 'f'.repeat(64) as never, [Symbol.asyncDispose]: () => copy[Symbol.asyncDispose]() }
    }
    const { world, accept, work, find } = await scene({ objects: { ...objects, checkOut: damaging } })
    const ingest = await accept()
    for (let attempt = 0; attempt < world.limits.attemptsMax; attempt += 1) await work(ingest)
    expect(await find(ingest)).toMatchObject({ state: 'failed' })
  })
})

describe('what was promised', () => {
  test('reaches the queue though the relay dies between adding and removing', async () => {
    const database = memoryDatabase()
    let deaths = 1
    const remove: typeof database.outbox.remove = (ids) => (deaths-- > 0 ? outage() : database.outbox.remove(ids))
    const { world, accept } = await scene({ database: { ...database, outbox: { ...database.outbox, remove } } })
    await accept()
    await expect(relayOutbox(world)).rejects.toMatchObject({ code: 'service_unavailable' })
    expect(await world.queue.counts()).toMatchObject({ waiting: 1 })
    expect((await world.database.ingests.census()).outbox).toBe(1)
  })

  test('stays in the outbox while the queue is away', async () => {
    const { world, accept } = await scene({ queue: { ...memoryQueue(), add: outage } })
    await accept()
    await expect(relayOutbox(world)).rejects.toMatchObject({ code: 'service_unavailable' })
    expect((await world.database.ingests.census()).outbox).toBe(1)
  })

  test('is queued again when the queue has lost it', async () => {
    const { world, accept, work, find } = await scene()
    const ingest = await accept()
    expect(await relayOutbox(world)).toBe(1)
    expect(await reconcile(world)).toBe(0)
    world.clock.advance(world.limits.reconcileAfterMs + 1)
    expect(await reconcile(world)).toBe(1)
    expect(await relayOutbox(world)).toBe(1)
    expect(await world.queue.counts()).toMatchObject({ waiting: 1 })
    await work(ingest, 0)
    expect((await find(ingest))?.state).toBe('committed')
  })

  test('is found when the answer to the promise itself was lost', async () => {
    const database = memoryDatabase()
    const accept: typeof database.ingests.accept = async (entry) => {
      await database.ingests.accept(entry)
      return outage()
    }
    const { accept: take, world } = await scene({ database: { ...database, ingests: { ...database.ingests, accept } } })
    expect((await take()).state).toBe('received')
    expect(await staged(world)).toHaveLength(1)
  })

  test('is never swept; what nobody promised is', async () => {
    const { world, caller, accept } = await scene()
    await accept()
    await world.objects.stage(`${caller.tenantId}/forgotten`, bytesOf(imageBytes('x')), new AbortController().signal)
    expect(await sweepStaging(world)).toBe(0)
    world.clock.advance(world.limits.stagedMsMax + 1)
    expect(await sweepStaging(world)).toBe(1)
    expect(await staged(world)).toHaveLength(1)
  })
})
