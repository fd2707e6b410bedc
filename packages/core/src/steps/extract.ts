import type { Exif, Facts } from '../file.ts'
import type { StepOutcome, Work } from '../pipeline.ts'
import type { Policy, World } from '../ports.ts'

/** The group of EXIF that holds coordinates, as exif-reader names it. */
const GPS_GROUP = 'GPSInfo'

/** What the decode told becomes the facts that are kept, as far as policy allows. */
export async function extract({ copy, inspection }: Work, world: World): Promise<StepOutcome> {
  if (!inspection || !copy) return { kind: 'skipped', because: 'the facts are known' }
  const { thumbnail, exif, ...seen } = inspection
  const facts: Facts = {
    ...seen,
    bytes: copy.bytes,
    digest: copy.digest,
    exif: exif && keptExif(exif, world.policy),
    thumbnail: { width: thumbnail.width, height: thumbnail.height, bytes: thumbnail.data.byteLength },
  }
  const { width, height, mediaType } = facts
  return { kind: 'done', found: { facts }, note: `${mediaType}, ${width} × ${height}` }
}

function keptExif(exif: Exif, policy: Policy): Exif | null {
  const kept = Object.entries(exif).filter(([group]) => policy.keepGps || group !== GPS_GROUP)
  return kept.length === 0 ? null : Object.fromEntries(kept)
}
