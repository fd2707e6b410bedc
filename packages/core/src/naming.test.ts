import * as fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { DEFAULT_LIMITS } from './limits.ts'
import { nameStem, numberedName, safeFileName } from './naming.ts'

describe('nameStem', () => {
  test.each([
    ['new image', 'new_image'],
    ['new image.gif', 'new_image'],
    ['VE2011.JPG', 'VE2011'],
    ['a b/c.png', 'a_b_c'],
    ['日本.png', 'file'],
    ['___', 'file'],
    ['..', 'file'],
    ['', 'file'],
    ['archive.tar', 'archive.tar'],
    ['front-1.2', 'front-1.2'],
    ['../../etc/passwd', '.._.._etc_passwd'],
  ])('makes of %j the stem %j', (given, stem) => {
    expect(nameStem(given, DEFAULT_LIMITS)).toBe(stem)
  })

  test('gives for any text a stem that is safe in a path and in a header', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'binary', maxLength: 300 }), (given) => {
        const stem = nameStem(given, DEFAULT_LIMITS)
        expect(stem).toMatch(/^[A-Za-z0-9_.-]+$/)
        expect(stem).not.toMatch(/^\.+$/)
        expect(stem.length).toBeLessThanOrEqual(DEFAULT_LIMITS.nameLengthMax)
      }),
    )
  })
})

test('the first of a stem has no number, the second is 2', () => {
  expect([1, 2, 3].map((n) => numberedName('image', n))).toEqual(['image', 'image_2', 'image_3'])
})

describe('safeFileName', () => {
  test.each([
    ['photo.jpg', 'photo.jpg'],
    ['C:\\fakepath\\photo.jpg', 'photo.jpg'],
    ['../../etc/passwd', 'passwd'],
    ['passwd\u202egpj.exe', 'passwdgpj.exe'],
    ['a\r\nSet-Cookie: b.jpg', 'aSet-Cookie: b.jpg'],
    ['e\u0301.png', 'é.png'],
    ['日本.png', '日本.png'],
    ['..', null],
    ['/', null],
    ['', null],
    [null, null],
  ])('makes of %j the name %j', (given, name) => {
    expect(safeFileName(given, DEFAULT_LIMITS)).toBe(name)
  })

  test('cuts between characters, never inside one', () => {
    expect(safeFileName('🌷'.repeat(300), DEFAULT_LIMITS)).toBe('🌷'.repeat(DEFAULT_LIMITS.fileNameLengthMax))
  })
})
