import * as fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { openRateLimit } from './rate-limit.ts'

function aLimit(options: { perSecond: number; burst: number; keysMax?: number }) {
  const clock = { nowMs: 0 }
  return { clock, limit: openRateLimit({ keysMax: 10, ...options, nowMs: () => clock.nowMs }) }
}

describe('a limit of the rate', () => {
  test('lets a burst through, and then so many in each second', () => {
    const { clock, limit } = aLimit({ perSecond: 2, burst: 3 })
    expect([1, 2, 3].map(() => limit.take('a'))).toEqual([0, 0, 0])
    expect(limit.take('a')).toBe(500)
    clock.nowMs += 400
    expect(limit.take('a')).toBeCloseTo(100)
    clock.nowMs += 101
    expect(limit.take('a')).toBe(0)
    expect(limit.take('a')).toBeGreaterThan(0)
  })

  test('counts each by itself', () => {
    const { limit } = aLimit({ perSecond: 1, burst: 1 })
    expect(['a', 'b', 'a'].map((key) => limit.take(key) === 0)).toEqual([true, true, false])
  })

  test('remembers no more than it may: whoever was not seen for longest begins anew', () => {
    const { limit } = aLimit({ perSecond: 1, burst: 1, keysMax: 2 })
    for (const key of ['a', 'b']) limit.take(key)
    expect(limit.take('a')).toBeGreaterThan(0)
    expect(limit.take('c')).toBe(0)
    expect(limit.take('a')).toBeGreaterThan(0)
    expect(limit.take('b')).toBe(0)
  })

  test('never lets more through than the burst and the rate together, and all that keep to its word', () => {
    const waits = fc.array(fc.integer({ min: 0, max: 400 }), { maxLength: 200 })
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 50 }), fc.integer({ min: 1, max: 20 }), waits, (perSecond, burst, waitsMs) => {
        const { clock, limit } = aLimit({ perSecond, burst })
        for (const [index, waitMs] of waitsMs.entries()) {
          clock.nowMs += waitMs
          const afterMs = limit.take('a')
          clock.nowMs += Math.ceil(afterMs)
          expect(afterMs === 0 || limit.take('a') === 0).toBe(true)
          const through = index + 1
          expect(through).toBeLessThanOrEqual(burst + (clock.nowMs / 1_000) * perSecond + 1e-6)
        }
      }),
      { examples: [[1, 2, [0, 235, 201]]] },
    )
  })
})
