import * as fc from 'fast-check'
import { expect, test } from 'vitest'
import { JSON_DEPTH_MAX, refuseDeepJson } from './json-depth.ts'

const deep = (levels: number, [open, close]: readonly [string, string], inside = '') =>
  open.repeat(levels) + inside + close.repeat(levels)

function isRefused(document: string): boolean {
  try {
    refuseDeepJson(document)
    return false
  } catch (error) {
    if (!(error instanceof SyntaxError)) throw error
    return true
  }
}

test.each([
  ['lists', ['[', ']']],
  ['objects', ['{"a":', '}']],
  ['both', ['[{"]":', '}]']],
] as const)('takes %s up to its depth and no deeper', (_, brackets) => {
  const levels = brackets[0].startsWith('[{') ? JSON_DEPTH_MAX / 2 : JSON_DEPTH_MAX
  expect(isRefused(deep(levels, brackets, '1'))).toBe(false)
  expect(isRefused(deep(levels + 1, brackets, '1'))).toBe(true)
  expect(isRefused(deep(500_000, brackets))).toBe(true)
})

test('counts no bracket in a text, however it is escaped', () => {
  expect(isRefused(JSON.stringify(['['.repeat(1_000), `\\"${'{'.repeat(1_000)}\\\\`, '"[[['.repeat(100)]))).toBe(false)
})

test('finds of any document how deep it is', () => {
  fc.assert(
    fc.property(fc.json({ depthSize: 'large', maxDepth: 8 }), fc.integer({ min: 50, max: 70 }), (json, levels) => {
      const document = deep(levels, ['[', ']'], json)
      expect(isRefused(document)).toBe(depthOf(JSON.parse(document)) > JSON_DEPTH_MAX)
    }),
  )
})

function depthOf(value: unknown): number {
  if (typeof value !== 'object' || value === null) return 0
  return 1 + Math.max(0, ...Object.values(value).map(depthOf))
}

test('takes a text of some megabytes in its stride, even one that is all escapes', () => {
  expect(isRefused(JSON.stringify('\\"'.repeat(1_000_000)))).toBe(false)
  expect(isRefused(`"${'\\'.repeat(4_000_000)}`)).toBe(false)
})
