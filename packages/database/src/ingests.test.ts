import { randomUUID } from 'node:crypto'
import type { ImageId, IngestId, Problem, Reservation, TokenId } from '@sluice/core'
import { afterAll, beforeAll, describe, expect, inject, it } from 'vitest'
import { AT_THE_END, type Catalogue, openCatalogue, range, stagedSource } from './test-catalogue.ts'

let catalogue: Catalogue
beforeAll(async () => {
  catalogue = await openCatalogue(inject('postgresUrl'), { poolMax: 4 })
})
afterAll(() => catalogue[Symbol.asyncDispose]())

const FAULT: Problem = { code: 'image_corrupt', detail: 'It cannot be decoded: 100 %.', details: { at: 'a\0b' } }

const LONG_MS = 600_000

describe('an ingest', () => {
  it('comes back as it was accepted, and accepting it again changes nothing', async () => {
    const product = await catalogue.newProduct()
    const placement = {
      ...AT_THE_END,
      name: 'Größe',
      label: 'a "label", {braces} \\',
      rank: 2,
      roles: ['a,b', 'c"d', 'e\\f'],
      main: false,
    }
    const target = { kind: 'attach', productId: product.id, placement } as const
    const id = randomUUID() as IngestId
    const source = { ...stagedSource(), declaredType: 'image/png', typeMustMatch: true }
    const ingest = await catalogue.accept(product, { id, source, target })
    expect(ingest).toMatchObject({ id, source, target, state: 'received', attempts: 0, problem: null, result: null })
    expect(await catalogue.accept(product, { id, source, target })).toEqual(ingest)
    expect(await catalogue.database.ingests.find(product.tenantId, id)).toEqual(ingest)
    const rows = await catalogue.sql`select from outbox where ingest_id = ${id}`
    expect(rows).toHaveLength(1)
  })

  it('is started by the job of its epoch alone, released, ended, replayed', async () => {
    const { ingests } = catalogue.database
    const { id, epoch, tenantId } = await catalogue.accept(null)
    expect(await ingests.start(id, epoch + 1)).toBeNull()
    expect(await ingests.start(id, epoch)).toMatchObject({ state: 'running', attempts: 1 })
    expect(await ingests.release(id, { forgiveAttempt: true, problem: FAULT, timeline: [] })).toBe(true)
    expect(await ingests.release(id, { forgiveAttempt: true, problem: null, timeline: [] })).toBe(false)
    expect(await ingests.find(tenantId, id)).toMatchObject({ state: 'received', attempts: 0, problem: FAULT })
    await ingests.start(id, epoch)
    expect(await ingests.replay(tenantId, [id], LONG_MS)).toEqual([])
    const entry = {
      at: new Date('2026-01-02T03:04:05.678Z'),
      step: 'store',
      attempt: 1,
      outcome: 'retried',
      durationMs: 3,
      detail: 'x',
    } as const
    expect(await ingests.end(id, 'failed', FAULT, [entry])).toBe(true)
    expect(await ingests.end(id, 'failed', FAULT, [entry])).toBe(false)
    expect(await ingests.start(id, epoch)).toBeNull()
    expect(await ingests.replay(tenantId, [id], LONG_MS)).toMatchObject([
      { state: 'received', attempts: 0, epoch: epoch + 1, problem: null, finishedAt: null },
    ])
    const timeline = await ingests.timeline(tenantId, id)
    expect(timeline.map(({ step, attempt }) => `${step} ${attempt}`)).toEqual([
      'accept 0',
      'start 1',
      'start 1',
      'store 1',
      'finish 1',
      'replay 0',
    ])
    expect(timeline).toContainEqual(entry)
  })

  it('that nobody touches is queued again under its epoch, once', async () => {
    const { ingests, outbox } = catalogue.database
    const { id, epoch } = await catalogue.accept(null)
    expect(await ingests.requeueIdle(0, 1000)).not.toContain(id)
    await outbox.remove((await outbox.claim({ interactive: 1000, import: 1000 }, 60_000)).map((entry) => entry.id))
    const requeued = await Promise.all(range(4).map(() => ingests.requeueIdle(0, 1000)))
    expect(requeued.flat().filter((other) => other === id)).toHaveLength(1)
    const entries = await outbox.claim({ interactive: 1000, import: 1000 }, 60_000)
    expect(entries.map((entry) => entry.job)).toContainEqual({ ingestId: id, epoch })
  })

  it('needs its staged bytes until it is over, or for a while longer when it failed', async () => {
    const { ingests } = catalogue.database
    const [open, failed, rejected] = [await catalogue.accept(null), await catalogue.accept(null), await catalogue.accept(null)]
    await ingests.end(failed.id, 'failed', FAULT, [])
    await ingests.end(rejected.id, 'rejected', FAULT, [])
    const keys = [open, failed, rejected].map(({ source }) => (source.kind === 'staged' ? source.key : ''))
    expect(await ingests.stagedInUse([...keys, 'a,"b\\'], 60_000)).toEqual(new Set(keys.slice(0, 2)))
  })

  it.for(['a\0b', 'half a pair: \ud800'])(
    'that asks for what no text can hold is refused, and spoils no search: %j',
    async (text) => {
      const product = await catalogue.newProduct()
      const placements = [{ label: text }, { name: text }, { slot: text }, { roles: [text] }]
      for (const placement of placements) {
        const target = { kind: 'attach', productId: product.id, placement: { ...AT_THE_END, ...placement } } as const
        await expect(catalogue.accept(product, { target })).rejects.toMatchObject({ code: 'request_invalid' })
      }
      const replacing = { kind: 'replace', productId: product.id, imageId: randomUUID() as ImageId } as const
      const target = { ...replacing, change: { label: text } }
      await expect(catalogue.accept(product, { target })).rejects.toMatchObject({ code: 'request_invalid' })
      const { ingests } = catalogue.database
      expect(await ingests.list(product.tenantId, { text: product.sku }, { before: null, limit: 9 })).toEqual([])
    },
  )

  it('is counted by its state', async () => {
    await using other = await openCatalogue(inject('postgresUrl'), { poolMax: 2 })
    const { ingests } = other.database
    expect(await ingests.census()).toMatchObject({ oldestOpenMs: 0, outbox: 0, states: { received: 0, committed: 0 } })
    await ingests.end((await other.accept(null)).id, 'rejected', FAULT, [])
    await other.accept(null)
    expect(await ingests.census()).toMatchObject({ outbox: 2, states: { received: 1, rejected: 1, parked: 0 } })
  })
})

describe('the list of ingests', () => {
  it('finds by state, product, time and text, in pages', async () => {
    const { ingests } = catalogue.database
    const product = await catalogue.newProduct()
    const { tenantId } = product
    const placement = { ...AT_THE_END, label: '50%_off\\' }
    const first = await catalogue.accept(product, { target: { kind: 'attach', productId: product.id, placement } })
    const second = await catalogue.accept(product)
    await catalogue.commit(second, { image: { kind: 'attach', id: randomUUID() as never, stem: 'front', placement: AT_THE_END } })
    await ingests.end(first.id, 'rejected', FAULT, [])
    const ids = [first.id, second.id].sort().toReversed()
    const ref = { kind: 'sku', sku: product.sku } as const
    const list = async (filter: object, before: IngestId | null = null, limit = 100) =>
      (await ingests.list(tenantId, filter, { before, limit })).map((ingest) => ingest.id)

    expect(await list({ product: ref })).toEqual(ids)
    expect(await list({ product: { kind: 'number', number: product.number } })).toEqual(ids)
    expect(await list({ product: ref }, null, 1)).toEqual(ids.slice(0, 1))
    expect(await list({ product: ref }, ids[0])).toEqual(ids.slice(1))
    expect(await list({ product: ref, states: ['rejected'] })).toEqual([first.id])
    expect(await list({ product: ref, states: [] })).toEqual([])
    expect(await list({ product: ref, createdFrom: new Date(Date.now() + 60_000) })).toEqual([])
    expect(await list({ product: ref, createdFrom: first.createdAt, createdTo: second.createdAt })).toEqual(ids)
    expect(await list({ product: ref, text: '0%_OFF\\' })).toEqual([first.id])
    expect(await list({ product: ref, text: '0x_off' })).toEqual([])
    expect(await list({ product: ref, text: 'FRONT' })).toEqual([second.id])
    expect(await list({ product: ref, text: 'cannot be DECODED' })).toEqual([first.id])
    expect(await list({ product: ref, text: 'A.JPG' })).toEqual(ids)
    expect(await list({ text: product.sku.toUpperCase() })).toEqual(ids)
    expect(await list({ text: product.id.toUpperCase() })).toEqual(ids)
    expect(await list({ text: first.id })).toEqual([first.id])
    expect(await list({ text: first.source.kind === 'staged' ? first.source.digest.toUpperCase() : '' })).toEqual([first.id])
  })
})

describe('the outbox', () => {
  it('gives each row to one relay at a time, oldest first, and again after the lease', async () => {
    await using other = await openCatalogue(inject('postgresUrl'), { poolMax: 4 })
    const { outbox } = other.database
    const accepted = []
    for (const _ of range(20)) accepted.push((await other.accept(null)).id)
    const claims = await Promise.all(range(4).map(() => outbox.claim({ interactive: 5, import: 5 }, 60_000)))
    expect(
      claims
        .flat()
        .map((entry) => entry.job.ingestId)
        .sort(),
    ).toEqual(accepted.toSorted())
    expect(await outbox.claim({ interactive: 5, import: 5 }, 60_000)).toEqual([])
    await other.sql`update outbox set claimed_until = now() - interval '1 ms'`
    expect((await outbox.claim({ interactive: 100, import: 100 }, 0)).map((entry) => entry.job.ingestId)).toEqual(accepted)
    await outbox.remove(claims.flat().map((entry) => entry.id))
    await outbox.remove(['9223372036854775807'])
    expect(await outbox.claim({ interactive: 5, import: 5 }, 0)).toEqual([])
  })
})

describe('an Idempotency-Key', () => {
  const answer = { status: 201, headers: { location: '/a' }, body: '{"a":"\\u0000"}\0' }

  it('is reserved by one of a hundred at once, bound to its ingest, and answers the rest', async () => {
    const { idempotency } = catalogue.database
    const { tenantId } = catalogue
    const key = randomUUID()
    const owners = range(100).map(() => randomUUID() as IngestId)
    const got = await Promise.all(owners.map((owner) => idempotency.reserve(tenantId, key, owner, 60_000, 60_000)))
    expect(got.filter((reservation: Reservation) => reservation.kind === 'reserved')).toHaveLength(1)
    const id = owners[got.findIndex((reservation) => reservation.kind === 'reserved')] as IngestId
    await catalogue.accept(null, { id, idempotency: { key, fingerprint: 'f' } })
    await catalogue.accept(null, { id, idempotency: { key, fingerprint: 'f' } })
    await idempotency.release(tenantId, key, id)
    const known = { kind: 'known', fingerprint: 'f', ingestId: id }
    const late = randomUUID() as IngestId
    expect(await idempotency.reserve(tenantId, key, late, 60_000, 60_000)).toEqual({ ...known, answer: null })
    await idempotency.record(tenantId, key, late, { ...answer, status: 500 })
    await idempotency.record(tenantId, key, id, answer)
    expect(await idempotency.reserve(tenantId, key, id, 60_000, 60_000)).toEqual({ ...known, answer })
    expect(await idempotency.reserve(tenantId, key, late, 60_000, -1)).toEqual({ kind: 'reserved' })
  })

  it('that was taken over accepts nothing for its first owner', async () => {
    const { idempotency, ingests } = catalogue.database
    const { tenantId } = catalogue
    const key = randomUUID()
    const [slow, quick] = [randomUUID() as IngestId, randomUUID() as IngestId]
    expect(await idempotency.reserve(tenantId, key, slow, -1, 60_000)).toEqual({ kind: 'reserved' })
    expect(await idempotency.reserve(tenantId, key, quick, 60_000, 60_000)).toEqual({ kind: 'reserved' })
    const accepting = catalogue.accept(null, { id: slow, idempotency: { key, fingerprint: 'f' } })
    await expect(accepting).rejects.toMatchObject({ code: 'idempotency_key_in_flight' })
    expect(await ingests.find(tenantId, slow)).toBeNull()
    await idempotency.release(tenantId, key, slow)
    expect(await idempotency.reserve(tenantId, key, slow, 60_000, 60_000)).toEqual({ kind: 'in_flight' })
    await idempotency.release(tenantId, key, quick)
    expect(await idempotency.reserve(tenantId, key, slow, 60_000, 60_000)).toEqual({ kind: 'reserved' })
    expect(await idempotency.forget(-1, 1)).toBe(1)
  })
})

describe('a token', () => {
  it('opens until it is revoked or has expired', async () => {
    const { tokens } = catalogue.database
    const { tenantId } = catalogue
    const token = { id: randomUUID() as TokenId, tenantId, name: 'n', role: 'writer', prefix: 'sl', expiresAt: null } as const
    const created = await tokens.create({ ...token, sha256Hex: 'a' })
    expect(await tokens.create({ ...token, id: randomUUID() as TokenId, name: 'other', sha256Hex: 'a' })).toEqual(created)
    const caller = { tokenId: token.id, tenantId, role: 'writer', name: 'n', number: created.number }
    expect(await tokens.authenticate('a')).toEqual(caller)
    expect(await tokens.findActive(token.id)).toEqual(caller)
    const expired = await tokens.create({ ...token, id: randomUUID() as TokenId, expiresAt: new Date(0), sha256Hex: 'b' })
    expect(await tokens.authenticate('b')).toBeNull()
    expect((await tokens.list(tenantId)).map((record) => record.tokenId).sort()).toEqual([token.id, expired.tokenId].sort())
    expect(await tokens.revoke(tenantId, token.id)).toBe(true)
    expect(await tokens.revoke(tenantId, token.id)).toBe(true)
    expect(await tokens.revoke(await catalogue.newTenant(), token.id)).toBe(false)
    expect(await tokens.authenticate('a')).toBeNull()
  })
})
