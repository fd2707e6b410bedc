import { describe, expect, test } from 'vitest'
import { DEFAULT_LIMITS } from '@sluice/core'
import { WireFault } from '../dialect.ts'
import { fieldsOfForm, type Given, readFields } from './fields.ts'

const read = (given: Given) => readFields(given, DEFAULT_LIMITS)

function faultsOf(given: Given): unknown {
  try {
    return read(given)
  } catch (error) {
    if (error instanceof WireFault) return (error.wire as { body: unknown }).body
    throw error
  }
}

describe('fields', () => {
  test('are absent where they were not given', () => {
    expect(read({})).toEqual({})
    expect(read(fieldsOfForm({ is_primary: '', order: '', alt_text: '' }))).toEqual({ alt_text: '' })
  })

  test('are kept as they were written', () => {
    expect(read({ alt_text: '  a\n\u200b"b" ' })).toEqual({ alt_text: '  a\n\u200b"b" ' })
    expect(read({ alt_text: 7 })).toEqual({ alt_text: '7' })
  })

  test.each([0, -0, '0', '-0', '+0', '00', '0.', '0.00', ' 0\n'])('have an order of %j', (order) => {
    expect(Object.is(read({ order }).order, 0)).toBe(true)
  })

  test.each(['', ' ', '1e3', '0x10', '1.5', 'one', '１', '1_000', '--1', '9'.repeat(1001), 1.5, true, [], {}, [1]])(
    'have no order of %j',
    (order) => {
      expect(faultsOf({ order })).toEqual({ order: ['A valid integer is required.'] })
    },
  )

  test.each([1e300, Number.POSITIVE_INFINITY, '9'.repeat(1000), 1_000_000_001])(
    'have no order beyond all bounds: %j',
    (order) => {
      expect(faultsOf({ order })).toEqual({ order: ['Ensure this value is less than or equal to 1000000000.'] })
      const negative = typeof order === 'number' ? -order : `-${order}`
      expect(faultsOf({ order: negative })).toEqual({ order: ['Ensure this value is greater than or equal to -1000000000.'] })
    },
  )

  test.each(['', 'maybe', 'truefalse', 2, -1, {}, [true], 'null'])('are no truth: %j', (is_primary) => {
    expect(faultsOf({ is_primary })).toEqual({ is_primary: ['Must be a valid boolean.'] })
  })

  test('are not looked for in what every object has', () => {
    expect(read(Object.create({ order: 1, is_primary: true, alt_text: 'x' }) as Given)).toEqual({})
  })
})
