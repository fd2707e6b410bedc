import { afterEach, describe, expect, test } from 'vitest'
import { acceptIngest, urlOrigin } from '../accept-upload.ts'
import { SluiceError } from '../errors.ts'
import { openFetchSlots } from '../fetch-slots.ts'
import type { IngestId, ProductId, TenantId } from '../ids.ts'
import type { Ingest } from '../ingest.ts'
import { DEFAULT_LIMITS } from '../limits.ts'
import { processIngest } from '../pipeline.ts'
import type { Fetched, Fetcher, JobOutcome } from '../ports.ts'
import {
  aPlacement,
  imageBytes,
  manualClock,
  memoryObjects,
  memoryWorld,
  type MemoryWorld,
  newId,
  scriptedDecoder,
  type WorldParts,
} from '../testing/index.ts'
import type { Validators } from '../url-source.ts'

const URL = 'https://images.example/front.jpg?signature=secret'

const worlds: MemoryWorld[] = []
afterEach(async () => {
  for (const world of worlds.splice(0)) await world[Symbol.asyncDispose]()
})

/** The server out there, as a fetcher sees it: what it answers next, and what it was asked. */
interface Outside extends Fetcher {
  answer: () => Uint8Array
  etag: string | null
  readonly asked: (Validators | null)[]
}

function outside(): Outside {
  const asked: (Validators | null)[] = []
  const get = (condition: Validators | null): Fetched | null => {
    asked.push(condition)
    if (condition && condition.etag === server.etag) return null
    const content = server.answer()
    return {
      contentType: 'image/jpeg',
      fileName: 'front.jpg',
      validators: { etag: server.etag, lastModified: null },
      bytes: (async function* () {
        yield content
      })(),
    }
  }
  const server: Outside = {
    answer: () => imageBytes('a tulip'),
    etag: '"1"',
    asked,
    check: (url) => url,
    fetch: async () => get(null) as Fetched,
    fetchChanged: async (_url, known) => get(known),
    post: async () => ({ status: 204, retryAfter: null, body: '' }),
  }
  return server
}

interface Scene {
  readonly world: MemoryWorld
  readonly server: Outside
  readonly accept: (url?: string, fileName?: string) => Promise<Ingest>
  readonly work: (ingest: Ingest) => Promise<JobOutcome>
  readonly find: (ingest: Ingest) => Promise<Ingest | null>
  readonly steps: (ingest: Ingest) => Promise<string[]>
}

async function scene(parts: WorldParts = {}): Promise<Scene> {
  const server = outside()
  const world = memoryWorld({ fetcher: server, ...parts })
  worlds.push(world)
  const { database } = world
  const tenantId = (await database.tenants.findByName('default')) as TenantId
  const product = await database.products.create({ id: newId() as ProductId, tenantId, sku: 'shirt', title: null })
  const caller = { tokenId: newId() as never, tenantId }
  return {
    world,
    server,
    accept(url = URL, fileName) {
      const from = urlOrigin(world, url, fileName ?? null)
      const target = { kind: 'attach', productId: product.id, placement: aPlacement() } as const
      return acceptIngest(world, caller, { id: newId() as IngestId, from, target, idempotency: null, answer: null })
    },
    work: ({ id }) => processIngest(world, { ingestId: id, epoch: 0 }, new AbortController().signal),
    find: ({ id }) => database.ingests.find(tenantId, id),
    async steps({ id }) {
      const timeline = await database.ingests.timeline(tenantId, id)
      return timeline.map(({ step, outcome }) => `${step} ${outcome}`)
    },
  }
}

const staged = ({ objects, clock }: MemoryWorld) => objects.listStaged(new Date(clock.now().getTime() + 1), 10)
const failing =
  (code: 'url_unreachable' | 'source_unavailable', details = {}) =>
  () => {
    throw new SluiceError(code, `It is ${code}.`, { details })
  }

describe('an image at an address', () => {
  test('is fetched, committed under the name that its server gives, and leaves nothing staged', async () => {
    const { world, accept, work, find, steps } = await scene()
    const ingest = await accept()
    expect(await work(ingest)).toEqual({ kind: 'done', note: 'committed' })
    const found = await find(ingest)
    expect(found).toMatchObject({ state: 'committed', source: { kind: 'url', url: URL, fileName: 'front.jpg' } })
    const file = await world.database.files.find(ingest.tenantId, found?.result?.fileId as never)
    expect(file).toMatchObject({ name: 'front.jpg' })
    expect((await steps(ingest)).slice(0, 4)).toEqual(['accept done', 'start done', 'fetch done', 'validate done'])
    expect(await staged(world)).toEqual([])
  })

  test('keeps the name that was given', async () => {
    const { world, accept, work, find } = await scene()
    const ingest = await accept(URL, 'shirt.jpg')
    await work(ingest)
    const file = await world.database.files.find(ingest.tenantId, (await find(ingest))?.result?.fileId as never)
    expect(file?.name).toBe('shirt.jpg')
  })

  test('is not fetched again while it is the same, and is when it has changed', async () => {
    const { server, accept, work, find, steps, world } = await scene()
    const [first, second, third] = [await accept(), await accept(), await accept()]
    await work(first)
    server.answer = () => expect.unreachable('it was fetched')
    await work(second)
    expect(server.asked).toEqual([null, expect.objectContaining({ etag: '"1"' })])
    expect(await find(second)).toMatchObject({ state: 'committed' })
    expect((await steps(second)).slice(2, 5)).toEqual(['fetch skipped', 'validate skipped', 'store skipped'])
    const fileIds = [(await find(first))?.result?.fileId, (await find(second))?.result?.fileId]
    const names = await Promise.all(fileIds.map((id) => world.database.files.find(first.tenantId, id as never)))
    expect(names.map((file) => file?.name)).toEqual(['front.jpg', 'front.jpg'])

    server.etag = '"2"'
    server.answer = () => imageBytes('a rose')
    await work(third)
    expect((await steps(third)).slice(2, 5)).toEqual(['fetch done', 'validate done', 'store done'])
  })

  test('is fetched without a condition when what it showed is not there any more', async () => {
    const objects = memoryObjects()
    let isGone = false
    const statBlob: typeof objects.statBlob = async (key) => (isGone ? null : objects.statBlob(key))
    const { server, accept, work, find } = await scene({ objects: { ...objects, statBlob } })
    await work(await accept())
    isGone = true
    const second = await accept()
    await work(second)
    expect(server.asked).toEqual([null, null])
    expect((await find(second))?.state).toBe('committed')
  })

  test('that never said how to recognise it is fetched each time', async () => {
    const { server, accept, work } = await scene()
    server.etag = null
    await work(await accept())
    await work(await accept())
    expect(server.asked).toEqual([null, null])
  })

  test('is fetched once, though its store is away for long', async () => {
    const objects = memoryObjects()
    let isDown = true
    const promote: typeof objects.promote = (...args) =>
      isDown ? Promise.reject(new SluiceError('service_unavailable')) : objects.promote(...args)
    const { world, server, accept, work, find } = await scene({ objects: { ...objects, promote } })
    const ingest = await accept()
    for (let round = 0; round < 5; round += 1) expect(await work(ingest)).toMatchObject({ kind: 'again' })
    isDown = false
    await work(ingest)
    expect(await find(ingest)).toMatchObject({ state: 'committed', attempts: 1 })
    expect(server.asked).toHaveLength(1)
    expect(await staged(world)).toEqual([])
  })

  test('is fetched anew when what an earlier run has staged was lost', async () => {
    const decoder = scriptedDecoder()
    let deaths = 1
    const inspect: typeof decoder.inspect = (...args) =>
      deaths-- > 0 ? Promise.reject(new Error('killed')) : decoder.inspect(...args)
    const { world, server, accept, work, find } = await scene({ decoder: { ...decoder, inspect } })
    const ingest = await accept()
    await work(ingest)
    for (const key of await staged(world)) await world.objects.unstage(key)
    await work(ingest)
    expect((await find(ingest))?.state).toBe('committed')
    expect(server.asked).toHaveLength(2)
  })
})

describe('an address that is at fault', () => {
  test.for([
    ['it is not there', failing('url_unreachable'), 'url_unreachable'],
    ['it is no image', () => Buffer.from('<!doctype html><title>Not found</title>'), 'media_type_unsupported'],
    ['it is empty', () => new Uint8Array(0), 'file_empty'],
    ['it is too large', () => new Uint8Array(DEFAULT_LIMITS.fileBytesMax + 1), 'file_too_large'],
  ] as const)('ends the ingest at once: %s', async ([, answer, code]) => {
    const { world, server, accept, work, find } = await scene()
    server.answer = answer
    const ingest = await accept()
    expect(await work(ingest)).toEqual({ kind: 'done', note: `rejected: ${code}` })
    expect(await find(ingest)).toMatchObject({ state: 'rejected', attempts: 1, problem: { code } })
    expect(await staged(world)).toEqual([])
  })
})

describe('a server that is away', () => {
  test('is tried again, each time later, and given up with the last reason after so many attempts', async () => {
    const { world, server, accept, work, find } = await scene()
    server.answer = failing('source_unavailable')
    const ingest = await accept()
    const waits: number[] = []
    for (let attempt = 1; attempt < world.limits.attemptsMax; attempt += 1) {
      const outcome = await work(ingest)
      waits.push(outcome.kind === 'again' ? outcome.waitMs : 0)
      expect(await find(ingest)).toMatchObject({ state: 'received', attempts: attempt, problem: { code: 'source_unavailable' } })
    }
    expect(waits).toEqual(waits.toSorted((a, b) => a - b))
    expect(waits.at(-1)).toBeGreaterThan(4 * (waits[0] ?? 0))
    expect(waits.at(-1)).toBeLessThanOrEqual(world.limits.sourceRetryMsMax)
    await work(ingest)
    expect(await find(ingest)).toMatchObject({
      state: 'failed',
      problem: { code: 'attempts_exhausted', detail: expect.stringContaining('It is source_unavailable.') },
    })
  })

  test('is left alone for as long as it asks, up to a bound, by all of the tenant, without an attempt', async () => {
    const { world, server, accept, work, find, steps } = await scene()
    server.answer = failing('source_unavailable', { retryAfterMs: 60_000 })
    const [first, second] = [await accept(), await accept('https://images.example/back.jpg')]
    expect(await work(first)).toMatchObject({ kind: 'again', waitMs: 60_000 })
    const sent = await work(second)
    expect(sent).toMatchObject({ kind: 'again' })
    expect(sent.kind === 'again' ? sent.waitMs : 0).toBeGreaterThan(60_000)
    expect(await find(second)).toMatchObject({ state: 'received', attempts: 0, problem: null })
    expect(await steps(second)).toEqual(['accept done'])
    expect(server.asked).toHaveLength(1)

    world.clock.advance(60_001)
    server.answer = failing('source_unavailable', { retryAfterMs: 1e12 })
    expect(await work(second)).toMatchObject({ waitMs: world.limits.sourceRetryMsMax })
  })

  test('keeps nothing staged of what broke off', async () => {
    const { world, server, accept, work, find } = await scene()
    server.fetch = async () => ({
      contentType: null,
      fileName: null,
      validators: { etag: null, lastModified: null },
      bytes: (async function* () {
        yield imageBytes('half a tul')
        throw new SluiceError('source_unavailable')
      })(),
    })
    const ingest = await accept()
    expect(await work(ingest)).toMatchObject({ kind: 'again' })
    expect(await find(ingest)).toMatchObject({ fetched: null, problem: { code: 'source_unavailable' } })
    expect(await staged(world)).toEqual([])
  })
})

describe('many addresses', () => {
  test('are not fetched while there is no room for what comes from them', async () => {
    let hasRoom = false
    const clock = manualClock()
    const fetchSlots = openFetchSlots({ limits: DEFAULT_LIMITS, max: 4, hasRoom: async () => hasRoom, now: clock.now })
    const { server, accept, work, find } = await scene({ clock, fetchSlots })
    const ingest = await accept()
    expect(await work(ingest)).toMatchObject({ kind: 'again', waitMs: DEFAULT_LIMITS.outageWaitMs })
    expect([server.asked, (await find(ingest))?.attempts]).toEqual([[], 0])
    hasRoom = true
    await work(ingest)
    expect(await find(ingest)).toMatchObject({ state: 'committed', attempts: 1 })
  })

  test('of one host are never fetched by more than may at a time, and all are in the end', async () => {
    const clock = manualClock()
    const limits = { ...DEFAULT_LIMITS, fetchPerHostMax: 3 }
    const { server, accept, work, find, steps } = await scene({
      clock,
      limits,
      fetchSlots: openFetchSlots({ limits, max: 100, hasRoom: async () => true, now: clock.now }),
    })
    let [running, most] = [0, 0]
    const open = server.fetch.bind(server)
    server.fetch = async (...args) => {
      most = Math.max(most, ++running)
      await new Promise((resolve) => setImmediate(resolve))
      running -= 1
      return open(...args)
    }
    const ingests = await Promise.all(Array.from({ length: 20 }, (_, index) => accept(`https://images.example/${index}.jpg`)))
    let waiting: readonly Ingest[] = ingests
    for (let round = 0; waiting.length > 0 && round < 50; round += 1) {
      const outcomes = await Promise.all(waiting.map(work))
      waiting = waiting.filter((_, index) => outcomes[index]?.kind === 'again')
      clock.advance(1_000)
    }
    expect(most).toBe(3)
    for (const ingest of ingests) {
      expect(await find(ingest)).toMatchObject({ state: 'committed', attempts: 1 })
      expect((await steps(ingest)).filter((line) => line === 'start done')).toHaveLength(1)
    }
  })
})
