import type { IntakeWorld } from '../accept-upload.ts'
import { openFetchSlots } from '../fetch-slots.ts'
import { DEFAULT_LIMITS } from '../limits.ts'
import { SluiceError } from '../errors.ts'
import type { Fetcher, Objects, Observed, Observer, World } from '../ports.ts'
import { DEFAULT_ROLES } from '../product-image.ts'
import { newId } from './builders.ts'
import type { TestedDatabase } from './database-suite.ts'
import { type ManualClock, manualClock } from './manual-clock.ts'
import { memoryDatabase } from './memory-database.ts'
import { memoryObjects } from './memory-objects.ts'
import { memoryQueue } from './memory-queue.ts'
import type { TestedQueue } from './queue-suite.ts'
import { scriptedDecoder } from './scripted-decoder.ts'

export interface MemoryWorld extends World, Pick<IntakeWorld, 'secretKey'>, AsyncDisposable {
  readonly database: TestedDatabase
  readonly objects: Objects & AsyncDisposable
  readonly queue: TestedQueue
  /** The time of the whole world but for the queue's waits, which are real. */
  readonly clock: ManualClock
  /** All that was observed, in order. */
  readonly observed: readonly Observed[]
}

/** What a test may replace. A part that fails on purpose is made of a good one: `{ ...memoryQueue(), add: fail }`. */
export type WorldParts = Partial<Omit<MemoryWorld, 'now' | 'observed' | keyof AsyncDisposable>>

/** A whole world in this process, the same each time: its clock stands still, and chance is always in the middle. */
export function memoryWorld(parts: WorldParts = {}): MemoryWorld {
  const { clock = manualClock() } = parts
  const { observed, ...observer } = recordingObserver()
  const world = {
    database: memoryDatabase(clock),
    objects: memoryObjects(clock.now),
    queue: memoryQueue(),
    decoder: scriptedDecoder(),
    observer,
    policy: { keepGps: false, roles: DEFAULT_ROLES, guestTenant: null, publicUrl: null },
    fetcher: unreachable,
    fetchSlots: openFetchSlots({
      limits: parts.limits ?? DEFAULT_LIMITS,
      max: Infinity,
      hasRoom: async () => true,
      now: clock.now,
    }),
    secretKey: 'a-secret-key-for-tests',
    limits: DEFAULT_LIMITS,
    newId,
    random: () => 0.5,
    clock,
    ...parts,
  }
  return {
    ...world,
    now: clock.now,
    observed,
    async [Symbol.asyncDispose]() {
      await world.queue[Symbol.asyncDispose]()
      await world.objects[Symbol.asyncDispose]()
      await world.database[Symbol.asyncDispose]()
    },
  }
}

/** There is nothing out there. */
const unreachable: Fetcher = {
  check: (url) => url,
  fetch: async () => {
    throw new SluiceError('url_unreachable')
  },
  fetchChanged: async () => {
    throw new SluiceError('url_unreachable')
  },
  post: async () => {
    throw new SluiceError('url_unreachable')
  },
}

export function recordingObserver(): Observer & { readonly observed: readonly Observed[] } {
  const observed: Observed[] = []
  return { observed, observe: (event) => void observed.push(event) }
}
