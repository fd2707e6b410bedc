import { DEFAULT_LIMITS } from '@sluice/core'
import * as fc from 'fast-check'
import { expect, test } from 'vitest'
import { readExif } from './exif.ts'
import { iccName } from './icc-name.ts'

type Entry = readonly [tag: number, type: number, count: number, value: number]

/** A big-endian TIFF block with one directory, and bytes behind it that entries may point to. */
function exifBlock(entries: readonly Entry[], behind = Buffer.alloc(0)): Buffer {
  const block = Buffer.alloc(8 + 2 + entries.length * 12 + 4)
  block.write('MM\0*\0\0\0\u0008', 'latin1')
  block.writeUInt16BE(entries.length, 8)
  entries.forEach(([tag, type, count, value], index) => {
    const at = 10 + index * 12
    block.writeUInt16BE(tag, at)
    block.writeUInt16BE(type, at + 2)
    block.writeUInt32BE(count, at + 4)
    block.writeUInt32BE(value, at + 8)
  })
  return Buffer.concat([block, behind])
}

function read(block: Uint8Array, limits = DEFAULT_LIMITS) {
  const warnings: string[] = []
  return { exif: readExif(block, limits, (text) => warnings.push(text)), warnings }
}

const MAKE = 0x10f
const ORIENTATION = 0x112
const X_RESOLUTION = 0x11a
const DATE_TIME = 0x132

test('EXIF becomes JSON that a database takes: no control characters, no infinity, dates as text', () => {
  const entries: Entry[] = [
    [MAKE, 2, 8, 62],
    [ORIENTATION, 3, 1, 6 << 16],
    [X_RESOLUTION, 5, 1, 70],
    [DATE_TIME, 2, 20, 78],
  ]
  const behind = Buffer.concat([
    Buffer.from('Ma\0ker\u0007\0'),
    Buffer.from([0, 0, 0, 1, 0, 0, 0, 0]),
    Buffer.from('2020:02:03 04:05:06\0'),
  ])
  expect(read(exifBlock(entries, behind))).toEqual({
    exif: { Image: { Make: 'Ma ker', Orientation: 6, DateTime: '2020-02-03T04:05:06.000Z' } },
    warnings: [],
  })
})

test('EXIF whose entries share their bytes is refused before it is read: its values would fill the memory', () => {
  const shared = Array.from({ length: 2000 }, (_, tag): Entry => [tag + 1, 1, 60_000, 24_014])
  const { exif, warnings } = read(exifBlock(shared, Buffer.alloc(60_000)))
  expect({ exif, warnings }).toEqual({ exif: null, warnings: ['the EXIF block is malformed and was ignored'] })
})

test('EXIF that is too long, or none at all, is null and no fault', () => {
  expect(read(Buffer.alloc(DEFAULT_LIMITS.exifBytesMax + 1))).toEqual({
    exif: null,
    warnings: ['the EXIF block is too long and was ignored'],
  })
  expect(read(Buffer.alloc(0))).toEqual({ exif: null, warnings: [] })
})

test('any bytes as EXIF give bounded JSON or null', () => {
  const entry = fc.tuple(fc.nat(0xffff), fc.nat(12), fc.nat(300), fc.nat(500))
  fc.assert(
    fc.property(fc.array(entry, { maxLength: 30 }), fc.uint8Array({ maxLength: 500 }), (entries, behind) => {
      const { exif } = read(exifBlock(entries, Buffer.from(behind)))
      const json = JSON.stringify(exif)
      expect(json.length).toBeLessThan(64 * 1024)
      expect(json).not.toMatch(/\\u00[01]/)
      expect(JSON.parse(json)).toEqual(exif)
    }),
  )
})

function profile(tag: Buffer, name = 'desc'): Buffer {
  const bytes = Buffer.alloc(144)
  bytes.writeUInt32BE(1, 128)
  bytes.write(name, 132, 'latin1')
  bytes.writeUInt32BE(144, 136)
  bytes.writeUInt32BE(tag.length, 140)
  return Buffer.concat([bytes, tag])
}

test('reads the name of a profile in both of its forms', () => {
  const ascii = Buffer.concat([Buffer.from('desc\0\0\0\0\0\0\0\u0005sRGB\0', 'latin1')])
  expect(iccName(profile(ascii))).toBe('sRGB')
  const text = Buffer.from('Größe', 'utf16le').swap16()
  const header = Buffer.from('mluc\0\0\0\0\0\0\0\u0001\0\0\0\u000cdeDE', 'latin1')
  const unicode = Buffer.concat([header, Buffer.from([0, 0, 0, text.length, 0, 0, 0, 28]), text])
  expect(iccName(profile(unicode))).toBe('Größe')
})

test('a profile without a name, or a malformed one, has none', () => {
  expect(iccName(profile(Buffer.alloc(20), 'cprt'))).toBeNull()
  expect(iccName(Buffer.from('short'))).toBeNull()
  fc.assert(fc.property(fc.uint8Array({ maxLength: 300 }), (bytes) => (iccName(profile(Buffer.from(bytes)))?.length ?? 0) <= 200))
})
