import { expect, test } from 'vitest'
import type { IngestId, TokenId } from '../../ids.ts'
import { receivedBytes, type NewUpload } from '../../upload.ts'
import { newDigest, newId } from '../builders.ts'
import { eventually, expectRefusal, LONG_MS, present, SHORT_MS, type Subject } from './catalogue.ts'

const ROOM = { uploadsOpenMax: 1_000, uploadsOpenBytesMax: 1_000_000_000 }

/** Uploads that are asked for before they are made. */
export function uploadTests({ catalogue, openOwn }: Subject): void {
  const uploads = () => catalogue().database.uploads
  const newUpload = (change: Partial<NewUpload> = {}): NewUpload => ({
    id: newId() as IngestId,
    tenantId: catalogue().home,
    tokenId: newId() as TokenId,
    bytes: 100,
    declaredType: 'image/png',
    fileName: 'Vorderansicht ü.png',
    sha256: newDigest(),
    target: null,
    bucketKey: null,
    metadata: { filename: 'ü', empty: null },
    ttlMs: LONG_MS,
    ...change,
  })
  const reserve = (change: Partial<NewUpload> = {}) => uploads().reserve(newUpload(change), ROOM)
  const part = (bytes: number) => ({ key: `parts/${newId()}`, bytes })

  test('a reservation is kept as it was asked for, and the same again is no second one', async () => {
    const { ttlMs, ...asked } = newUpload()
    const reserved = await uploads().reserve({ ...asked, ttlMs }, ROOM)
    expect(reserved).toMatchObject({ ...asked, state: 'open', parts: [], settledAt: null })
    expect(reserved.expiresAt.getTime() - reserved.createdAt.getTime()).toBe(ttlMs)
    expect(await uploads().reserve({ ...asked, bytes: 7, ttlMs }, { ...ROOM, uploadsOpenMax: 0 })).toEqual(reserved)
    expect(await uploads().find(asked.tenantId, asked.id)).toEqual(reserved)
  })

  test('a tenant reserves so many, and so many bytes, until some are settled', async () => {
    await using own = await openOwn()
    const { database, home: tenantId } = own
    const ask = (bounds: typeof ROOM) => database.uploads.reserve(newUpload({ tenantId }), bounds)
    const first = await ask(ROOM)
    await expectRefusal(ask({ ...ROOM, uploadsOpenMax: 1 }), 'uploads_exceeded')
    await expectRefusal(ask({ ...ROOM, uploadsOpenBytesMax: 199 }), 'uploads_exceeded')
    await database.uploads.close(tenantId, first.id, 'cancelled')
    await expectRefusal(ask({ ...ROOM, uploadsOpenMax: 1 }), 'uploads_exceeded')
    await database.uploads.settle(tenantId, first.id)
    expect(await ask({ uploadsOpenMax: 1, uploadsOpenBytesMax: 100 })).toMatchObject({ state: 'open' })
  })

  test('of many who ask at once for the last places no more get one than there are', async () => {
    await using own = await openOwn()
    const { database, home: tenantId } = own
    const bounds = { ...ROOM, uploadsOpenMax: 3 }
    const asked = Array.from({ length: 10 }, () => database.uploads.reserve(newUpload({ tenantId }), bounds))
    const answers = await Promise.allSettled(asked)
    expect(answers.filter(({ status }) => status === 'fulfilled')).toHaveLength(3)
  })

  test('parts follow one another, and of ten who write at one offset one does', async () => {
    const { tenantId, id } = await reserve()
    expect(await uploads().append(tenantId, id, 10, part(10))).toBeNull()
    const answers = await Promise.all(Array.from({ length: 10 }, () => uploads().append(tenantId, id, 0, part(60))))
    const [first, ...others] = answers.filter((answer) => answer !== null)
    expect(others).toEqual([])
    expect(receivedBytes(present(first ?? null))).toBe(60)
    expect(await uploads().append(tenantId, id, 60, part(41))).toBeNull()
    expect((await uploads().append(tenantId, id, 60, part(40)))?.parts).toMatchObject([{ bytes: 60 }, { bytes: 40 }])
  })

  test('it is closed once, whoever tries, and takes nothing more', async () => {
    const { tenantId, id } = await reserve()
    const states = ['completed', 'cancelled', 'expired', 'completed'] as const
    const closed = await Promise.all(states.map((state) => uploads().close(tenantId, id, state)))
    const [decided, ...others] = closed.filter((answer) => answer !== null)
    expect(others).toEqual([])
    expect(await uploads().append(tenantId, id, 0, part(10))).toBeNull()
    expect(await uploads().find(tenantId, id)).toEqual(decided)
  })

  test('an open one is not settled; a closed one is, for good', async () => {
    const { tenantId, id } = await reserve()
    await uploads().settle(tenantId, id)
    expect(await uploads().find(tenantId, id)).toMatchObject({ state: 'open', settledAt: null })
    await uploads().close(tenantId, id, 'completed')
    await uploads().settle(tenantId, id)
    const settled = await uploads().find(tenantId, id)
    expect(settled?.settledAt).toBeInstanceOf(Date)
    await uploads().settle(tenantId, id)
    expect(await uploads().find(tenantId, id)).toEqual(settled)
  })

  test('takes no part when its time is over', async () => {
    const { tenantId, id } = await reserve({ ttlMs: 0 })
    expect(await uploads().append(tenantId, id, 0, part(1))).toBeNull()
    expect(await uploads().find(tenantId, id)).toMatchObject({ state: 'open', parts: [] })
  })

  test('what is not settled is taken by one at a time, and again after a while', async () => {
    await using own = await openOwn()
    const { database, home: tenantId } = own
    const ids: string[] = []
    for (let count = 0; count < 3; count += 1) ids.push((await database.uploads.reserve(newUpload({ tenantId }), ROOM)).id)
    const take = async (everyMs: number, limit = 10) =>
      (await database.uploads.takeUnsettled(everyMs, limit)).map(({ id }) => id).toSorted()
    expect(await take(LONG_MS)).toEqual([])
    const taken = await Promise.all([take(0, 1), take(0, 2)])
    expect(taken.flat().length).toBeGreaterThanOrEqual(2)
    await database.uploads.close(tenantId, ids[0] as IngestId, 'expired')
    await database.uploads.close(tenantId, ids[1] as IngestId, 'completed')
    await database.uploads.settle(tenantId, ids[1] as IngestId)
    await eventually(async () => expect(await take(SHORT_MS)).toEqual([...ids.slice(0, 1), ...ids.slice(2)].toSorted()))
  })

  test('settled ones are forgotten after a time, the others never', async () => {
    await using own = await openOwn()
    const { database, home: tenantId } = own
    const [over, open] = [newUpload({ tenantId }), newUpload({ tenantId })]
    for (const upload of [over, open]) await database.uploads.reserve(upload, ROOM)
    await database.uploads.close(tenantId, over.id, 'cancelled')
    await database.uploads.settle(tenantId, over.id)
    expect(await database.uploads.forget(LONG_MS, 10)).toBe(0)
    await eventually(async () => expect(await database.uploads.forget(1, 10)).toBe(1))
    expect(await database.uploads.find(tenantId, over.id)).toBeNull()
    expect(await database.uploads.find(tenantId, open.id)).not.toBeNull()
  })

  test('nothing of it is there for another tenant', async () => {
    const { tenantId, id } = await reserve()
    const other = await catalogue().newTenant()
    expect(await uploads().find(other, id)).toBeNull()
    expect(await uploads().append(other, id, 0, part(1))).toBeNull()
    expect(await uploads().close(other, id, 'cancelled')).toBeNull()
    await uploads().settle(other, id)
    expect(await uploads().find(tenantId, id)).toMatchObject({ state: 'open' })
  })

  test('an ingest of it knows where its bytes are, and keeps them from the sweeper while it needs them', async () => {
    const keys = [`parts/${newId()}`, `parts/${newId()}`]
    const common = { bytes: 100, declaredType: 'image/png', typeMustMatch: true, fileName: 'x.png' }
    const source = { kind: 'uploaded', keys, ...common, sha256: newDigest() } as const
    const ingest = await catalogue().accept({ source })
    const { ingests } = catalogue().database
    expect(ingest).toMatchObject({ source, fetched: null })
    expect(await ingests.find(ingest.tenantId, ingest.id)).toEqual(ingest)
    expect(await ingests.stagedInUse([...keys, 'parts/other'], LONG_MS)).toEqual(new Set(keys))
    await ingests.end(ingest.id, 'rejected', { code: 'digest_mismatched', detail: 'other bytes' }, [])
    expect(await ingests.stagedInUse(keys, LONG_MS)).toEqual(new Set())
  })
}
