import { expect, test } from 'vitest'
import { ERRORS } from '@sluice/core'
import { dialectAt } from './dialect.ts'
import { DIALECTS } from './dialects.ts'

const prefixes = DIALECTS.flatMap((dialect) => dialect.prefixes.map((prefix) => [prefix, dialect] as const))

test('no dialect lies inside another one, or inside our own addresses', () => {
  const taken = ['/v1', '/docs', '/media', ...prefixes.map(([prefix]) => prefix)]
  for (const [index, prefix] of taken.entries()) {
    expect(prefix).toMatch(/^(\/[a-z0-9-]+)+$/)
    for (const other of taken.toSpliced(index, 1)) expect(`${prefix}/`.startsWith(`${other}/`)).toBe(false)
  }
})

test.each(DIALECTS.map((dialect) => [dialect.name, dialect] as const))('%s says every error of the core', (_name, { errors }) => {
  expect(Object.keys(errors).sort()).toEqual(Object.keys(ERRORS).sort())
})

test.each(prefixes)('%s is found by its addresses, and by no others', (prefix, dialect) => {
  expect(dialectAt(DIALECTS, prefix)).toBe(dialect)
  expect(dialectAt(DIALECTS, `${prefix}/a?b=/v1/`)).toBe(dialect)
  expect(dialectAt(DIALECTS, `${prefix}x`)).not.toBe(dialect)
  expect(dialectAt(DIALECTS, `/v1${prefix}`)).toBeUndefined()
})
