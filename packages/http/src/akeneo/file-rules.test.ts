import { describe, expect, test } from 'vitest'
import type { Attribute, StagedUpload } from '@sluice/core'
import type { ArrivedFile } from './arrived-file.ts'
import { complaintsOf } from './file-rules.ts'

const ATTRIBUTE: Attribute = {
  code: 'a',
  allowedExtensions: null,
  fileBytesMax: null,
  scopable: false,
  localizable: false,
  role: null,
}
const FILE: ArrivedFile = {
  isFile: true,
  extension: 'jpg',
  bytes: 1_000,
  mediaType: 'image/jpeg',
  content: { staged: {} as StagedUpload },
  discard: async () => undefined,
}

describe('complaintsOf', () => {
  test.each([
    [5_000_001, 5_000_000, '5000001 bytes', '5000000 bytes'],
    [7_340_032, 5_000_000, '7.34 MB', '5 MB'],
    [12_345, 10_000, '12.35 kB', '10 kB'],
    [13_000_000, 12_500_000, '13 MB', '12.5 MB'],
    [1_300, 1_024, '1300 bytes', '1024 bytes'],
    [1_024_001, 1_024_000, '1024001 bytes', '1024000 bytes'],
  ])('says %d bytes and at most %d so that they differ', (bytes, fileBytesMax, size, max) => {
    const [complaint, ...rest] = complaintsOf({ ...ATTRIBUTE, fileBytesMax }, { ...FILE, bytes })
    expect(rest).toEqual([])
    expect(complaint).toMatch(/^The file is too large \([\d.]+ (MB|kB|bytes)\)\. Allowed maximum size is [\d.]+ (MB|kB|bytes)\.$/)
    const [given, allowed] = [...(complaint ?? '').matchAll(/[\d.]+ (?:MB|kB|bytes)/g)].map(String)
    expect([given === allowed, given, allowed]).toEqual([false, size, max])
  })

  test('says nothing of a file that is as large as it may be', () => {
    expect(complaintsOf({ ...ATTRIBUTE, fileBytesMax: FILE.bytes }, FILE)).toEqual([])
  })

  test('takes jpg and jpeg for the same type, and no extension for another', () => {
    const allowedExtensions = ['jpg', 'jpeg', 'png']
    expect(complaintsOf({ ...ATTRIBUTE, allowedExtensions }, { ...FILE, extension: 'jpeg' })).toEqual([])
    expect(complaintsOf({ ...ATTRIBUTE, allowedExtensions }, { ...FILE, extension: 'png' })).toEqual([
      'The MIME type is not allowed for png (allowed types: image/png, found image/jpeg).',
    ])
  })

  test('has a file that is wrong in type and size say both', () => {
    const attribute = { ...ATTRIBUTE, allowedExtensions: ['png'], fileBytesMax: 10 }
    expect(complaintsOf(attribute, FILE).length).toBe(2)
  })
})
