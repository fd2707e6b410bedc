import { sql } from './drizzle.ts'
import { afterAll, beforeAll, beforeEach, describe, expect, inject, it, vi } from 'vitest'
import { openDatabase } from './open-database.ts'
import { openPool } from './pool.ts'
import { AT_THE_END, type Catalogue, factsOf, LIMITS, openCatalogue, range } from './test-catalogue.ts'
import { openTestProxy, type TestProxy } from './test-proxy.ts'
import { runnerOn } from './transaction.ts'

const OUTAGE = { code: 'service_unavailable' }

let catalogue: Catalogue
let proxy: TestProxy
beforeAll(async () => {
  catalogue = await openCatalogue(inject('postgresUrl'), { poolMax: 4 })
  proxy = await openTestProxy(catalogue.url)
})
beforeEach(() => proxy.heal())
afterAll(async () => {
  await proxy[Symbol.asyncDispose]()
  await catalogue[Symbol.asyncDispose]()
})

const openThroughProxy = (deadlineMs: number, poolMax = 2) =>
  openDatabase({ url: proxy.url, poolMax, applicationName: 'test', deadlineMs })

describe('a connection on which nothing arrives', () => {
  it('is an outage after the deadline, and the next query works', async () => {
    await using database = await openThroughProxy(300)
    await database.ping()
    proxy.silence()
    const pings = await Promise.allSettled(range(6).map(() => database.ping()))
    expect(pings.map((ping) => ping.status === 'rejected' && ping.reason.code)).toEqual(range(6).map(() => OUTAGE.code))
    proxy.heal()
    await database.ping()
  })
})

describe('a connection that is cut', () => {
  it('rejects what was under way, and the next query works', async () => {
    await using pool = openPool({ url: proxy.url, poolMax: 2, applicationName: 'test' })
    const { query } = runnerOn(pool)
    await query((db) => db.execute(sql`select 1`))
    const slow = query((db) => db.execute(sql`select pg_sleep(30)`))
    const settled = Promise.allSettled([slow])
    await vi.waitFor(async () => {
      const [row] = await catalogue.sql`select count(*)::int as n from pg_stat_activity where query like 'select pg_sleep%'`
      expect(row?.['n']).toBe(1)
    })
    proxy.cut()
    expect(await settled).toMatchObject([{ status: 'rejected', reason: OUTAGE }])
    await query((db) => db.execute(sql`select 1`))
  })

  it('never lets the rest of a transaction run outside of it', async () => {
    await using pool = openPool({ url: proxy.url, poolMax: 1, applicationName: 'test' })
    await catalogue.sql`create table steps (n int)`
    const broken = runnerOn(pool).transaction(async (db) => {
      await db.execute(sql`insert into steps values (1)`)
      proxy.cut()
      // Time enough for the driver to open another socket, if it were let: then these would succeed.
      await vi.waitFor(() => db.execute(sql`select 1`), { timeout: 800 }).catch(() => undefined)
      await db.execute(sql`insert into steps values (2)`)
    })
    await expect(broken).rejects.toMatchObject(OUTAGE)
    expect(await catalogue.sql`select n from steps`).toEqual([])
  })
})

describe('a commit whose answer was lost', () => {
  it('is an outage to its caller, and repeating it changes nothing', async () => {
    await using database = await openThroughProxy(2_000)
    const product = await catalogue.newProduct()
    const ingest = await catalogue.accept(product)
    const commit = {
      ingestId: ingest.id,
      attempt: 1,
      since: ingest.updatedAt,
      file: { kind: 'new', id: crypto.randomUUID() as never, name: null, facts: factsOf(ingest), reuses: false },
      image: { kind: 'attach', id: crypto.randomUUID() as never, stem: 'image', placement: AT_THE_END },
      timeline: [],
    } as const
    const heard = proxy.silenceAnswerTo('commit\0')
    const lost = Promise.allSettled([database.ingests.commit(commit, LIMITS)])
    await heard
    expect(await lost).toMatchObject([{ status: 'rejected', reason: OUTAGE }])
    expect(
      await database.ingests.commit({ ...commit, image: { ...commit.image, id: crypto.randomUUID() as never } }, LIMITS),
    ).toBe('committed')
    const list = await catalogue.database.images.list(product.tenantId, { kind: 'id', id: product.id })
    expect(list?.images.map((image) => image.id)).toEqual([commit.image.id])
  })
})

describe('signals', () => {
  it('wake when an ingest changes and when the outbox fills, and after a gap', async () => {
    await using database = await openThroughProxy(2_000)
    const ingest = await catalogue.accept(null)
    const woken = { ingest: 0, outbox: 0, other: 0 }
    using _ingest = database.signals.onIngest(ingest.id, () => woken.ingest++)
    using _other = database.signals.onIngest(crypto.randomUUID() as never, () => woken.other++)
    using _outbox = database.signals.onOutbox(() => woken.outbox++)
    await vi.waitFor(() => expect(woken).toEqual({ ingest: 1, outbox: 1, other: 1 }))

    await catalogue.commit(ingest, { image: null })
    await vi.waitFor(() => expect(woken).toEqual({ ingest: 2, outbox: 1, other: 1 }))
    await catalogue.accept(null)
    await vi.waitFor(() => expect(woken).toEqual({ ingest: 2, outbox: 2, other: 1 }))

    proxy.cut()
    await vi.waitFor(() => expect(woken).toEqual({ ingest: 3, outbox: 3, other: 2 }), { timeout: 5_000 })
  })
})
