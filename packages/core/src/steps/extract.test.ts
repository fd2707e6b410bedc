import { expect, test } from 'vitest'
import type { Inspection, LocalCopy } from '../ports.ts'
import type { Work } from '../pipeline.ts'
import { aFacts, memoryWorld } from '../testing/index.ts'
import { extract } from './extract.ts'

const { bytes, digest, thumbnail: _thumbnail, ...seen } = aFacts()

const inspection: Inspection = {
  ...seen,
  exif: { Image: { Make: 'Leica' }, GPSInfo: { GPSLatitude: [52, 31, 0] } },
  thumbnail: { data: new Uint8Array(7), width: 40, height: 30 },
}

async function extracted(keepGps: boolean, exif = inspection.exif) {
  await using world = memoryWorld({ policy: { keepGps, roles: [], guestTenant: null, publicUrl: null } })
  const copy: LocalCopy = { path: '', bytes, digest, [Symbol.asyncDispose]: async () => {} }
  const outcome = await extract({ copy, inspection: { ...inspection, exif } } as unknown as Work, world)
  return outcome.found?.facts
}

test('tells no coordinates unless policy says so', async () => {
  expect((await extracted(false))?.exif).toEqual({ Image: { Make: 'Leica' } })
  expect((await extracted(true))?.exif).toEqual(inspection.exif)
})

test('keeps no empty shell where there were only coordinates', async () => {
  expect((await extracted(false, { GPSInfo: { GPSLatitude: [52, 31, 0] } }))?.exif).toBeNull()
})

test('takes size and digest from what was read back, and the size of the thumbnail, not the thumbnail', async () => {
  expect(await extracted(false)).toMatchObject({ bytes, digest, thumbnail: { width: 40, height: 30, bytes: 7 } })
})
