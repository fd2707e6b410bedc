/** What an intake does when there is too much: it turns away, says when to come again, and takes more as soon as there is room. */
import type { IntakeWorld } from './accept-upload.ts'
import { SluiceError } from './errors.ts'
import type { HookSourceId, TenantId } from './ids.ts'
import type { Lane } from './ingest.ts'
import { humanBytes, type Limits } from './limits.ts'
import { openMeasure, openTally } from './measured-load.ts'
import type { Load, Waiting, World } from './ports.ts'

export interface Backpressure {
  /** Throws `service_busy` or `tenant_busy` when there is no room for another promise in this lane. */
  admit(tenantId: TenantId, lane: Lane): Promise<void>
  /** A place for one upload until it is disposed of. Throws the same, before a byte is read. */
  takePlace(tenantId: TenantId): Promise<UploadPlace>
  /** Throws `tenant_busy` while too many events of a source wait. */
  admitEvent(sourceId: HookSourceId): Promise<void>
  /** Whether there is room for more ingests. */
  hasRoom(): Promise<boolean>
  /** Whether there is room for the bytes of an ingest that is there already. */
  hasRoomForBytes(): Promise<boolean>
}

export interface UploadPlace extends Disposable {
  /** Passes bytes on, which count as staged while they arrive. */
  counted(bytes: AsyncIterable<Uint8Array>): AsyncIterable<Uint8Array>
  /** They are staged: they count until they are measured. */
  keep(): void
}

/** An import fills half of what there is room for, so that it never takes the room of those who wait for their answer. */
const SHARES: Readonly<Record<Lane, number>> = { interactive: 1, import: 0.5 }

/**
 * What waits is measured at most once in `loadMsMax`, however many ask, and what this process has let in since is counted on top: a
 * burst between two measures ends at the bound too. Beyond it may go what other processes let in within that time, and the rest of
 * the uploads that are under way.
 */
export function openBackpressure(world: Pick<World, 'database' | 'limits' | 'now' | 'observer'>): Backpressure {
  const { database, limits, now, observer } = world
  const load = openMeasure(() => database.ingests.load(limits.failedBytesMsMax), limits.loadMsMax, now)
  const underWay = openTally<TenantId>()
  const events = openEventCounts(world)

  function shed({ bound, code, message }: Full): never {
    observer.observe({ kind: 'intake.shed', bound })
    throw new SluiceError(code, message)
  }

  /** What waits, over all or of one tenant. Whoever is measured and tells of nothing waits for nothing. */
  const sumOf = (measured: Waiting | undefined, tenantId: TenantId | null): Waiting => {
    const [since, coming] = [load.since.of(tenantId), underWay.of(tenantId)]
    return {
      waiting: (measured?.waiting ?? 0) + since.waiting + coming.waiting,
      stagedBytes: (measured?.stagedBytes ?? 0) + since.stagedBytes + coming.stagedBytes,
    }
  }

  /** Without a wait between this and what is then let in: of many who come at once each sees those before it. */
  function checkRoom(measured: Load, tenantId: TenantId, lane: Lane): void {
    const own = sumOf(measured.ofTenants.get(tenantId), tenantId)
    const full = fullOf(sumOf(measured, null), own, limits, SHARES[lane])
    if (full) shed(full)
  }

  return {
    async admit(tenantId, lane) {
      checkRoom(await load.measure(), tenantId, lane)
      load.since.add(tenantId, { waiting: 1, stagedBytes: 0 })
    },
    async takePlace(tenantId) {
      checkRoom(await load.measure(), tenantId, 'interactive')
      const full = placesFullOf(underWay.of(null).waiting, underWay.of(tenantId).waiting, limits)
      if (full) shed(full)
      return placeIn(tenantId, underWay, (amount) => load.since.add(tenantId, amount))
    },
    async admitEvent(sourceId) {
      if (!(await events.hasRoom(sourceId))) {
        shed({
          bound: 'hookEventsWaitingMax',
          code: 'tenant_busy',
          message: 'Too many events of this source wait; try again later.',
        })
      }
    },
    async hasRoom() {
      const { waiting, stagedBytes } = await load.measure()
      return waiting < limits.ingestsWaitingMax && stagedBytes < limits.stagedBytesMax
    },
    hasRoomForBytes: async () => (await load.measure()).stagedBytes < limits.stagedBytesMax,
  }
}

interface Full {
  readonly bound: keyof Limits
  readonly code: 'service_busy' | 'tenant_busy'
  readonly message: string
}

function fullOf(all: Waiting, own: Waiting, limits: Limits, share: number): Full | null {
  const { ingestsWaitingMax, stagedBytesMax, tenantIngestsWaitingMax, tenantStagedBytesMax } = limits
  const images = ({ waiting }: Waiting, whose: string) => `${waiting} ${whose} wait to be processed; try again later.`
  const bytes = ({ stagedBytes }: Waiting, whose: string) =>
    `${humanBytes(stagedBytes)} ${whose} wait to be processed; try again later.`
  if (own.waiting >= tenantIngestsWaitingMax * share)
    return { bound: 'tenantIngestsWaitingMax', code: 'tenant_busy', message: images(own, 'images of yours') }
  if (own.stagedBytes >= tenantStagedBytesMax * share)
    return { bound: 'tenantStagedBytesMax', code: 'tenant_busy', message: bytes(own, 'of yours') }
  if (all.waiting >= ingestsWaitingMax * share)
    return { bound: 'ingestsWaitingMax', code: 'service_busy', message: images(all, 'images') }
  if (all.stagedBytes >= stagedBytesMax * share)
    return { bound: 'stagedBytesMax', code: 'service_busy', message: bytes(all, 'of images') }
  return null
}

function placesFullOf(all: number, own: number, { uploadsAtOnceMax, tenantUploadsAtOnceMax }: Limits): Full | null {
  const message = (count: number, whose: string) => `${count} uploads${whose} are under way; try again later.`
  if (own >= tenantUploadsAtOnceMax)
    return { bound: 'tenantUploadsAtOnceMax', code: 'tenant_busy', message: message(own, ' of yours') }
  if (all >= uploadsAtOnceMax) return { bound: 'uploadsAtOnceMax', code: 'service_busy', message: message(all, '') }
  return null
}

type Tally = ReturnType<typeof openTally<TenantId>>

function placeIn(tenantId: TenantId, underWay: Tally, keep: (amount: Waiting) => void): UploadPlace {
  let stagedBytes = 0
  underWay.add(tenantId, { waiting: 1, stagedBytes: 0 })
  return {
    async *counted(bytes) {
      for await (const chunk of bytes) {
        stagedBytes += chunk.byteLength
        underWay.add(tenantId, { waiting: 0, stagedBytes: chunk.byteLength })
        yield chunk
      }
    },
    keep: () => keep({ waiting: 1, stagedBytes }),
    [Symbol.dispose]: () => underWay.add(tenantId, { waiting: -1, stagedBytes: -stagedBytes }),
  }
}

/** Sources whose count is remembered; of more, those that are too old to be believed are forgotten. */
const SOURCES_MAX = 1_000

function openEventCounts({ database, limits, now }: Pick<World, 'database' | 'limits' | 'now'>) {
  const counts = new Map<HookSourceId, { readonly untilMs: number; readonly waiting: Promise<number>; since: number }>()

  const countOf = (sourceId: HookSourceId) => {
    const nowMs = now().getTime()
    const known = counts.get(sourceId)
    if (known && nowMs < known.untilMs) return known
    if (counts.size >= SOURCES_MAX) for (const [other, { untilMs }] of counts) if (untilMs <= nowMs) counts.delete(other)
    const waiting = database.hooks.countWaiting(sourceId, limits.hookEventsWaitingMax)
    const count = { untilMs: nowMs + limits.loadMsMax, waiting, since: 0 }
    counts.set(sourceId, count)
    waiting.catch(() => counts.get(sourceId) === count && counts.delete(sourceId))
    return count
  }

  return {
    async hasRoom(sourceId: HookSourceId): Promise<boolean> {
      const count = countOf(sourceId)
      const waiting = await count.waiting
      count.since += 1
      return waiting + count.since <= limits.hookEventsWaitingMax
    },
  }
}

/** An intake that takes no bytes, and no promise of any, while there is no room. What was staged is promised in any case. */
export function withBackpressure(world: IntakeWorld): IntakeWorld {
  const { objects, database } = world
  const { uploads, ingests, hooks } = database
  const backpressure = openBackpressure(world)
  return {
    ...world,
    objects: {
      ...objects,
      async stage(key, bytes, signal) {
        using place = await backpressure.takePlace(tenantOf(key))
        await objects.stage(key, place.counted(bytes), signal)
        place.keep()
      },
    },
    database: {
      ...database,
      uploads: {
        ...uploads,
        async reserve(upload, bounds) {
          await backpressure.admit(upload.tenantId, 'interactive')
          return uploads.reserve(upload, bounds)
        },
      },
      ingests: {
        ...ingests,
        async accept(ingest) {
          if (!('bytes' in ingest.source)) await backpressure.admit(ingest.tenantId, ingest.lane ?? 'interactive')
          return ingests.accept(ingest)
        },
      },
      hooks: {
        ...hooks,
        async receive(event) {
          await backpressure.admitEvent(event.sourceId)
          return hooks.receive(event)
        },
      },
    },
  }
}

/** Staging keys begin with their tenant: `accept-upload.ts`. */
function tenantOf(key: string): TenantId {
  return key.slice(0, key.indexOf('/')) as TenantId
}
