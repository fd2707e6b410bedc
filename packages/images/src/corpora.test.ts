import { existsSync, readdirSync } from 'node:fs'
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { type Decoder, DEFAULT_LIMITS, SluiceError } from '@sluice/core'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { openDecoder } from './decoder.ts'
import { children, peakOf } from './testing/children.ts'

const CORPORA = join(import.meta.dirname, '../../../../shared/corpora')

/** Accepted is the rest. What libvips, libjpeg and libpng refuse by themselves; Pillow refuses the same files of PngSuite. */
const REFUSED: Record<string, Record<string, string>> = {
  pngsuite: {
    'xc1n0g08.png': 'image_corrupt',
    'xc9n2c08.png': 'image_corrupt',
    'xcrn0g04.png': 'media_type_unsupported',
    'xcsn0g01.png': 'image_corrupt',
    'xd0n2c08.png': 'image_corrupt',
    'xd3n2c08.png': 'image_corrupt',
    'xd9n2c08.png': 'image_corrupt',
    'xdtn0g01.png': 'image_corrupt',
    'xhdn0g08.png': 'image_corrupt',
    'xlfn0g04.png': 'media_type_unsupported',
    'xs1n0g01.png': 'media_type_unsupported',
    'xs2n0g01.png': 'media_type_unsupported',
    'xs4n0g01.png': 'media_type_unsupported',
    'xs7n0g01.png': 'media_type_unsupported',
  },
  photos: {
    '65536-uint32-limit.png': 'image_pixels_exceeded',
    'corrupt-header.jpg': 'image_truncated',
    'giant-image.jpg': 'image_pixels_exceeded',
    'truncated.jpg': 'image_truncated',
    'truncated.png': 'image_truncated',
  },
  orientation: {},
}

describe.skipIf(!existsSync(CORPORA))('public test images', () => {
  let decoder: Decoder & AsyncDisposable
  beforeAll(async () => {
    decoder = await openDecoder({ processes: 2, limits: DEFAULT_LIMITS })
  })
  afterAll(() => decoder[Symbol.asyncDispose]())

  const images = (folder: string) => readdirSync(join(CORPORA, folder)).filter((name) => !/LICENSE|README/.test(name))

  async function verdict(path: string): Promise<string> {
    try {
      const { mediaType } = await decoder.inspect(path, AbortSignal.timeout(20_000))
      return mediaType
    } catch (error) {
      return SluiceError.is(error) ? error.code : String(error)
    }
  }

  test.each(Object.entries(REFUSED))('every file of %s gets its verdict', { timeout: 60_000 }, async (folder, refused) => {
    const wrong: string[] = []
    for (const name of images(folder)) {
      const path = join(CORPORA, folder, name)
      const sniffed = await decoder.sniff(await readFile(path))
      const foreign = /\.(tiff?|svg|jp2)$/i.test(name) ? 'media_type_unsupported' : null
      const expected = refused[name] ?? foreign ?? sniffed
      const actual = await verdict(path)
      if (actual !== expected) wrong.push(`${name}: ${actual} instead of ${expected}`)
    }
    expect(wrong).toEqual([])
    // Those that are still there; one that had kept much was replaced.
    const peaks = process.platform === 'linux' ? children().map(({ pid }) => peakOf(pid)) : []
    expect(Math.max(0, ...peaks)).toBeLessThan(DEFAULT_LIMITS.decodeMemoryBytesMax)
  })
})
