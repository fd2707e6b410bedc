import { expect, test } from 'vitest'
import type { Problem } from '../../errors.ts'
import type { HookEvent, NewHookEvent, NewHookSource } from '../../hook.ts'
import type { HookEventId, HookSourceId, IngestId, TokenId } from '../../ids.ts'
import { newId } from '../builders.ts'
import { eventually, expectRefusal, LONG_MS, present, SHORT_MS, type Subject } from './catalogue.ts'

const PROBLEM = { code: 'event_unmappable', detail: 'product is missing' } as const
const GIVEN_UP: Problem = { code: 'attempts_exhausted', detail: 'Given up.' }
const DONE = { state: 'processed', results: [], problem: null } as const
const FAULTY = { state: 'quarantined', results: [], problem: PROBLEM } as const

export function hookTests({ catalogue, openOwn }: Subject): void {
  const newSource = (change: Partial<NewHookSource> = {}): NewHookSource => ({
    id: newId() as HookSourceId,
    tenantId: catalogue().home,
    tokenId: newId() as TokenId,
    name: 'Shop "ü"',
    verifier: { kind: 'shopify' },
    secrets: ['sealed'],
    mapping: { each: '/images', product: { sku: '/sku' }, source: { url: { at: '/src', prefix: 'https:' } } },
    enabled: true,
    ...change,
  })
  const newEvent = (source: NewHookSource, change: Partial<NewHookEvent> = {}): NewHookEvent => ({
    id: newId() as HookEventId,
    tenantId: source.tenantId,
    sourceId: source.id,
    key: newId(),
    saidId: null,
    headers: { 'x-topic': 'products/update' },
    body: Buffer.from([0, 255, 123, 125]),
    ...change,
  })
  const hooks = () => catalogue().database.hooks
  const create = async (change: Partial<NewHookSource> = {}) => {
    const source = newSource(change)
    await hooks().createSource(source, 1_000)
    return source
  }
  const receive = async (source: NewHookSource, change: Partial<NewHookEvent> = {}) => {
    const event = newEvent(source, change)
    return (await hooks().receive(event)) ? event : null
  }
  const find = ({ tenantId, sourceId, id }: NewHookEvent) => hooks().findEvent(tenantId, sourceId, id)

  test('a source is kept as it was given, changed, listed and removed', async () => {
    const source = newSource()
    const created = await hooks().createSource(source, 1_000)
    expect(created).toMatchObject(source)
    expect(await hooks().createSource({ ...source, name: 'other' }, 1)).toEqual(created)
    expect(await hooks().findSource(source.tenantId, source.id)).toEqual(created)
    expect(await hooks().findSourceByAddress(source.id)).toEqual(created)
    const later = await create()
    const listed = (await hooks().listSources(source.tenantId)).map(({ id }) => id)
    expect(listed.indexOf(later.id)).toBeLessThan(listed.indexOf(source.id))

    const change = { enabled: false, secrets: ['new', 'old'], mapping: { completes_upload: '/key' }, name: 'x' }
    const updated = await hooks().updateSource(source.tenantId, source.id, change)
    expect(updated).toMatchObject({ ...source, ...change })
    expect(await hooks().findSource(source.tenantId, source.id)).toEqual(updated)

    const event = present(await receive(source))
    expect(await hooks().removeSource(source.tenantId, source.id)).toBe(true)
    expect(await hooks().removeSource(source.tenantId, source.id)).toBe(false)
    expect(await hooks().findSourceByAddress(source.id)).toBeNull()
    expect(await find(event)).toBeNull()
  })

  test('there are only so many sources, however many are defined at once', async () => {
    await using own = await openOwn()
    const define = () => own.database.hooks.createSource(newSource({ tenantId: own.home }), 3)
    const outcomes = await Promise.allSettled(Array.from({ length: 8 }, define))
    expect(outcomes.filter(({ status }) => status === 'fulfilled')).toHaveLength(3)
    await expectRefusal(define(), 'hook_sources_exceeded')
    await own.database.hooks.createSource(newSource({ tenantId: own.stranger }), 3)
  })

  test('nothing of another tenant is there', async () => {
    const { stranger } = catalogue()
    const source = await create()
    const event = present(await receive(source))
    await hooks().finish(event.id, FAULTY)
    expect(await hooks().findSource(stranger, source.id)).toBeNull()
    expect((await hooks().listSources(stranger)).map(({ id }) => id)).not.toContain(source.id)
    await expectRefusal(hooks().updateSource(stranger, source.id, { enabled: false }), 'hook_source_unknown')
    expect(await hooks().removeSource(stranger, source.id)).toBe(false)
    expect(await hooks().findEvent(stranger, source.id, event.id)).toBeNull()
    expect(await hooks().listEvents(stranger, source.id, {}, { before: null, limit: 10 })).toEqual([])
    expect(await hooks().redrive(stranger, source.id, {}, 10)).toBe(0)
    expect((await find(event))?.state).toBe('quarantined')
    for (const odd of ['no-uuid' as HookSourceId, newId() as HookSourceId]) {
      expect(await hooks().findSourceByAddress(odd)).toBeNull()
      expect(await hooks().listEvents(source.tenantId, odd, {}, { before: null, limit: 10 })).toEqual([])
    }
  })

  test('an event is kept to the byte, and known again by its key, of the same source only', async () => {
    const [source, other] = [await create(), await create()]
    const event = newEvent(source, { headers: { 'x-odd': 'ü "' } })
    expect(await hooks().receive(event)).toBe(true)
    expect(await hooks().receive({ ...event, id: newId() as HookEventId, body: Buffer.from('other') })).toBe(false)
    expect(await hooks().receive(newEvent(other, { key: event.key }))).toBe(true)
    const found = present(await find(event))
    expect(found).toMatchObject({ state: 'received', attempts: 0, results: [], problem: null, processedAt: null })
    expect([found.headers, found.key, Buffer.from(found.body)]).toEqual([event.headers, event.key, Buffer.from(event.body)])
  })

  test('of many equal events at once, one is new', async () => {
    const source = await create()
    const key = newId()
    const outcomes = await Promise.all(Array.from({ length: 16 }, () => hooks().receive(newEvent(source, { key }))))
    expect(outcomes.filter(Boolean)).toHaveLength(1)
  })

  test('an id that nobody has signed, told a second time with another key, waits in quarantine', async () => {
    const source = await create()
    const saidId = newId()
    const first = present(await receive(source, { saidId }))
    const second = present(await receive(source, { saidId }))
    const elsewhere = present(await receive(await create(), { saidId }))
    expect([(await find(first))?.state, (await find(elsewhere))?.state]).toEqual(['received', 'received'])
    expect(await find(second)).toMatchObject({ state: 'quarantined', problem: { code: 'event_id_reused' } })
    expect(await hooks().redrive(source.tenantId, source.id, { ids: [second.id] }, 10)).toBe(1)
    expect(await find(second)).toMatchObject({ state: 'received', problem: null, processedAt: null })
  })

  test('events are claimed once, oldest first, until the lease ends or they are given back', async () => {
    await using own = await openOwn()
    const { hooks } = own.database
    const source = newSource({ tenantId: own.home })
    await hooks.createSource(source, 10)
    const events = [newEvent(source), newEvent(source), newEvent(source)]
    for (const event of events) await hooks.receive(event)
    const ids = (claimed: readonly HookEvent[]) => claimed.map(({ id }) => id)
    const [first, second, third] = events.map(({ id }) => id)

    const claimed = await hooks.claim(2, LONG_MS)
    expect(ids(claimed)).toEqual([first, second])
    expect(claimed.map(({ attempts }) => attempts)).toEqual([1, 1])
    expect(Buffer.from(present(claimed[0]).body)).toEqual(Buffer.from(present(events[0]).body))
    expect(ids(await hooks.claim(10, SHORT_MS))).toEqual([third])
    await eventually(async () => expect(ids(await hooks.claim(10, LONG_MS))).toEqual([third]))

    await hooks.release(present(first), { waitMs: 0, forgiveAttempt: true })
    await hooks.release(present(second), { waitMs: 0, forgiveAttempt: false })
    const again = await hooks.claim(10, LONG_MS)
    expect(again.map(({ id, attempts }) => [id, attempts])).toEqual([
      [first, 1],
      [second, 2],
    ])
    await hooks.release(present(first), { waitMs: LONG_MS, forgiveAttempt: true })
    expect(await hooks.claim(10, LONG_MS)).toEqual([])
  })

  test('a source that sends much does not keep the others waiting', async () => {
    await using own = await openOwn()
    const { hooks } = own.database
    const sources = [newSource({ tenantId: own.home }), newSource({ tenantId: own.home }), newSource({ tenantId: own.stranger })]
    for (const source of sources) await hooks.createSource(source, 10)
    const [busy, ...others] = sources
    for (let n = 0; n < 10; n += 1) await hooks.receive(newEvent(present(busy)))
    for (const source of others) await hooks.receive(newEvent(source))
    const from = async () => (await hooks.claim(4, LONG_MS)).map(({ sourceId }) => sources.findIndex(({ id }) => id === sourceId))
    expect(await from()).toEqual([0, 0, 1, 2])
    expect(await from()).toEqual([0, 0, 0, 0])
    expect((await Promise.all([from(), from(), from()])).flat()).toHaveLength(4)
  })

  test('what waits of a source is counted, as far as it matters', async () => {
    await using own = await openOwn()
    const { hooks } = own.database
    const [source, other] = [newSource({ tenantId: own.home }), newSource({ tenantId: own.home })]
    for (const each of [source, other]) await hooks.createSource(each, 10)
    const events = [newEvent(source), newEvent(source), newEvent(source)]
    for (const event of [...events, newEvent(other)]) await hooks.receive(event)
    await hooks.claim(1, LONG_MS)
    expect(await hooks.countWaiting(source.id, 10)).toBe(3)
    expect(await hooks.countWaiting(source.id, 2)).toBe(2)
    await hooks.finish(present(events[0]).id, { state: 'processed', results: [], problem: null })
    expect(await hooks.countWaiting(source.id, 10)).toBe(2)
    expect(await hooks.countWaiting(newSource({ tenantId: own.home }).id, 10)).toBe(0)
  })

  test('events of a source that is not enabled wait until it is', async () => {
    await using own = await openOwn()
    const { hooks } = own.database
    const source = newSource({ tenantId: own.home, enabled: false })
    await hooks.createSource(source, 10)
    await hooks.receive(newEvent(source))
    expect(await hooks.claim(10, LONG_MS)).toEqual([])
    await hooks.updateSource(source.tenantId, source.id, { enabled: true })
    expect(await hooks.claim(10, LONG_MS)).toHaveLength(1)
  })

  test('an event ends once, with what became of it', async () => {
    const source = await create()
    const event = present(await receive(source))
    const results = [
      { path: '/images/0', outcome: 'ingested', ingestId: newId() as IngestId },
      { path: '/images/1', outcome: 'refused', errors: [{ field: 'product', message: 'is missing "ü"' }] },
    ] as const
    expect(await hooks().finish(event.id, { state: 'quarantined', results, problem: PROBLEM })).toBe(true)
    expect(await hooks().finish(event.id, DONE)).toBe(false)
    const ended = present(await find(event))
    expect(ended).toMatchObject({ state: 'quarantined', results, problem: PROBLEM })
    expect(ended.processedAt).not.toBeNull()
    await hooks().release(event.id, { waitMs: 0, forgiveAttempt: true })
    expect(await find(event)).toEqual(ended)
  })

  test('events are listed newest first, by state and time, in pages, and only quarantined ones are received again', async () => {
    const source = await create()
    const events: NewHookEvent[] = []
    for (let n = 0; n < 5; n += 1) events.push(present(await receive(source)))
    const [a, b, c, d, e] = events.map(({ id }) => id)
    for (const event of [events[1], events[3]]) await hooks().finish(present(event).id, FAULTY)
    await hooks().finish(present(c), DONE)
    const list = async (filter: Parameters<ReturnType<typeof hooks>['listEvents']>[2], before: HookEventId | null = null) =>
      (await hooks().listEvents(source.tenantId, source.id, filter, { before, limit: 3 })).map(({ id }) => id)
    expect(await list({})).toEqual([e, d, c])
    expect(await list({}, present(c))).toEqual([b, a])
    expect(await list({ states: ['quarantined'] })).toEqual([d, b])
    expect(await list({ states: ['quarantined', 'processed'], ids: [present(c), present(a)] })).toEqual([c])
    expect(await list({ ids: [] })).toEqual([])
    const at = present(await find(present(events[0]))).receivedAt
    expect(await list({ receivedTo: at })).toEqual([])
    expect(await list({ receivedFrom: new Date(at.getTime() + LONG_MS) })).toEqual([])
    expect(await list({ receivedFrom: at, receivedTo: new Date(at.getTime() + LONG_MS) })).toHaveLength(3)

    expect(await hooks().redrive(source.tenantId, source.id, {}, 1)).toBe(1)
    expect(await list({ states: ['quarantined'] })).toEqual([d])
    expect(await hooks().redrive(source.tenantId, source.id, {}, 10)).toBe(1)
    expect(await list({ states: ['received'] })).toEqual([e, d, b])
    expect(await list({ states: ['processed'] })).toEqual([c])
  })

  test('whoever received or redrives wakes who processes', async () => {
    const source = await create()
    let calls = 0
    using _listening = catalogue().database.signals.onInbox(() => void calls++)
    const event = newEvent(source)
    // Whoever listens may not do so yet when the first comes.
    await eventually(async () => {
      await receive(source)
      expect(calls).toBeGreaterThan(0)
    })
    await hooks().receive(event)
    await hooks().finish(event.id, FAULTY)
    const before = calls
    await hooks().redrive(source.tenantId, source.id, {}, 10)
    await eventually(() => expect(calls).toBeGreaterThan(before))
  })

  test('an item is held by the ingest that was named first, before and after it is accepted, until that one fails', async () => {
    const source = await create()
    const [first, second, third] = [newId() as IngestId, newId() as IngestId, newId() as IngestId]
    const hold = (id: IngestId, key = 'item') => hooks().holdItem(source.id, key, id)
    expect(await hold(first)).toBe(first)
    expect(await hold(second)).toBe(first)
    await catalogue().accept({ id: first })
    expect(await hold(second)).toBe(first)
    expect(await hold(second, 'other item')).toBe(second)
    await catalogue().database.ingests.end(first, 'rejected', { code: 'image_corrupt', detail: '' }, [])
    expect(await hold(third)).toBe(third)
    expect(await hold(first)).toBe(third)
  })

  test('what has failed is replayed, or another takes its place, but not both', async () => {
    const source = await create()
    const { ingests } = catalogue().database
    const problems = [
      GIVEN_UP,
      { ...GIVEN_UP, details: {} },
      { ...GIVEN_UP, details: { cause: 'internal_error', text: 'a\0"b' } },
    ]
    for (const [n, problem] of problems.entries()) {
      const [first, second, third] = [await catalogue().accept(), newId() as IngestId, newId() as IngestId]
      const hold = (id: IngestId) => hooks().holdItem(source.id, `item ${n}`, id)
      await hold(first.id)
      await ingests.end(first.id, 'failed', problem, [])
      expect(await ingests.replay(first.tenantId, [first.id], LONG_MS)).toHaveLength(1)
      expect(await hold(second)).toBe(first.id)
      await ingests.end(first.id, 'failed', problem, [])
      expect(await hold(second)).toBe(second)
      expect(await hold(third)).toBe(second)
      expect(await ingests.replay(first.tenantId, [first.id], LONG_MS)).toEqual([])
      const details = { ...problem.details, superseded_by: second }
      expect(await ingests.find(first.tenantId, first.id)).toMatchObject({ state: 'failed', problem: { ...problem, details } })
    }
  })

  test('of replays and of those who would take the place, one wins', async () => {
    const source = await create()
    const { ingests } = catalogue().database
    for (let n = 0; n < 20; n += 1) {
      const { id, tenantId } = await catalogue().accept()
      const hold = (candidate: IngestId) => hooks().holdItem(source.id, `raced ${n}`, candidate)
      await hold(id)
      await ingests.end(id, 'failed', GIVEN_UP, [])
      const candidate = newId() as IngestId
      const [held, replayed] = await Promise.all([hold(candidate), ingests.replay(tenantId, [id], LONG_MS)])
      expect([id, candidate]).toContain(held)
      expect(replayed).toHaveLength(held === id ? 1 : 0)
    }
  })

  test('of many who name themselves at once, all agree on one', async () => {
    const source = await create()
    const held = await Promise.all(
      Array.from({ length: 16 }, () => hooks().holdItem(source.id, 'contended', newId() as IngestId)),
    )
    expect(new Set(held).size).toBe(1)
  })

  test('a subject goes forward only, byte by byte, and the same version may come again', async () => {
    const [source, other] = [await create(), await create()]
    const advance = (version: string, subject = 's', { id } = source) => hooks().advance(id, subject, version)
    const said: boolean[] = []
    for (const version of ['b', 'a', 'b', 'Z', 'c', 'b', 'ä', 'z']) said.push(await advance(version))
    expect(said).toEqual([true, false, true, false, true, false, true, false])
    expect([await advance('a', 'other'), await advance('a', 's', other)]).toEqual([true, true])
  })

  test('old events are removed, some at a time; those that are still to be processed stay', async () => {
    await using own = await openOwn()
    const { hooks } = own.database
    const source = newSource({ tenantId: own.home })
    await hooks.createSource(source, 10)
    const events = [newEvent(source), newEvent(source), newEvent(source)]
    for (const event of events) await hooks.receive(event)
    for (const event of events.slice(1)) await hooks.finish(event.id, DONE)
    expect(await hooks.forget(LONG_MS, 10)).toBe(0)
    await eventually(async () => expect(await hooks.forget(SHORT_MS, 1)).toBe(1))
    await eventually(async () => expect(await hooks.forget(SHORT_MS, 1)).toBe(1))
    const left = await hooks.listEvents(own.home, source.id, {}, { before: null, limit: 10 })
    expect(left.map(({ id }) => id)).toEqual([present(events[0]).id])
  })
}
