import { randomUUIDv7 } from 'node:crypto'
import {
  type Backpressure,
  type Database,
  type Decoder,
  type Fetcher,
  type Objects,
  openBackpressure,
  noteTokenUse,
  openFetchSlots,
  type World,
} from '@sluice/core'
import { openDatabase } from '@sluice/database'
import { openFetcher } from '@sluice/fetch'
import { openDecoder } from '@sluice/images'
import type { IngestQueue, QueueConnection } from '@sluice/queue'
import { openFilesystemObjects, openMinioObjects } from '@sluice/storage'
import type { Config, ObjectsConfig, QueueConfig } from './config.ts'
import type { Observability } from './observer.ts'

/** What each service is made of. The parts are open; who uses them decides when they close. */
export interface Parts {
  readonly config: Config
  readonly observability: Observability
  readonly databaseUrl: string
  readonly database: Database
  readonly objects: Objects
  readonly decoder: Decoder
  readonly fetcher: Fetcher
}

/** Opens all of them. Nothing is decoded or fetched, and no child process runs, until an image comes. */
export async function openParts(
  config: Config,
  observability: Observability,
  databaseUrl: string,
  applicationName: string,
): Promise<Parts & AsyncDisposable> {
  await using stack = new AsyncDisposableStack()
  const opening = openDatabase({ url: databaseUrl, poolMax: config.database.poolMax, applicationName })
  const database = noteTokenUse(stack.use(await opening))
  const objects = await openObjects(config.objects)
  const decoder = stack.use(await openDecoder({ processes: config.decoder.processes, limits: config.limits }))
  const fetcher = stack.use(openFetcher({ limits: config.limits, exceptions: config.fetchAllow }))
  const opened = stack.move()
  const parts: Parts = { config, observability, databaseUrl, database, objects, decoder, fetcher }
  return { ...parts, [Symbol.asyncDispose]: () => opened.disposeAsync() }
}

/** What intake and worker have in common. */
export function worldOf({
  config,
  observability,
  database,
  objects,
  decoder,
  fetcher,
}: Parts): Omit<World, 'queue' | 'random' | 'fetchSlots'> {
  const { limits, policy } = config
  return {
    database,
    objects,
    decoder,
    fetcher,
    limits,
    policy,
    observer: observability.observer,
    newId: randomUUIDv7,
    now: () => new Date(),
  }
}

export function workerWorld(parts: Parts, queue: IngestQueue): World & { readonly backpressure: Backpressure } {
  const world = worldOf(parts)
  const { limits, worker } = parts.config
  // What waits for strangers never holds more than half of what works.
  const backpressure = openBackpressure(world)
  const max = Math.max(1, Math.floor(worker.concurrency / 2))
  const fetchSlots = openFetchSlots({ limits, max, hasRoom: () => backpressure.hasRoomForBytes(), now: world.now })
  return { ...world, queue, random: Math.random, fetchSlots, backpressure }
}

export async function openIngestQueue({
  config,
  observability,
  databaseUrl,
}: Pick<Parts, 'config' | 'observability' | 'databaseUrl'>): Promise<IngestQueue> {
  const onError = (cause: unknown) => observability.observer.observe({ kind: 'background.failed', task: 'queue', cause })
  // Here, so that an intake, which has no queue, loads none.
  const { openQueue } = await import('@sluice/queue')
  const { jobLockMs: lockMs, jobStalledCheckMs: stalledCheckMs } = config.limits
  return openQueue(queueConnection(config.queue, databaseUrl), { onError, timing: { lockMs, stalledCheckMs } })
}

export function queueConnection(config: QueueConfig, databaseUrl: string): QueueConnection {
  return config.kind === 'redis' ? config : { kind: 'postgres', url: databaseUrl }
}

export function openObjects(config: ObjectsConfig): Promise<Objects & AsyncDisposable> {
  return config.kind === 'filesystem' ? openFilesystemObjects(config) : openMinioObjects(config)
}
