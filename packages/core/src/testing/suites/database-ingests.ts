import { expect, test } from 'vitest'
import type { Problem } from '../../errors.ts'
import type { IngestId, ProductId } from '../../ids.ts'
import type { Ingest } from '../../ingest.ts'
import { aNewIngest, aPlacement, aStagedSource, aTimelineEntry, newId } from '../builders.ts'
import { eventually, LONG_MS, present, SHORT_MS, type Subject } from './catalogue.ts'

const OUTAGE: Problem = { code: 'service_unavailable', detail: 'The store is away.' }
const CORRUPT: Problem = { code: 'image_corrupt', detail: 'Not "decodable": ü', details: { frame: 3, nested: { at: [1, 2] } } }
const GIVEN_UP: Problem = { code: 'attempts_exhausted', detail: 'Given up after 5 attempts.' }

export function ingestTests({ catalogue }: Subject): void {
  const ingests = () => catalogue().database.ingests
  const find = async ({ tenantId, id }: Ingest) => present(await ingests().find(tenantId, id))
  const stepsOf = async ({ tenantId, id }: Ingest) => (await ingests().timeline(tenantId, id)).map(({ step }) => step)
  const started = async () => present(await ingests().start((await catalogue().accept()).id, 0))
  const failed = async () => {
    const ingest = await started()
    await ingests().end(ingest.id, 'failed', GIVEN_UP, [])
    return find(ingest)
  }
  const replay = async ({ tenantId, id }: Ingest) => present((await ingests().replay(tenantId, [id], LONG_MS))[0])

  acceptTests()
  startTests()
  endTests()
  releaseTests()
  replayTests()

  function acceptTests(): void {
    test('accept keeps all that was asked for, and begins at attempt 0 and epoch 0', async () => {
      const product = await catalogue().newProduct()
      const placement = aPlacement({
        name: 'front',
        label: 'A ü "b"',
        excluded: true,
        rank: 3,
        roles: ['a,b', 'c"d'],
        main: false,
      })
      const wanted = aNewIngest({
        tenantId: catalogue().home,
        source: aStagedSource({ declaredType: 'image/png', typeMustMatch: true, fileName: null, bytes: 50_000_000_000 }),
        target: { kind: 'attach', productId: product.id, placement },
      })
      const { tokenId: _, idempotency: __, answer: ___, ...kept } = wanted
      const ingest = await ingests().accept(wanted)
      expect(ingest).toEqual({
        ...kept,
        fetched: null,
        postponed: null,
        lane: 'interactive',
        parking: null,
        state: 'received',
        attempts: 0,
        epoch: 0,
        result: null,
        problem: null,
        createdAt: expect.any(Date),
        updatedAt: ingest.createdAt,
        finishedAt: null,
      })
      expect(await find(ingest)).toEqual(ingest)
      expect(await stepsOf(ingest)).toEqual(['accept'])
    })

    test.for([true, false, null])('accept tells apart whether an image is to be the main one: %s', async (main) => {
      const ingest = await catalogue().acceptFor(await catalogue().newProduct(), { main })
      expect(await find(ingest)).toMatchObject({ target: { placement: { main } } })
    })

    test('accept takes the id of a file, and no product', async () => {
      const source = { kind: 'file', fileId: newId() } as Ingest['source']
      const ingest = await catalogue().accept({ source })
      expect(await find(ingest)).toMatchObject({ source, target: null })
    })

    test('accept does not ask whether the product is there: the commit does', async () => {
      const target = { kind: 'attach', productId: newId() as ProductId, placement: aPlacement() } as const
      expect((await catalogue().accept({ target })).target).toEqual(target)
    })

    test('accept of the same ingest again changes nothing', async () => {
      const wanted = aNewIngest({ tenantId: catalogue().home })
      await ingests().accept(wanted)
      const running = present(await ingests().start(wanted.id, 0))
      expect(await ingests().accept(wanted)).toEqual(running)
      expect(await stepsOf(running)).toEqual(['accept', 'start'])
    })

    test('what nobody accepted is not there', async () => {
      const nowhere = newId() as IngestId
      expect(await ingests().find(catalogue().home, nowhere)).toBeNull()
      expect(await ingests().timeline(catalogue().home, nowhere)).toEqual([])
    })
  }

  function startTests(): void {
    test('start marks it running and counts the attempt', async () => {
      const ingest = await catalogue().accept()
      const running = present(await ingests().start(ingest.id, ingest.epoch))
      expect(running).toEqual({ ...ingest, state: 'running', attempts: 1, updatedAt: running.updatedAt })
      expect(await find(ingest)).toEqual(running)
      expect((await ingests().timeline(ingest.tenantId, ingest.id)).at(-1)).toMatchObject({ step: 'start', attempt: 1 })
    })

    test('start takes up what crashed while it ran', async () => {
      const running = await started()
      expect(await ingests().start(running.id, running.epoch)).toMatchObject({ state: 'running', attempts: 2 })
    })

    test('every change is seen in the time of the last one', async () => {
      const ingest = await catalogue().accept()
      await eventually(async () => {
        const { updatedAt, createdAt } = present(await ingests().start(ingest.id, 0))
        expect(createdAt).toEqual(ingest.createdAt)
        expect(updatedAt.getTime()).toBeGreaterThan(ingest.updatedAt.getTime())
      })
    })

    test('start of another epoch than the present one is nothing', async () => {
      const ingest = await failed()
      const { epoch } = await replay(ingest)
      expect(await ingests().start(ingest.id, epoch - 1)).toBeNull()
      expect(await ingests().start(ingest.id, epoch + 1)).toBeNull()
      expect(await find(ingest)).toMatchObject({ state: 'received', attempts: 0 })
      expect(await ingests().start(ingest.id, epoch)).toMatchObject({ state: 'running', attempts: 1 })
    })

    test('start of what is over, or unknown, is nothing', async () => {
      const rejected = await started()
      await ingests().end(rejected.id, 'rejected', CORRUPT, [])
      const committed = await started()
      await catalogue().commit(committed)
      for (const over of [await failed(), rejected, committed]) {
        const before = await find(over)
        expect(await ingests().start(over.id, over.epoch)).toBeNull()
        expect(await find(over)).toEqual(before)
      }
      expect(await ingests().start(newId() as IngestId, 0)).toBeNull()
    })
  }

  function endTests(): void {
    test.for(['rejected', 'failed'] as const)('end makes it %s, with its problem and its timeline', async (state) => {
      const running = await started()
      const entries = [
        aTimelineEntry({ step: 'validate', detail: 'a "b" \\ ü 🙂', durationMs: 7 }),
        aTimelineEntry({ step: 'store', outcome: 'rejected', durationMs: null, attempt: 4 }),
      ]
      expect(await ingests().end(running.id, state, CORRUPT, entries)).toBe(true)
      const ended = await find(running)
      expect(ended).toMatchObject({ state, problem: CORRUPT, result: null, attempts: 1 })
      expect(ended.finishedAt).toBeInstanceOf(Date)
      const timeline = await ingests().timeline(running.tenantId, running.id)
      expect(timeline.slice(2, 4)).toEqual(entries)
      expect(timeline.at(-1)).toMatchObject({ step: 'finish', outcome: state, attempt: 1 })
      expect(timeline).toHaveLength(5)
    })

    test('end works before a start, too', async () => {
      const ingest = await catalogue().accept()
      expect(await ingests().end(ingest.id, 'rejected', CORRUPT, [])).toBe(true)
    })

    test('end leaves alone what is over', async () => {
      const committed = await started()
      await catalogue().commit(committed)
      for (const over of [await failed(), await find(committed)]) {
        const steps = await stepsOf(over)
        expect(await ingests().end(over.id, 'rejected', CORRUPT, [aTimelineEntry()])).toBe(false)
        expect(await find(over)).toEqual(over)
        expect(await stepsOf(over)).toEqual(steps)
      }
      expect(await ingests().end(newId() as IngestId, 'failed', CORRUPT, [])).toBe(false)
    })
  }

  function releaseTests(): void {
    test.for([
      [true, 0],
      [false, 1],
    ] as const)('release puts it back; attempt forgiven: %s', async ([forgiveAttempt, attempts]) => {
      const running = await started()
      const timeline = [aTimelineEntry({ outcome: 'retried' })]
      expect(await ingests().release(running.id, { forgiveAttempt, problem: OUTAGE, timeline })).toBe(true)
      expect(await find(running)).toMatchObject({ state: 'received', attempts, problem: OUTAGE, epoch: 0, finishedAt: null })
      expect((await ingests().timeline(running.tenantId, running.id)).slice(2)).toEqual(timeline)
      expect(await ingests().start(running.id, 0)).toMatchObject({ state: 'running', attempts: attempts + 1 })
    })

    test('the problem of a release goes with the next one that has none, and with the commit', async () => {
      const running = await started()
      await ingests().release(running.id, { forgiveAttempt: true, problem: OUTAGE, timeline: [] })
      await ingests().start(running.id, 0)
      await ingests().release(running.id, { forgiveAttempt: true, problem: null, timeline: [] })
      expect((await find(running)).problem).toBeNull()
      await ingests().start(running.id, 0)
      await ingests().release(running.id, { forgiveAttempt: true, problem: CORRUPT, timeline: [] })
      await ingests().start(running.id, 0)
      await catalogue().commit(running)
      expect((await find(running)).problem).toBeNull()
    })

    test('release leaves alone what does not run', async () => {
      const received = await catalogue().accept()
      for (const idle of [received, await failed()]) {
        const before = await find(idle)
        const timeline = [aTimelineEntry()]
        expect(await ingests().release(idle.id, { forgiveAttempt: true, problem: OUTAGE, timeline })).toBe(false)
        expect(await find(idle)).toEqual(before)
        expect(await stepsOf(idle)).not.toContain('validate')
      }
      const options = { forgiveAttempt: true, problem: null, timeline: [] }
      expect(await ingests().release(newId() as IngestId, options)).toBe(false)
    })
  }

  function replayTests(): void {
    test('replay receives a failed one anew', async () => {
      const ingest = await failed()
      const replayed = await replay(ingest)
      const anew = { state: 'received', attempts: 0, epoch: 1, problem: null, finishedAt: null } as const
      expect(replayed).toEqual({ ...ingest, ...anew, updatedAt: replayed.updatedAt })
      expect(await find(ingest)).toEqual(replayed)
      expect((await stepsOf(ingest)).at(-1)).toBe('replay')
    })

    test('replay refuses all that has not failed', async () => {
      const rejected = await started()
      await ingests().end(rejected.id, 'rejected', CORRUPT, [])
      const committed = await started()
      await catalogue().commit(committed)
      for (const ingest of [await catalogue().accept(), await started(), rejected, committed]) {
        const before = await find(ingest)
        expect(await ingests().replay(ingest.tenantId, [ingest.id], LONG_MS)).toEqual([])
        expect(await find(ingest)).toEqual(before)
      }
      expect(await ingests().replay(catalogue().home, [newId() as IngestId, 'no uuid' as IngestId], LONG_MS)).toEqual([])
    })

    test('the timeline is told in the order in which it was written', async () => {
      const ingest = await started()
      const late = aTimelineEntry({ step: 'store', at: new Date('2030-01-01T00:00:00Z') })
      const early = aTimelineEntry({ step: 'extract', at: new Date('2020-01-01T00:00:00Z') })
      await ingests().release(ingest.id, { forgiveAttempt: false, problem: null, timeline: [late, early] })
      await ingests().start(ingest.id, 0)
      await ingests().end(ingest.id, 'failed', GIVEN_UP, [])
      await replay(ingest)
      expect(await stepsOf(ingest)).toEqual(['accept', 'start', 'store', 'extract', 'start', 'finish', 'replay'])
    })
  }

  test('staged bytes are in use until their ingest is committed or rejected', async () => {
    const sources = [`a"b\\c,{d}`, 'plain', 'running', 'failed', 'rejected', 'committed'].map((name) =>
      aStagedSource({ key: `staged/${newId()}/${name}` }),
    )
    const accepted: Ingest[] = []
    for (const source of sources) accepted.push(await catalogue().accept({ source }))
    const [running, failing, rejected, committed] = accepted.slice(2) as [Ingest, Ingest, Ingest, Ingest]
    await ingests().start(running.id, 0)
    await ingests().end(failing.id, 'failed', GIVEN_UP, [])
    await ingests().end(rejected.id, 'rejected', CORRUPT, [])
    await catalogue().commit(committed)
    const keys = sources.map(({ key }) => key)
    expect(await ingests().stagedInUse([...keys, 'staged/nobodys'], LONG_MS)).toEqual(new Set(keys.slice(0, 4)))
    expect(await ingests().stagedInUse([], LONG_MS)).toEqual(new Set())
    await eventually(async () => expect(await ingests().stagedInUse(keys, SHORT_MS)).toEqual(new Set(keys.slice(0, 3))))
  })
}
