import sharp from 'sharp'
import { expect, test } from 'vitest'
import { drawSample } from './draw-sample.ts'

test('draws the same picture for the same seed, and another for another', async () => {
  const draw = (seed: number) => drawSample({ width: 60, height: 40, format: 'png', seed })
  expect(await draw(1)).toEqual(await draw(1))
  expect(await draw(2)).not.toEqual(await draw(1))
  expect(await sharp(await draw(1)).metadata()).toMatchObject({ width: 60, height: 40, format: 'png' })
})
