import { expect, test } from 'vitest'
import { humanSize } from './view.ts'

test.each([
  [0, '0 bytes'],
  [1, '1 byte'],
  [1023, '1023 bytes'],
  [1024, '1.0 KB'],
  [1536, '1.5 KB'],
  [2.5 * 1024 * 1024, '2.5 MB'],
  [50 * 1024 * 1024, '50.0 MB'],
  [3 * 1024 ** 3, '3.0 GB'],
])('%i bytes are %s', (bytes, text) => {
  expect(humanSize(bytes)).toBe(text)
})
