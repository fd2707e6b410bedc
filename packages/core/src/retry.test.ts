import * as fc from 'fast-check'
import { expect, test } from 'vitest'
import { DEFAULT_LIMITS } from './limits.ts'
import { retryWaitMs } from './retry.ts'

test('waits longer after each attempt, up to the bound, and never the same for all', () => {
  const at = (attempt: number, random: number) => retryWaitMs({ limits: DEFAULT_LIMITS, random: () => random }, attempt)
  expect(at(1, 1)).toBe(2 * DEFAULT_LIMITS.retryMsMin)
  expect(at(2, 1)).toBe(4 * DEFAULT_LIMITS.retryMsMin)
  expect(at(2, 0)).toBe(2 * DEFAULT_LIMITS.retryMsMin)
  fc.assert(
    fc.property(fc.nat(), fc.double({ min: 0, max: 1, noNaN: true }), (attempt, random) => {
      expect(at(attempt, random)).toBeLessThanOrEqual(DEFAULT_LIMITS.retryMsMax)
      expect(at(attempt, random)).toBeGreaterThan(0)
    }),
  )
})
