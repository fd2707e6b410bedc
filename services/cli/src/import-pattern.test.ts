import { describe, expect, it } from 'vitest'
import { DEFAULT_PATTERN, readPattern } from './import-pattern.ts'

describe('the names of files', () => {
  const byDefault = readPattern(DEFAULT_PATTERN)

  it.each([
    ['shirt_1.jpg', { sku: 'shirt', position: 1 }],
    ['shirt_007.tar.gz', { sku: 'shirt', position: 7 }],
    ['deep/below/shirt-red_12.png', { sku: 'shirt-red', position: 12 }],
    ['shirt.jpg', null],
    ['shirt_front.jpg', null],
    ['_1.jpg', null],
    ['a_b_1.jpg', null],
  ])('tell by default of %s: %o', (path, fields) => {
    expect(byDefault(path)).toEqual(fields)
  })

  it('are held against the pattern whole, and with their folders where it has a slash', () => {
    const inFolders = readPattern(String.raw`(?<sku>[^/]+)/(?<position>\d+)\.jpg`)
    expect(inFolders('shirt/2.jpg')).toEqual({ sku: 'shirt', position: 2 })
    expect(inFolders('shirt/2.jpg.bak')).toBeNull()
    expect(inFolders('season/shirt/2.jpg')).toBeNull()
    expect(readPattern(String.raw`(?<sku>a|b)\.jpg`)('ab.jpg')).toBeNull()
  })

  it('may name label and role, everywhere or in one store view', () => {
    const all = readPattern(String.raw`(?<sku>\w+?)(-(?<role>\w+?))?(\((?<label>.*)\))?(@(?<store>\w+))?\.jpg`)
    expect(all('shirt-thumbnail(From behind).jpg')).toEqual({ sku: 'shirt', roles: ['thumbnail'], label: 'From behind' })
    expect(all('shirt-thumbnail(Von hinten)@de.jpg')).toEqual({
      sku: 'shirt',
      stores: { de: { label: 'Von hinten', roles: ['thumbnail'] } },
    })
    expect(all('shirt-image.jpg')).toEqual({ sku: 'shirt', main: true })
    expect(all('shirt.jpg')).toEqual({ sku: 'shirt' })
  })

  it.each([
    ['(?<sku>', 'Invalid regular expression'],
    ['(?<position>\\d+)', 'it needs a group (?<sku>…)'],
    ['(?<sku>.*)(?<rank>\\d)', '(?<rank>…) is not one of the groups'],
    ['(?<sku>.*)@(?<store>.*)', 'says where a (?<label>…) or a (?<role>…) holds'],
  ])('cannot be made as %s', (pattern, why) => {
    expect(() => readPattern(pattern)).toThrow(expect.objectContaining({ exitCode: 2, message: expect.stringContaining(why) }))
  })
})
