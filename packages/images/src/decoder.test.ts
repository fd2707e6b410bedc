import { fork } from 'node:child_process'
import { createHash, randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { mkdtempSync, rmSync } from 'node:fs'
import { writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { crc32 } from 'node:zlib'
import { type Decoder, DEFAULT_LIMITS, type Inspection, type Limits, MEDIA_TYPES } from '@sluice/core'
import sharp from 'sharp'
import { afterAll, beforeAll, describe, expect, onTestFinished, test } from 'vitest'
import { openDecoder } from './decoder.ts'
import { drawSample } from './draw-sample.ts'

const FORMATS = ['jpeg', 'png', 'webp', 'gif', 'avif'] as const
const folder = mkdtempSync(join(tmpdir(), 'sluice-images-'))
let decoder: Decoder & AsyncDisposable
let files = 0

beforeAll(async () => {
  decoder = await openDecoder({ processes: 2, limits: DEFAULT_LIMITS })
})

afterAll(async () => {
  await decoder[Symbol.asyncDispose]()
  rmSync(folder, { recursive: true })
})

async function fileOf(bytes: Uint8Array): Promise<string> {
  const path = join(folder, String((files += 1)))
  await writeFile(path, bytes)
  return path
}

async function inspect(bytes: Uint8Array): Promise<Inspection> {
  return decoder.inspect(await fileOf(bytes), AbortSignal.timeout(20_000))
}

async function inspectUnder(limits: Partial<Limits>, bytes: Uint8Array): Promise<Inspection> {
  await using strict = await openDecoder({ processes: 1, limits: { ...DEFAULT_LIMITS, ...limits } })
  return await strict.inspect(await fileOf(bytes), AbortSignal.timeout(20_000))
}

function flat(width: number, height: number, background: string) {
  return sharp({ create: { width, height, channels: 4, background } })
}

async function animation(format: 'gif' | 'webp', frames: number): Promise<Buffer> {
  const [width, height] = [40, 30]
  const pixels = randomBytes(width * height * frames * 3)
  const roll = sharp(pixels, { raw: { width, height: height * frames, channels: 3, pageHeight: height } })
  return (format === 'gif' ? roll.gif({ effort: 1 }) : roll.webp({ lossless: true })).toBuffer()
}

describe('what is accepted', () => {
  test.each(FORMATS)('tells everything of a %s', async (format) => {
    const inspection = await inspect(await drawSample({ width: 500, height: 300, format, seed: 1 }))
    expect(inspection).toMatchObject({
      mediaType: `image/${format}`,
      width: 500,
      height: 300,
      orientation: 1,
      mode: format === 'gif' ? 'P' : 'RGB',
      alpha: false,
      frames: 1,
      exif: null,
      warnings: [],
    })
    expect(inspection.dominantColour).toMatch(/^#[0-9a-f]{6}$/)
    expect(Buffer.from(inspection.thumbhash, 'base64').length).toBeGreaterThan(4)
    const { data, width, height } = inspection.thumbnail
    expect(await sharp(data).metadata()).toMatchObject({ format: 'webp', width, height, hasAlpha: false })
    expect({ width, height }).toEqual({ width: 320, height: 192 })
  })

  test('never enlarges, and keeps transparency in the thumbnail', async () => {
    const { thumbnail, alpha, mode } = await inspect(await flat(20, 10, '#ff000080').png().toBuffer())
    expect({ alpha, mode, width: thumbnail.width, height: thumbnail.height }).toEqual({
      alpha: true,
      mode: 'RGBA',
      width: 20,
      height: 10,
    })
    expect((await sharp(thumbnail.data).metadata()).hasAlpha).toBe(true)
  })

  test.each([1, 2, 3, 4, 5, 6, 7, 8])('shows orientation %i upright', async (orientation) => {
    const corner = { input: await flat(20, 20, '#ff0000').png().toBuffer(), left: 0, top: 0 }
    const picture = flat(120, 60, '#0000ff').composite([corner]).withMetadata({ orientation })
    const { thumbnail, ...facts } = await inspect(await picture.jpeg({ quality: 100 }).toBuffer())
    const turned = orientation > 4
    expect(facts).toMatchObject({ orientation, width: turned ? 60 : 120, height: turned ? 120 : 60 })
    // Where the corner that is stored first is seen: TIFF 6.0, tag 274.
    const left = [2, 3, 6, 7].includes(orientation) ? facts.width - 10 : 10
    const top = [3, 4, 7, 8].includes(orientation) ? facts.height - 10 : 10
    const seen = await sharp(thumbnail.data).extract({ left, top, width: 1, height: 1 }).raw().toBuffer()
    expect(seen[0]).toBeGreaterThan(200)
    expect(seen[2]).toBeLessThan(60)
  })

  test('names the colour that is seen, not the one behind full transparency', async () => {
    const dot = { input: await flat(10, 10, '#12ab34').png().toBuffer(), left: 5, top: 5 }
    const { dominantColour } = await inspect(await flat(100, 100, '#ff000000').composite([dot]).png().toBuffer())
    expect(dominantColour).toBe('#12ab34')
  })

  test('reads density, colour profile and EXIF', async () => {
    const tagged = flat(30, 30, '#808080')
      .withMetadata({ density: 300 })
      .withIccProfile('p3')
      .withExifMerge({ IFD0: { Artist: 'A\u0001rtist' } })
    const { density, iccName, exif } = await inspect(await tagged.jpeg().toBuffer())
    expect({ density, iccName }).toEqual({ density: 300, iccName: expect.stringMatching(/P3/) })
    expect(exif).toMatchObject({ Image: { Artist: 'A rtist' } })
  })

  test.each(['gif', 'webp'] as const)('counts the frames of an animated %s', async (format) => {
    expect(await inspect(await animation(format, 7))).toMatchObject({ frames: 7, width: 40, height: 30 })
  })

  test.each(FORMATS)('takes a %s with foreign bytes behind it', async (format) => {
    const image = await drawSample({ width: 64, height: 48, format, seed: 2 })
    const tails = ['<script>alert(1)</script>', '<?php system($_GET[0]); ?>', 'PK\u0003\u0004', '%PDF-1.7']
    for (const tail of tails) expect(await inspect(Buffer.concat([image, Buffer.from(tail)]))).toMatchObject({ width: 64 })
  })

  test('takes a still GIF that lacks only its end marker, and says so', async () => {
    const gif = await drawSample({ width: 64, height: 48, format: 'gif', seed: 3 })
    expect(await inspect(gif.subarray(0, -1))).toMatchObject({ warnings: ['the end marker of the file is missing'] })
  })
})

describe('what is refused', () => {
  const tenths = [1, 2, 3, 4, 5, 6, 7, 8, 9]

  test.each([...FORMATS, 'progressive', 'interlaced'] as const)('a %s that is cut anywhere', async (kind) => {
    const whole = await wholeOf(kind)
    for (const tenth of tenths) {
      const cut = whole.subarray(0, Math.floor((whole.length * tenth) / 10))
      await expect(inspect(cut), `cut at ${tenth}0 %`).rejects.toMatchObject({ code: 'image_truncated' })
    }
  })

  test.each(['gif', 'webp'] as const)('an animated %s that is cut anywhere', async (format) => {
    const whole = await animation(format, 6)
    for (const tenth of tenths) {
      const cut = whole.subarray(0, Math.floor((whole.length * tenth) / 10))
      await expect(inspect(cut), `cut at ${tenth}0 %`).rejects.toMatchObject({ code: 'image_truncated' })
    }
  })

  test('a PNG that is cut behind its pixels', async () => {
    const image = await drawSample({ width: 64, height: 48, format: 'png', seed: 4 })
    const text = chunk('tEXt', Buffer.from(`Comment\0${'x'.repeat(image.length)}`))
    const whole = Buffer.concat([image.subarray(0, -12), text, image.subarray(-12)])
    expect(await inspect(whole)).toMatchObject({ warnings: [] })
    for (const missing of [1, 12, 14, 100]) {
      await expect(inspect(whole.subarray(0, -missing))).rejects.toMatchObject({ code: 'image_truncated' })
    }
  })

  test.each([
    ['nothing', Buffer.alloc(0)],
    ['random bytes', randomBytes(5000)],
    ['an SVG', Buffer.from('<svg xmlns="http://www.w3.org/2000/svg" width="9" height="9"/>')],
    ['a text', Buffer.from('These are words. '.repeat(50))],
  ])('%s, as no type of ours', async (_, bytes) => {
    await expect(inspect(bytes)).rejects.toMatchObject({ code: 'media_type_unsupported' })
  })

  test('a TIFF, whose loader is not in reach', async () => {
    const tiff = await flat(9, 9, '#fff').tiff().toBuffer()
    await expect(inspect(tiff)).rejects.toMatchObject({
      code: 'media_type_unsupported',
      message: expect.stringContaining('image/tiff'),
    })
  })

  test('an AVIF that says it is HEIC', async () => {
    const avif = await drawSample({ width: 64, height: 48, format: 'avif', seed: 5 })
    avif.write('heic', 8, 'latin1')
    await expect(inspect(avif)).rejects.toMatchObject({
      code: 'media_type_unsupported',
      message: expect.stringContaining('image/heic'),
    })
  })

  // Noise behind the frame header of a lossy WebP would decode: VP8 gives every bit string a meaning and has no checksum.
  test.each(FORMATS)('a %s that is noise behind its first bytes, with a code of the image and nothing else', async (format) => {
    const image = await drawSample({ width: 64, height: 48, format, seed: 6 })
    const noise = Buffer.alloc(3000, createHash('sha512').update('noise').digest())
    await expect(inspect(Buffer.concat([image.subarray(0, 16), noise]))).rejects.toMatchObject({
      code: expect.stringMatching(/^image_(corrupt|truncated|pixels_exceeded)$|^media_type_unsupported$/),
    })
  })

  test('a PNG with a wrong checksum', async () => {
    const image = await drawSample({ width: 64, height: 48, format: 'png', seed: 7 })
    image[image.length - 14] = (image[image.length - 14] ?? 0) ^ 0xff
    await expect(inspect(image)).rejects.toMatchObject({ code: 'image_corrupt' })
  })

  test('a small file that announces a huge image, before a pixel of it is decoded', async () => {
    const header = Buffer.from([0, 0, 0xc3, 0x50, 0, 0, 0xc3, 0x50, 8, 2, 0, 0, 0])
    const start = Buffer.from([0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a])
    const bomb = Buffer.concat([start, chunk('IHDR', header), chunk('IDAT', randomBytes(64)), chunk('IEND', Buffer.alloc(0))])
    await expect(inspect(bomb)).rejects.toMatchObject({ code: 'image_pixels_exceeded', details: { pixelsMax: 100_000_000 } })
  })

  test('an animation whose frames are too many, or too large together', async () => {
    const gif = await animation('gif', 5)
    await expect(inspectUnder({ framesMax: 4 }, gif)).rejects.toMatchObject({
      code: 'image_frames_exceeded',
      details: { frames: 5, framesMax: 4 },
    })
    await expect(inspectUnder({ pixelsMax: 5999 }, gif)).rejects.toMatchObject({
      code: 'image_pixels_exceeded',
      details: { pixels: 6000, pixelsMax: 5999 },
    })
    expect(await inspectUnder({ framesMax: 5, pixelsMax: 6000 }, gif)).toMatchObject({ frames: 5 })
  })

  test('an image that takes too long', async () => {
    const large = await drawSample({ width: 1500, height: 1500, format: 'avif', seed: 8 })
    await expect(inspectUnder({ decodeMsMax: 5 }, large)).rejects.toMatchObject({ code: 'image_too_costly' })
  })

  test('an image that takes too much memory', async () => {
    // The passes of an interlaced PNG need all of it at once: 108 MB here.
    const large = await sharp({ create: { width: 6000, height: 6000, channels: 3, background: '#123456' } })
      .png({ progressive: true, compressionLevel: 1 })
      .toBuffer()
    const decodeMemoryBytesMax = 170 * 1024 * 1024
    await expect(inspectUnder({ decodeMemoryBytesMax }, large)).rejects.toMatchObject({
      code: 'image_too_costly',
      details: { decodeMemoryBytesMax },
    })
    const small = await drawSample({ width: 200, height: 200, format: 'png', seed: 9 })
    expect(await inspectUnder({ decodeMemoryBytesMax }, small)).toMatchObject({ width: 200 })
  })

  test('a file that is not there is no fault of an image', async () => {
    await expect(decoder.inspect(join(folder, 'missing'), AbortSignal.timeout(20_000))).rejects.not.toHaveProperty('code')
  })
})

test.each(['SIGINT', 'SIGTERM'] as const)(
  'a %s that is meant for the service leaves its decoders to their work',
  async (signal) => {
    const child = fork(new URL('decode-child.ts', import.meta.url), { serialization: 'advanced' })
    onTestFinished(() => void child.kill('SIGKILL'))
    await once(child, 'message')
    child.kill(signal)
    const path = await fileOf(await drawSample({ width: 200, height: 150, format: 'png', seed: 11 }))
    child.send({ path, limits: DEFAULT_LIMITS })
    const [answer] = await Promise.race([once(child, 'message'), once(child, 'exit')])
    expect(answer).toMatchObject({ kind: 'result', result: { width: 200 } })
  },
)

async function wholeOf(kind: (typeof FORMATS)[number] | 'progressive' | 'interlaced'): Promise<Buffer> {
  if (kind === 'progressive') {
    const image = await drawSample({ width: 200, height: 150, format: 'png', seed: 10 })
    return sharp(image).jpeg({ progressive: true }).toBuffer()
  }
  if (kind === 'interlaced') {
    const image = await drawSample({ width: 200, height: 150, format: 'png', seed: 10 })
    return sharp(image).png({ progressive: true }).toBuffer()
  }
  return drawSample({ width: 200, height: 150, format: kind, seed: 10 })
}

function chunk(name: string, data: Buffer): Buffer {
  const body = Buffer.concat([Buffer.from(name, 'latin1'), data])
  const [length, checksum] = [Buffer.alloc(4), Buffer.alloc(4)]
  length.writeUInt32BE(data.length)
  checksum.writeUInt32BE(crc32(body))
  return Buffer.concat([length, body, checksum])
}

test('every accepted type is tested here', () => {
  expect(FORMATS.map((format) => `image/${format}`).sort()).toEqual(Object.keys(MEDIA_TYPES).sort())
})
