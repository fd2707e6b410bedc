import { randomUUID } from 'node:crypto'
import type { Database, Digest, FileId, ImageId, IngestId, ProductId, TenantId, TokenId } from '@sluice/core'
import { AT_THE_END, SluiceError } from '@sluice/core'
import { migrate, openDatabase } from '@sluice/database'
import { type EmbeddedPostgres, openEmbeddedPostgres } from '@sluice/runtime/embedded-postgres'
import postgres from 'postgres'
import { afterAll, beforeAll, expect, test, vi } from 'vitest'
import { openTestDirectory } from '../servers/directory.ts'

const RESTARTS = 5
const LANES = 8

const stack = new AsyncDisposableStack()
let directory: string
let server: EmbeddedPostgres
beforeAll(async () => {
  directory = stack.use(await openTestDirectory('restart')).path
  server = await openEmbeddedPostgres({ dataDir: directory })
  stack.defer(() => server[Symbol.asyncDispose]())
  await migrate(server.url)
})
afterAll(() => stack.disposeAsync())

/** As `pg_ctl stop -m immediate`: no goodbye to anybody, and recovery at the next start. */
async function restart(): Promise<void> {
  const port = Number(new URL(server.url).port)
  process.kill(server.pid, 'SIGQUIT')
  await server.exited
  await server[Symbol.asyncDispose]()
  server = await openEmbeddedPostgres({ dataDir: directory, port })
}

/** Acts again and again until it is told to stop; every act must settle. */
function keepDoing(act: () => Promise<void>) {
  const stopping = new AbortController()
  let succeeded = 0
  const failures: unknown[] = []
  const lane = async () => {
    while (!stopping.signal.aborted)
      await act().then(
        () => succeeded++,
        (error: unknown) => failures.push(error),
      )
  }
  const lanes = Array.from({ length: LANES }, lane)
  return {
    succeeded: () => succeeded,
    async stop() {
      stopping.abort()
      await Promise.all(lanes)
      return failures
    },
  }
}

/** Restarts the server, each time when work goes on again after the last one. */
async function restartUnder(work: ReturnType<typeof keepDoing>): Promise<void> {
  for (let i = 0; i < RESTARTS; i++) {
    const before = work.succeeded()
    await vi.waitFor(() => expect(work.succeeded()).toBeGreaterThan(before + LANES), { timeout: 20_000 })
    await restart()
  }
}

// Without the patch in `patches/` this ends the process: porsager/postgres#1208.
test('a server that restarts at once leaves the driver alive, and every query settles', async () => {
  await using drivers = new AsyncDisposableStack()
  // A connection that is lost while the driver fetches types is an unhandled rejection: `openDatabase` does not fetch them either.
  const client = postgres(server.url, { max: LANES, fetch_types: false, backoff: () => 0.05, onnotice: () => undefined })
  const sql = drivers.adopt(client, (client) => client.end({ timeout: 1 }))
  const work = keepDoing(async () => {
    await sql.begin(async (tx) => {
      await tx`select ${1}::int`
      await tx`select ${'two'}::text`
    })
  })
  await restartUnder(work)
  await work.stop()
  const rows = await vi.waitFor(() => sql`select 1 as one`, { timeout: 10_000 })
  expect(rows).toEqual([{ one: 1 }])
})

test('commits that were answered are there once after the server restarted at once, and the next query works', async () => {
  await using database = await openDatabase({ url: server.url, poolMax: LANES, applicationName: 'test' })
  const tenantId = (await database.tenants.findByName('default')) as TenantId
  const product = await database.products.create({ id: randomUUID() as ProductId, tenantId, sku: 'restarted', title: null })
  const answered: ImageId[] = []
  const work = keepDoing(async () => {
    answered.push(await attach(database, tenantId, product.id))
  })
  await restartUnder(work)
  const failures = await work.stop()

  expect(failures.filter((error) => !SluiceError.is(error, 'service_unavailable'))).toEqual([])
  await vi.waitFor(() => database.ping(), { timeout: 10_000 })
  const list = await database.images.list(tenantId, { kind: 'id', id: product.id })
  const ids = list?.images.map((image) => image.id) ?? []
  expect(answered.filter((id) => !ids.includes(id))).toEqual([])
  expect(list?.images.map((image) => image.position)).toEqual(ids.map((_, index) => index + 1))
  expect(new Set(list?.images.map((image) => image.name)).size).toBe(ids.length)
})

async function attach(database: Database, tenantId: TenantId, productId: ProductId): Promise<ImageId> {
  const digest = (randomUUID() + randomUUID()).replaceAll('-', '') as Digest
  const target = { kind: 'attach', productId, placement: AT_THE_END } as const
  const source = {
    kind: 'staged',
    key: digest,
    digest,
    bytes: 1,
    declaredType: null,
    typeMustMatch: false,
    fileName: null,
    reusesFile: false,
  } as const
  const tokenId = randomUUID() as TokenId
  const ingest = await database.ingests.accept({
    id: randomUUID() as IngestId,
    tenantId,
    tokenId,
    source,
    target,
    idempotency: null,
    answer: null,
  })
  const id = randomUUID() as ImageId
  const facts = { ...FACTS, digest }
  await database.ingests.commit(
    {
      ingestId: ingest.id,
      attempt: 1,
      since: ingest.updatedAt,
      file: { kind: 'new', id: randomUUID() as FileId, name: null, facts, reuses: false },
      image: { kind: 'attach', id, stem: 'image', placement: AT_THE_END },
      timeline: [],
    },
    { imagesPerProductMax: 100_000 },
  )
  return id
}

const FACTS = {
  mediaType: 'image/png',
  bytes: 1,
  width: 1,
  height: 1,
  orientation: 1,
  mode: 'L',
  alpha: false,
  frames: 1,
  density: null,
  iccName: null,
  exif: null,
  dominantColour: '#000000',
  thumbhash: '',
  thumbnail: { width: 1, height: 1, bytes: 1 },
  warnings: [],
} as const
