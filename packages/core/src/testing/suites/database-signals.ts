import { expect, test } from 'vitest'
import type { IngestId } from '../../ids.ts'
import type { Ingest } from '../../ingest.ts'
import { newId } from '../builders.ts'
import { eventually, LONG_MS, roomFor, type Subject } from './catalogue.ts'

const PROBLEM = { code: 'internal_error', detail: '' } as const

export function signalTests({ catalogue }: Subject): void {
  /** Reads again whenever it is woken and at no other time. */
  function watch({ tenantId, id }: Ingest) {
    const { signals, ingests } = catalogue().database
    let seen = ''
    const read = async () => {
      const ingest = await ingests.find(tenantId, id)
      seen = `${ingest?.state} ${ingest?.attempts}`
    }
    const listening = signals.onIngest(id, () => void read())
    return { seen: () => seen, [Symbol.dispose]: () => listening[Symbol.dispose]() }
  }

  test.for(['committed', 'rejected', 'failed'] as const)('whoever is woken sees how it went: %s', async (end) => {
    const { ingests } = catalogue().database
    const ingest = await catalogue().accept()
    using watched = watch(ingest)
    await ingests.start(ingest.id, 0)
    await eventually(() => expect(watched.seen()).toBe('running 1'))
    await ingests.release(ingest.id, { forgiveAttempt: false, problem: PROBLEM, timeline: [] })
    await eventually(() => expect(watched.seen()).toBe('received 1'))
    await ingests.start(ingest.id, 0)
    await eventually(() => expect(watched.seen()).toBe('running 2'))
    await (end === 'committed' ? catalogue().commit(ingest) : ingests.end(ingest.id, end, PROBLEM, []))
    await eventually(() => expect(watched.seen()).toBe(`${end} 2`))
  })

  test('several listen to one ingest, and one may stop', async () => {
    const { ingests } = catalogue().database
    const ingest = await catalogue().accept()
    using first = watch(ingest)
    using second = watch(ingest)
    await ingests.start(ingest.id, 0)
    await eventually(() => expect([first.seen(), second.seen()]).toEqual(['running 1', 'running 1']))
    first[Symbol.dispose]()
    await ingests.end(ingest.id, 'failed', PROBLEM, [])
    await eventually(() => expect(second.seen()).toBe('failed 1'))
    expect(first.seen()).toBe('running 1')
  })

  test('one function that listens twice has to stop twice', async () => {
    const { ingests, signals } = catalogue().database
    const ingest = await catalogue().accept()
    let calls = 0
    const wake = () => void calls++
    using _listening = signals.onIngest(ingest.id, wake)
    signals.onIngest(ingest.id, wake)[Symbol.dispose]()
    await ingests.start(ingest.id, 0)
    await eventually(() => expect(calls).toBeGreaterThan(0))
  })

  test('the outbox wakes whoever relays it: after an acceptance and after a replay', async () => {
    const { ingests, outbox, signals } = catalogue().database
    const claimed: string[] = []
    const claim = async () => {
      for (const { job } of await outbox.claim(roomFor(1_000), LONG_MS)) claimed.push(`${job.ingestId} ${job.epoch}`)
    }
    using _listening = signals.onOutbox(() => void claim())
    const { id, tenantId } = await catalogue().accept()
    await eventually(() => expect(claimed).toContain(`${id} 0`))
    await ingests.end(id, 'failed', PROBLEM, [])
    await ingests.replay(tenantId, [id], LONG_MS)
    await eventually(() => expect(claimed).toContain(`${id} 1`))
  })

  test('nobody is called after the end of listening, which may come twice', async () => {
    const { ingests, signals } = catalogue().database
    const ingest = await catalogue().accept()
    let calls = 0
    const wake = () => void calls++
    const gone = signals.onIngest(ingest.id, wake)
    gone[Symbol.dispose]()
    gone[Symbol.dispose]()
    using _outbox = signals.onOutbox(() => {})
    signals.onOutbox(wake)[Symbol.dispose]()
    using watched = watch(ingest)
    using _nobody = signals.onIngest(newId() as IngestId, () => {})
    await ingests.start(ingest.id, 0)
    await eventually(() => expect(watched.seen()).toBe('running 1'))
    expect(calls).toBe(0)
  })
}
