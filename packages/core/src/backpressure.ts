import type { IntakeWorld } from './accept-upload.ts'
import { SluiceError } from './errors.ts'
import type { Lane } from './ingest.ts'
import { humanBytes, type Limits } from './limits.ts'
import type { Load, World } from './ports.ts'

export interface Backpressure {
  /** Throws `service_busy` when there is no room for more in this lane. */
  admit(lane: Lane): Promise<void>
  /** Whether there is room for more bytes of what was promised already. */
  hasRoom(): Promise<boolean>
}

/** An import fills half of what there is room for, so that it never takes the room of those who wait for their answer. */
const SHARES: Readonly<Record<Lane, number>> = { interactive: 1, import: 0.5 }

/** What waits is measured at most once in `loadMsMax`, however many ask. */
export function openBackpressure({ database, limits, now }: Pick<World, 'database' | 'limits' | 'now'>): Backpressure {
  let last: { readonly untilMs: number; readonly load: Promise<Load> } | null = null

  function measure(): Promise<Load> {
    const nowMs = now().getTime()
    if (last && nowMs < last.untilMs) return last.load
    const load = database.ingests.load(limits.failedBytesMsMax)
    const mine = { untilMs: nowMs + limits.loadMsMax, load }
    last = mine
    load.catch(() => {
      if (last === mine) last = null
    })
    return load
  }

  return {
    async admit(lane) {
      const full = boundOf(await measure(), limits, SHARES[lane])
      if (full) throw new SluiceError('service_busy', full)
    },
    hasRoom: async () => (await measure()).stagedBytes < limits.stagedBytesMax,
  }
}

function boundOf({ waiting, stagedBytes }: Load, { ingestsWaitingMax, stagedBytesMax }: Limits, share: number): string | null {
  if (waiting >= ingestsWaitingMax * share) return `${waiting} images wait to be processed; try again later.`
  if (stagedBytes >= stagedBytesMax * share) return `${humanBytes(stagedBytes)} wait to be processed; try again later.`
  return null
}

/** An intake that takes no bytes, and no promise of any, while there is no room. What was staged is promised in any case. */
export function withBackpressure(world: IntakeWorld): IntakeWorld {
  const { objects, database } = world
  const backpressure = openBackpressure(world)
  return {
    ...world,
    objects: {
      ...objects,
      async stage(...given) {
        await backpressure.admit('interactive')
        return objects.stage(...given)
      },
    },
    database: {
      ...database,
      uploads: {
        ...database.uploads,
        async reserve(...given) {
          await backpressure.admit('interactive')
          return database.uploads.reserve(...given)
        },
      },
      ingests: {
        ...database.ingests,
        async accept(ingest) {
          if (!('bytes' in ingest.source)) await backpressure.admit(ingest.lane ?? 'interactive')
          return database.ingests.accept(ingest)
        },
      },
    },
  }
}
