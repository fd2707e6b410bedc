import sharp from 'sharp'
import * as fc from 'fast-check'
import { expect, test } from 'vitest'
import { drawSample } from './draw-sample.ts'
import { sniff } from './sniff.ts'

test.each(['jpeg', 'png', 'webp', 'gif', 'avif'] as const)('knows a %s by its first bytes', async (format) => {
  const image = await drawSample({ width: 200, height: 200, format, seed: 1 })
  expect(await sniff(image.subarray(0, 4100))).toBe(`image/${format}`)
})

test('tells AVIF from HEIC, whichever brand comes first', async () => {
  const brands = (...names: string[]) =>
    Buffer.concat([Buffer.from([0, 0, 0, 8 + names.length * 4]), Buffer.from(`ftyp${names.join('')}`)])
  expect(await sniff(brands('heic', '\0\0\0\0', 'mif1', 'heic'))).toBe('image/heic')
  expect(await sniff(brands('mif1', '\0\0\0\0', 'mif1', 'heic'))).toBe('image/heic')
  expect(await sniff(brands('mif1', '\0\0\0\0', 'mif1', 'avif'))).toBe('image/avif')
  expect(await sniff(brands('avif', '\0\0\0\0', 'mif1', 'avif'))).toBe('image/avif')
})

test('names types that are not accepted, so that an error can', async () => {
  const tiff = await sharp({ create: { width: 99, height: 99, channels: 3, background: '#abc' } })
    .tiff()
    .toBuffer()
  expect(await sniff(tiff.subarray(0, 4100))).toBe('image/tiff')
  expect(await sniff(Buffer.from('<?xml version="1.0"?>\n<!-- drawn -->\n<svg width="9"></svg>'))).toBe('image/svg+xml')
  expect(await sniff(Buffer.from('\ufeff<svg width="9"></svg>'))).toBe('image/svg+xml')
  expect(await sniff(Buffer.from('%PDF-1.7\n'))).toBe('application/pdf')
})

test('an animated PNG is a PNG', async () => {
  const png = await drawSample({ width: 20, height: 20, format: 'png', seed: 1 })
  const control = Buffer.from([0, 0, 0, 8, ...Buffer.from('acTL'), 0, 0, 0, 2, 0, 0, 0, 0, 0, 0, 0, 0])
  expect(await sniff(Buffer.concat([png.subarray(0, 33), control, png.subarray(33)]))).toBe('image/png')
})

test('survives any bytes, also behind the signatures of known types', async () => {
  const signatures = [
    '',
    '\u0089PNG\r\n\u001a\n',
    'GIF89a',
    'RIFF1234WEBP',
    '\u00ff\u00d8\u00ff',
    '\0\0\0\u0014ftypmif1',
    'PK\u0003\u0004',
    'II*\0',
    '\u001f\u008b\u0008',
    'ID3',
    '0&\u00b2u\u008ef\u00cf\u0011\u00a6\u00d9\0\u00aa\0b\u00cel',
    '\u001aE\u00df\u00a3',
    '<svg',
  ]
  await fc.assert(
    fc.asyncProperty(fc.constantFrom(...signatures), fc.uint8Array({ maxLength: 4200 }), async (signature, noise) => {
      const type = await sniff(Buffer.concat([Buffer.from(signature, 'latin1'), noise]))
      expect(type === null || type.includes('/')).toBe(true)
    }),
  )
})
