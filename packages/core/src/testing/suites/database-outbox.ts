import { expect, test } from 'vitest'
import type { IngestId } from '../../ids.ts'
import type { Database, OutboxEntry } from '../../ports.ts'
import { aNewIngest } from '../builders.ts'
import { type Catalogue, eventually, LONG_MS, present, range, roomFor, SHORT_MS, type Subject } from './catalogue.ts'

const GIVEN_UP = { code: 'attempts_exhausted', detail: '' } as const

export function outboxTests({ openOwn }: Subject): void {
  const jobsOf = (entries: readonly OutboxEntry[]) => entries.map(({ job }) => job)
  const idsOf = (entries: readonly OutboxEntry[]) => entries.map(({ id }) => id)
  const acceptAll = async ({ accept }: Catalogue, count: number) => {
    const ids: IngestId[] = []
    for (const _ of range(count)) ids.push((await accept()).id)
    return ids
  }
  /** As a relay would. */
  const relayAll = async ({ outbox }: Database) => outbox.remove(idsOf(await outbox.claim(roomFor(1_000), LONG_MS)))

  test('rows are claimed oldest first, so many at a time, and by nobody else', async () => {
    await using own = await openOwn()
    const { outbox } = own.database
    const [a, b, c] = await acceptAll(own, 3)
    expect(jobsOf(await outbox.claim(roomFor(2), LONG_MS))).toEqual([
      { ingestId: a, epoch: 0 },
      { ingestId: b, epoch: 0 },
    ])
    expect(jobsOf(await outbox.claim(roomFor(2), LONG_MS))).toEqual([{ ingestId: c, epoch: 0 }])
    expect(await outbox.claim(roomFor(2), LONG_MS)).toEqual([])
  })

  test('rows come back, the same ones, when the lease has ended', async () => {
    await using own = await openOwn()
    const { outbox } = own.database
    await acceptAll(own, 2)
    const claimed = await outbox.claim(roomFor(10), SHORT_MS)
    const again: OutboxEntry[] = []
    await eventually(async () => {
      again.push(...(await outbox.claim(roomFor(10), LONG_MS)))
      expect(again).toEqual(claimed)
    })
  })

  test('rows that were removed do not come back, and may be removed twice', async () => {
    await using own = await openOwn()
    const { outbox, ingests } = own.database
    await acceptAll(own, 3)
    const [a, b, c] = await outbox.claim(roomFor(10), 0)
    await outbox.remove([present(a).id, present(b).id])
    await outbox.remove([present(a).id])
    await outbox.remove([])
    await eventually(async () => expect(await outbox.claim(roomFor(10), LONG_MS)).toEqual([c]))
    expect((await ingests.census()).outbox).toBe(1)
  })

  test('rows are shared out among those who claim at once', async () => {
    await using own = await openOwn()
    const { outbox } = own.database
    const ids = await acceptAll(own, 60)
    const claimed: OutboxEntry[] = []
    while (claimed.length < ids.length) {
      const batches = await Promise.all(range(8).map(() => outbox.claim(roomFor(7), LONG_MS)))
      const fresh = batches.flat()
      expect(fresh).not.toEqual([])
      claimed.push(...fresh)
    }
    expect(
      jobsOf(claimed)
        .map(({ ingestId }) => ingestId)
        .sort(),
    ).toEqual(ids)
  })

  test('an ingest that is accepted twice has one row, one that is refused has none', async () => {
    await using own = await openOwn()
    const { outbox, ingests } = own.database
    const wanted = aNewIngest({ tenantId: own.home })
    await ingests.accept(wanted)
    await ingests.accept(wanted)
    const refused = aNewIngest({ tenantId: own.home, idempotency: { key: 'nobodys', fingerprint: '' } })
    await expect(ingests.accept(refused)).rejects.toMatchObject({ code: 'idempotency_key_in_flight' })
    expect(jobsOf(await outbox.claim(roomFor(10), LONG_MS))).toEqual([{ ingestId: wanted.id, epoch: 0 }])
  })

  test('a replay is queued under its new epoch', async () => {
    await using own = await openOwn()
    const { outbox, ingests } = own.database
    const { id } = await own.accept()
    await relayAll(own.database)
    await ingests.end(id, 'failed', GIVEN_UP, [])
    await ingests.replay(own.home, [id], LONG_MS)
    expect(jobsOf(await outbox.claim(roomFor(10), LONG_MS))).toEqual([{ ingestId: id, epoch: 1 }])
  })

  test('what is idle is queued again under its epoch, and is not idle then', async () => {
    await using own = await openOwn()
    const { outbox, ingests } = own.database
    const received = await own.accept()
    const running = await own.accept()
    await relayAll(own.database)
    await ingests.start(running.id, 0)
    expect(await ingests.requeueIdle(LONG_MS, 10)).toEqual([])
    const requeued: IngestId[] = []
    await eventually(async () => {
      requeued.push(...(await ingests.requeueIdle(SHORT_MS, 10)))
      expect(requeued.toSorted()).toEqual([received.id, running.id])
    })
    const entries = await outbox.claim(roomFor(10), LONG_MS)
    expect(entries.map(({ again }) => again)).toEqual([true, true])
    const jobs = jobsOf(entries)
    expect(jobs.toSorted((a, b) => (a.ingestId < b.ingestId ? -1 : 1))).toEqual([
      { ingestId: received.id, epoch: 0 },
      { ingestId: running.id, epoch: 0 },
    ])
    expect(await ingests.find(own.home, running.id)).toMatchObject({ state: 'running', attempts: 1, epoch: 0 })
    expect((await ingests.timeline(own.home, received.id)).at(-1)?.step).toBe('requeue')
    expect(await ingests.start(received.id, 0)).toMatchObject({ state: 'running', attempts: 1 })
  })

  test('what is over, or still in the outbox, is not queued again', async () => {
    await using own = await openOwn()
    const { outbox, ingests } = own.database
    const [rejected, failed, committed] = [await own.accept(), await own.accept(), await own.accept()]
    await ingests.end(rejected.id, 'rejected', GIVEN_UP, [])
    await ingests.end(failed.id, 'failed', GIVEN_UP, [])
    await own.commit(committed)
    await relayAll(own.database)
    const [waiting, claimed, lost] = await acceptAll(own, 3)
    const entries = await outbox.claim(roomFor(10), LONG_MS)
    await outbox.remove(idsOf(entries.filter(({ job }) => job.ingestId === lost)))
    // All others were touched before this one.
    const requeued: IngestId[] = []
    await eventually(async () => {
      requeued.push(...(await ingests.requeueIdle(SHORT_MS, 10)))
      expect(requeued).toEqual([lost])
    })
    const stepsOf = async (id: IngestId) => (await ingests.timeline(own.home, id)).map(({ step }) => step)
    for (const id of [waiting, claimed]) expect(await stepsOf(present(id))).toEqual(['accept'])
  })

  test('no more is queued again at a time than was asked for, those first that have waited longest', async () => {
    await using own = await openOwn()
    const { ingests } = own.database
    const [touched, second, third] = [await own.accept(), await own.accept(), await own.accept()]
    await relayAll(own.database)
    await eventually(async () => {
      const running = present(await ingests.start(touched.id, 0))
      expect(running.updatedAt.getTime()).toBeGreaterThan(third.updatedAt.getTime())
    })
    const batches: (readonly IngestId[])[] = []
    await eventually(async () => {
      batches.push(await ingests.requeueIdle(SHORT_MS, 1))
      expect(batches.flat().toSorted()).toEqual([touched.id, second.id, third.id])
    })
    expect(batches.flat().at(-1)).toBe(touched.id)
    expect(Math.max(...batches.map(({ length }) => length))).toBe(1)
  })

  test('the census counts all tenants', async () => {
    await using own = await openOwn()
    const { ingests, outbox } = own.database
    const none = { received: 0, parked: 0, running: 0, committed: 0, rejected: 0, failed: 0 }
    expect(await ingests.census()).toEqual({ states: none, oldestOpenMs: 0, outbox: 0 })
    const first = await own.accept({ tenantId: own.stranger })
    const [second, third] = [await own.accept(), await own.accept()]
    await ingests.start(second.id, 0)
    await ingests.end(third.id, 'failed', GIVEN_UP, [])
    expect(await ingests.census()).toMatchObject({ states: { ...none, received: 1, running: 1, failed: 1 }, outbox: 3 })
    await eventually(async () => expect((await ingests.census()).oldestOpenMs).toBeGreaterThan(SHORT_MS))

    await own.commit(first)
    await ingests.end(second.id, 'rejected', GIVEN_UP, [])
    await relayAll(own.database)
    const over = { ...none, committed: 1, rejected: 1, failed: 1 }
    expect(await ingests.census()).toEqual({ states: over, oldestOpenMs: 0, outbox: 0 })
    expect(await outbox.claim(roomFor(10), LONG_MS)).toEqual([])
  })

  test('a database that answers answers a ping', async () => {
    await using own = await openOwn()
    await expect(own.database.ping()).resolves.toBeUndefined()
  })
}
