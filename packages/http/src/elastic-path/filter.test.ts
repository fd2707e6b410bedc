import * as fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { WireFault } from '../dialect.ts'
import { parseFilter } from './filter.ts'

const eq = (field: string, ...operands: string[]) => ({ operator: 'eq', field, operands })

describe('a filter', () => {
  test.each([
    ['eq(sku,a)', [eq('sku', 'a')]],
    ['eq(file_name,my_image.jpg):eq(width,200)', [eq('file_name', 'my_image.jpg'), eq('width', '200')]],
    ['eq( name , two words )', [eq('name', 'two words')]],
    ['eq(name,a:b/c{d}|e+f@$*-)', [eq('name', 'a:b/c{d}|e+f@$*-')]],
    ['eq(name,"a,b)(\'c:")', [eq('name', "a,b)('c:")]],
    [String.raw`eq(name,'Food \'n Stuff')`, [eq('name', "Food 'n Stuff")]],
    [String.raw`eq(name,"\\")`, [eq('name', '\\')]],
    ['eq(name,"a\nb\\\nc")', [eq('name', 'a\nb\nc')]],
    ['eq(name,"")', [eq('name', '')]],
    ["eq(name,Men's)", [eq('name', "Men's")]],
    ['in(id,a,b,"c")', [{ operator: 'in', field: 'id', operands: ['a', 'b', 'c'] }]],
  ])('%s is understood', (text, conditions) => {
    expect(parseFilter(text)).toEqual(conditions)
  })

  test.each([
    '',
    'eq',
    'eq(',
    'eq(name',
    'eq(name)',
    'eq(name,)',
    'eq(name,a',
    'eq(name,a))',
    'eq(name,a):',
    ':eq(name,a)',
    'eq(name,a)eq(name,b)',
    'eq(name,"a)',
    'eq(name,"a"b)',
    'eq(name,a\0)',
    'eq(name,\ud800)',
    Array.from({ length: 11 }, () => 'eq(a,b)').join(':'),
  ])('%j is refused', (text) => {
    expect(() => parseFilter(text)).toThrow(WireFault)
  })

  test('gives back every text that was put into quotes', () => {
    const condition = fc.record({
      field: fc.stringMatching(/^[a-z_]{1,20}$/),
      operands: fc.array(fc.string({ unit: 'grapheme' }), { minLength: 1 }),
    })
    fc.assert(
      fc.property(fc.array(condition, { minLength: 1, maxLength: 10 }), (conditions) => {
        const quoted = (text: string) => `"${text.replace(/[\\"]/g, '\\$&')}"`
        const text = conditions.map(({ field, operands }) => `eq(${field},${operands.map(quoted).join()})`).join(':')
        const hasNul = conditions.some(({ operands }) => operands.some((operand) => operand.includes('\0')))
        fc.pre(!hasNul)
        expect(parseFilter(text)).toEqual(conditions.map(({ field, operands }) => eq(field, ...operands)))
      }),
    )
  })

  test('is understood or refused, whatever it is, and at once', () => {
    const isSettled = (text: string) => {
      try {
        return parseFilter(text).length > 0
      } catch (error) {
        return error instanceof WireFault
      }
    }
    fc.assert(fc.property(fc.oneof(fc.string(), fc.stringMatching(/^[eqin(),"'\\: ]{0,200}$/)), isSettled))
    expect(() => parseFilter(`eq(name,${' '.repeat(100_000)}`)).toThrow(WireFault)
    expect(() => parseFilter(`eq(name,"${'\\'.repeat(100_001)}`)).toThrow(WireFault)
  })
})
