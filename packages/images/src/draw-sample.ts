import sharp, { type Sharp } from 'sharp'

export interface SampleOptions {
  readonly width: number
  readonly height: number
  readonly format: 'jpeg' | 'png' | 'webp' | 'gif' | 'avif'
  /** The same seed draws the same picture. */
  readonly seed: number
  readonly quality?: number
}

/** A picture that compresses like a photograph: a gradient, some soft discs, and a little grain. */
export async function drawSample({ width, height, format, seed, quality = 80 }: SampleOptions): Promise<Buffer> {
  const picture = sharp(paint(width, height, seed), { raw: { width, height, channels: 3 } })
  return ENCODERS[format](picture, quality).toBuffer()
}

const ENCODERS: Record<SampleOptions['format'], (image: Sharp, quality: number) => Sharp> = {
  jpeg: (image, quality) => image.jpeg({ quality }),
  png: (image) => image.png(),
  webp: (image, quality) => image.webp({ quality, effort: 2 }),
  gif: (image) => image.gif({ effort: 1 }),
  avif: (image, quality) => image.avif({ quality, effort: 1 }),
}

interface Disc {
  readonly x: number
  readonly y: number
  readonly radius: number
  readonly colour: readonly number[]
}

const DISCS = 6
const GRAIN = 12

function paint(width: number, height: number, seed: number): Uint8Array {
  const random = randomFrom(seed)
  const [top, bottom] = [colour(random), colour(random)]
  const discs = Array.from({ length: DISCS }, () => disc(random, width, height))
  const pixels = new Uint8ClampedArray(width * height * 3)
  for (let y = 0; y < height; y += 1) {
    for (let x = 0; x < width; x += 1) {
      const hit = discs.find((each) => (x - each.x) ** 2 + (y - each.y) ** 2 < each.radius ** 2)
      const grain = (random() - 0.5) * GRAIN
      for (let channel = 0; channel < 3; channel += 1) {
        const ground = (top[channel] ?? 0) + (((bottom[channel] ?? 0) - (top[channel] ?? 0)) * y) / height
        pixels[(y * width + x) * 3 + channel] = (hit ? ((hit.colour[channel] ?? 0) * 3 + ground) / 4 : ground) + grain
      }
    }
  }
  return new Uint8Array(pixels.buffer)
}

function disc(random: () => number, width: number, height: number): Disc {
  const radius = (0.08 + random() * 0.2) * Math.min(width, height)
  return { x: random() * width, y: random() * height, radius, colour: colour(random) }
}

function colour(random: () => number): readonly number[] {
  return [random() * 255, random() * 255, random() * 255]
}

/** A linear congruential generator (Numerical Recipes): repeatable, and good enough to look at. */
function randomFrom(seed: number): () => number {
  let state = seed >>> 0
  return () => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0
    return state / 2 ** 32
  }
}
