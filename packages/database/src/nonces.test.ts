import { randomBytes } from 'node:crypto'
import { afterAll, beforeAll, describe, expect, inject, it } from 'vitest'
import { NONCE_MS_MAX } from '@sluice/core'
import { idleSlotAt, slotOf } from './nonces.ts'
import { type Catalogue, openCatalogue } from './test-catalogue.ts'

const WINDOW_SECONDS = NONCE_MS_MAX / 1000
/** What a statement or a transaction may take, both together. */
const SLACK_SECONDS = 30

describe('nonces', () => {
  let catalogue: Catalogue
  beforeAll(async () => {
    catalogue = await openCatalogue(inject('postgresUrl'))
  })
  afterAll(() => catalogue[Symbol.asyncDispose]())

  const now = async () => {
    const [row] = await catalogue.sql`select extract(epoch from clock_timestamp())::float8 as seconds`
    return Number(row?.['seconds'])
  }
  const slots = async () => {
    const rows = await catalogue.sql`select slot from nonces group by slot order by slot`
    return rows.map((row) => Number(row['slot']))
  }
  const fill = async () => {
    for (const slot of [0, 1, 2, 3]) await catalogue.sql`insert into nonces values (${slot}, ${randomBytes(32)})`
  }

  it('are forgotten by the slot, and only where none can matter', async () => {
    await fill()
    const before = idleSlotAt(await now())
    await catalogue.database.nonces.forget()
    const after = idleSlotAt(await now())
    const left = await slots()
    const forgotten = [0, 1, 2, 3].filter((slot) => !left.includes(slot))
    // A slot has no certain moment at its two ends, and the test may run over one.
    expect([before, after]).toContain(forgotten[0] ?? null)
    expect(forgotten.length).toBeLessThanOrEqual(1)
  })

  it('are forgotten by several at once', async () => {
    await fill()
    await Promise.all(Array.from({ length: 8 }, () => catalogue.database.nonces.forget()))
    expect((await slots()).length).toBeGreaterThanOrEqual(3)
  })

  it.each([1_800_000_000, 1_800_000_061, 1_800_000_900, 1_800_001_739, 1_800_001_799])(
    'have an idle slot that nothing at %d reaches',
    (at) => {
      const idle = idleSlotAt(at)
      const reached = new Set<number>()
      const reach = WINDOW_SECONDS + SLACK_SECONDS
      for (let seconds = at - reach; seconds <= at + reach; seconds++) reached.add(slotOf(seconds))
      expect(idle === null || !reached.has(idle)).toBe(true)
    },
  )

  it('have an idle slot nearly always', () => {
    const idle = Array.from({ length: 4 * WINDOW_SECONDS }, (_, seconds) => idleSlotAt(1_800_000_000 + seconds))
    expect(idle.filter((slot) => slot === null).length / idle.length).toBeLessThan(0.1)
    expect(new Set(idle)).toEqual(new Set([null, 0, 1, 2, 3]))
  })
})
