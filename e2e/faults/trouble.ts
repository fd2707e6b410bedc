/** What happens to the servers and the network meanwhile. */
import { readFile, rename, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import type { Sql } from 'postgres'
import type { Fleet } from './fleet.ts'
import type { Load } from './load.ts'
import { type Objects, pause, type Postgres, type Redis } from './servers.ts'

export interface Scene {
  readonly postgres: Postgres
  readonly redis: Redis | null
  readonly objects: Objects
  readonly fleet: Fleet
  readonly load: Load
  readonly sql: Sql
  readonly stagedDir: string
}

export interface Fault {
  readonly name: string
  /** Whether a process that starts now may find a server away. */
  readonly isOutage?: true
  readonly happen: () => Promise<void>
}

/** Longer than the lock of a job, which is 30 s, and the next look for stalled ones, which is 15 s later. */
const FREEZE_MS = 48_000

/** Those that this wiring can have, each once. */
export function faultsOf({ postgres, redis, objects, fleet, load, ...scene }: Scene): Fault[] {
  const faults: Fault[] = [
    { name: 'PostgreSQL restarted at once', isOutage: true, happen: () => postgres.restartAtOnce(0) },
    { name: 'PostgreSQL away', isOutage: true, happen: () => postgres.restartAtOnce(6_000) },
    { name: 'PostgreSQL half-open', isOutage: true, happen: async () => postgres.proxy.silence() },
    { name: 'forty images for one product at once', happen: () => fleet.whileWorkersStand(() => load.crowd(40)) },
    { name: 'one key 100 times at once', happen: () => load.burst(100) },
    { name: 'staged bytes rot', happen: () => fleet.whileWorkersStand(() => rot(load, scene.sql, scene.stagedDir)) },
  ]
  /** A queue in which nothing waits loses nothing. */
  const lose = async (act: () => Promise<void>) => {
    await load.crowd(40)
    await act()
  }
  if (redis) {
    faults.push(
      { name: 'Redis kill -9', isOutage: true, happen: () => redis.killAndRestart('whole') },
      { name: 'Redis comes back empty', isOutage: true, happen: () => lose(() => redis.killAndRestart('empty')) },
      { name: 'Redis comes back older', isOutage: true, happen: () => lose(() => redis.killAndRestart('older')) },
      { name: 'Redis FLUSHALL', happen: () => lose(async () => void (await redis.ask('FLUSHALL'))) },
      { name: 'Redis half-open', isOutage: true, happen: async () => redis.proxy.silence() },
    )
  }
  const { proxy } = objects
  if (proxy) {
    faults.push(
      { name: 'object store away', isOutage: true, happen: () => awayWhileMuchWaits(proxy, load) },
      { name: 'object store half-open', isOutage: true, happen: async () => proxy.silence() },
      { name: 'object store cut mid-body', isOutage: true, happen: () => cut(proxy) },
    )
  }
  return faults
}

/** Takes long, so it goes beside the others. */
export function zombie({ fleet }: Pick<Scene, 'fleet'>): Fault {
  return { name: 'worker stopped and continued', happen: () => fleet.freezeWorker(FREEZE_MS) }
}

async function away(proxy: NonNullable<Objects['proxy']>, ms: number): Promise<void> {
  await proxy.down()
  await pause(ms)
  await proxy.up()
}

/** Longer than an ingest has attempts, and than the sweeper leaves alone what nobody needs. */
const AWAY_MS = 14_000
const WAITING = 8

async function awayWhileMuchWaits(proxy: NonNullable<Objects['proxy']>, load: Load): Promise<void> {
  await proxy.down()
  await Promise.all(Array.from({ length: WAITING }, () => load.uploadFresh()))
  await pause(AWAY_MS)
  await proxy.up()
}

async function cut(proxy: NonNullable<Objects['proxy']>): Promise<void> {
  // Kept connections would not be cut.
  await away(proxy, 0)
  proxy.cutAfter(3_000)
  await pause(4_000)
  proxy.cutAfter(null)
  await away(proxy, 0)
}

const ROTTEN = 3

/** One bit of bytes that are promised and not yet read. */
async function rot(load: Load, sql: Sql, stagedDir: string): Promise<void> {
  for (let count = 0; count < ROTTEN; count++) {
    const promised = await load.uploadFresh()
    if (!promised) continue
    const rows = await sql<{ staged_key: string | null }[]>`
      select staged_key from ingests where id = ${promised.ingestId} and state = 'received'`.catch(() => [])
    const key = rows[0]?.staged_key
    if (!key) continue
    const path = join(stagedDir, key)
    const bytes = await readFile(path).catch(() => null)
    if (!bytes) continue
    const at = Math.floor(bytes.length / 2)
    bytes[at] = (bytes[at] ?? 0) ^ 1
    // A file of its own: the old one may be a blob by another name.
    await writeFile(`${path}.rotten`, bytes)
    await rename(`${path}.rotten`, path)
    const index = load.history.acknowledged.indexOf(promised)
    load.history.acknowledged[index] = { ...promised, end: 'failed' }
  }
}
