import { expect, test } from 'vitest'
import type { Problem } from '../../errors.ts'
import type { IngestId } from '../../ids.ts'
import { type Ingest, stagedKeysOf } from '../../ingest.ts'
import type { IngestFilter, NewIngest } from '../../ports.ts'
import { aPlacement, aStagedSource, newId } from '../builders.ts'
import { eventually, LONG_MS, present, range, roomFor, SHORT_MS, type Subject } from './catalogue.ts'

const gaveUp = (cause: string): Problem => ({
  code: 'attempts_exhausted',
  detail: 'Given up.',
  details: { step: 'store', cause, text: 'a\0b' },
})

/** Many at a time, and how they are found. */
export function replayTests({ catalogue, openOwn }: Subject): void {
  const ingests = () => catalogue().database.ingests

  async function failed(problem: Problem = gaveUp('internal_error'), asked: Partial<NewIngest> = {}): Promise<Ingest> {
    const { id, tenantId } = await catalogue().accept(asked)
    await ingests().end(id, 'failed', problem, [])
    return present(await ingests().find(tenantId, id))
  }
  const idsOf = (found: readonly Ingest[]) => found.map(({ id }) => id)

  test('of many at a time queue each that has failed once, and leave the others alone', async () => {
    await using own = await openOwn()
    const { ingests, outbox } = own.database
    const dead: IngestId[] = []
    for (const _ of range(12)) {
      const { id } = await own.accept()
      await ingests.end(id, 'failed', gaveUp('internal_error'), [])
      dead.push(id)
    }
    const rejected = await own.accept()
    await ingests.end(rejected.id, 'rejected', { code: 'image_corrupt', detail: '' }, [])
    const open = await own.accept()
    await outbox.remove((await outbox.claim(roomFor(100), LONG_MS)).map(({ id }) => id))

    const asked = [...dead, rejected.id, open.id, newId() as IngestId, ...dead]
    const replayed = await ingests.replay(own.home, asked, LONG_MS)
    expect(idsOf(replayed)).toEqual(dead.toSorted())
    expect(replayed).toEqual(await Promise.all(replayed.map(async ({ id }) => present(await ingests.find(own.home, id)))))
    const jobs = (await outbox.claim(roomFor(100), LONG_MS)).map(({ job }) => `${job.ingestId} ${job.epoch}`)
    expect(jobs.toSorted()).toEqual(dead.map((id) => `${id} 1`).toSorted())
    for (const id of dead)
      expect((await ingests.timeline(own.home, id)).map(({ step }) => step)).toEqual(['accept', 'finish', 'replay'])
    expect(await ingests.find(own.home, rejected.id)).toMatchObject({ state: 'rejected', epoch: 0 })
    expect(await ingests.replay(own.home, asked, LONG_MS)).toEqual([])
    expect(await ingests.replay(own.home, [], LONG_MS)).toEqual([])
  })

  test('come too late for staged bytes that are kept no longer, and never for what is fetched or stored', async () => {
    const url = await failed(undefined, { source: { kind: 'url', url: 'https://example.com/a.jpg', fileName: null } })
    const staged = await failed(undefined, { source: aStagedSource() })
    const keys = stagedKeysOf(staged)
    await eventually(async () => expect((await ingests().stagedInUse(keys, SHORT_MS)).size).toBe(0))
    expect(idsOf(await ingests().replay(staged.tenantId, [staged.id, url.id], SHORT_MS))).toEqual([url.id])
    expect(idsOf(await ingests().replay(staged.tenantId, [staged.id], LONG_MS))).toEqual([staged.id])
  })

  test('begin with those that are found by their code, that of the last error, or their ids', async () => {
    const product = await catalogue().newProduct()
    const target = () => ({ kind: 'attach', productId: product.id, placement: aPlacement() }) as const
    const [store, decoder] = [
      await failed(gaveUp('storage_full'), { target: target() }),
      await failed(gaveUp('internal_error'), { target: target() }),
    ]
    const without = await failed({ code: 'attempts_exhausted', detail: 'Its worker died.' }, { target: target() })
    const found = async (filter: IngestFilter) => {
      const page = { before: null, limit: 10 }
      const all = { product: { kind: 'id', id: product.id }, ...filter } as const
      return idsOf(await ingests().list(product.tenantId, all, page))
    }
    expect(await found({ codes: ['attempts_exhausted'] })).toEqual([without.id, decoder.id, store.id])
    expect(await found({ codes: ['storage_full'] })).toEqual([store.id])
    expect(await found({ codes: ['internal_error', 'storage_full'] })).toEqual([decoder.id, store.id])
    for (const codes of [[], ['storage'], ['storage%full'], ['x"y'], ['storage_full_']])
      expect(await found({ codes })).toEqual([])
    expect(await found({ ids: [store.id, without.id, newId() as IngestId] })).toEqual([without.id, store.id])
    expect(await found({ ids: [store.id, 'no uuid' as IngestId], codes: ['storage_full'] })).toEqual([store.id])
    expect(await found({ ids: [] })).toEqual([])
  })
}
