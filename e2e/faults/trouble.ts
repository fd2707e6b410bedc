/** What happens to the servers, the network, the disk and the clients meanwhile. Whatever does nothing says so. */
import { readFile, rename, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import type { Sql } from 'postgres'
import type { Fleet } from './fleet.ts'
import type { Load } from './load.ts'
import type { Proxy } from './proxy.ts'
import { type Objects, pause, type Postgres, type Redis } from './servers.ts'
import type { SmallDisk } from './small-disk.ts'
import { crawlers } from './trouble-clients.ts'
import { storeFaults } from './trouble-store.ts'

export interface Scene {
  readonly postgres: Postgres
  readonly redis: Redis | null
  readonly objects: Objects
  readonly fleet: Fleet
  readonly load: Load
  readonly sql: Sql
  readonly stagedDir: string
  /** Null where none can be made. */
  readonly disk: SmallDisk | null
  /** The longest that a request may take. */
  readonly requestMsMax: number
  /** What was not as it must be. */
  readonly complaints: string[]
  /** From the healing of a fault to the first commit of an ingest that was started after it. */
  readonly progressMs: Map<string, number[]>
}

export interface Fault {
  readonly name: string
  /** Whether a process that starts now may find a server away. */
  readonly isOutage?: true
  /** Takes long, so that it happens in the first round only, and in large runs only. */
  readonly isLong?: true
  readonly happen: () => Promise<void>
}

/** Longer than the lock of a job and the next look for stalled ones, as the run has them. */
const FREEZE_MS = 9_000
const MINUTE_MS = 60_000
/** Twenty with those of three rounds. */
const RESTARTS = 14
const BETWEEN_RESTARTS_MS = 2_000

export const NO_FAULT = 'none'
export const WRONG_CLOCKS = 'wrong clocks'

/** Whether the name contains one of these, which have commas between them. All contain nothing. */
export function isNamed(name: string, asked: string): boolean {
  return asked.split(',').some((part) => name.includes(part))
}

/** Throws where one of these is no name here. */
export function refuseUnknownFaults(scene: Scene, asked: string): void {
  const names = [NO_FAULT, WRONG_CLOCKS, ...faultsOf(scene).map(({ name }) => name)]
  const unknown = asked.split(',').find((part) => !names.some((name) => name.includes(part)))
  if (unknown !== undefined) throw new Error(`There is no fault ${JSON.stringify(unknown)} here. There are ${names.join(', ')}.`)
}

/** Those that this wiring can have, each once. */
export function faultsOf(scene: Scene): Fault[] {
  const { postgres, redis, fleet, load, disk, sql } = scene
  /** A queue in which nothing waits loses nothing. */
  const lose = (act: () => Promise<unknown>) => async () => {
    await load.crowd(40)
    await act()
  }
  return [
    { name: 'PostgreSQL restarted at once', isOutage: true, happen: () => postgres.restartAtOnce(0) },
    { name: 'PostgreSQL restarted at once, again', isOutage: true, happen: () => postgres.restartAtOnce(0) },
    { name: 'PostgreSQL away 6 s', isOutage: true, happen: () => postgres.restartAtOnce(6_000) },
    { name: `PostgreSQL restarted at once ${RESTARTS} times`, isOutage: true, isLong: true, happen: () => restarts(postgres) },
    { name: 'PostgreSQL away for a minute', isOutage: true, isLong: true, happen: () => postgres.restartAtOnce(MINUTE_MS) },
    halfOpen('PostgreSQL', postgres.proxy, scene),
    { name: 'worker stopped and continued', happen: () => fleet.freezeWorker(FREEZE_MS) },
    { name: 'worker asleep before its commit', happen: () => sleeper(scene) },
    { name: 'forty images for one product at once', happen: () => fleet.whileWorkersStand(() => load.crowd(40)) },
    { name: 'one key 100 times at once', happen: () => load.burst(100) },
    { name: 'slow headers and bodies', happen: () => crawlers(scene) },
    { name: 'staged bytes rot', happen: () => fleet.whileWorkersStand(() => rot(scene)) },
    ...(disk ? [{ name: 'staging disk full', isOutage: true, happen: () => fillDisk(disk, scene) } as const] : []),
    ...(redis
      ? ([
          { name: 'Redis kill -9', isOutage: true, happen: () => redis.killAndRestart('whole') },
          { name: 'Redis comes back empty', isOutage: true, happen: lose(() => redis.killAndRestart('empty')) },
          { name: 'Redis comes back older', isOutage: true, happen: lose(() => redis.killAndRestart('older')) },
          { name: 'Redis FLUSHALL', happen: lose(() => redis.ask('FLUSHALL')) },
          halfOpen('Redis', redis.proxy, scene),
        ] as const)
      : [{ name: 'queue in PostgreSQL emptied', happen: lose(() => sql`delete from bullmq.job`) }]),
    ...(scene.objects.proxy
      ? [...storeFaults(scene, scene.objects.proxy), halfOpen('object store', scene.objects.proxy, scene)]
      : []),
  ]
}

async function restarts(postgres: Postgres): Promise<void> {
  for (let count = 0; count < RESTARTS; count++) {
    await postgres.restartAtOnce(0)
    await pause(BETWEEN_RESTARTS_MS)
  }
}

async function sleeper({ fleet, complaints }: Scene): Promise<void> {
  if (!(await fleet.armSleeper(`w-put=sleep:${FREEZE_MS}@1`)))
    complaints.push('worker asleep before its commit: it never woke up')
}

const SILENT_MS = 3_000
const PROGRESS_MS_MAX = 30_000

/** Nobody is killed meanwhile: a new process has new connections, and would show nothing. */
function halfOpen(server: string, proxy: Proxy, scene: Scene): Fault {
  const name = `${server} half-open`
  return {
    name,
    isOutage: true,
    async happen() {
      await scene.fleet.calm()
      const before = proxy.counts.silenced
      proxy.silence()
      await pause(SILENT_MS)
      if (proxy.counts.silenced === before) scene.complaints.push(`${name}: there was no connection to silence`)
      proxy.unsilence()
      await progress(name, scene)
      scene.fleet.rouse()
    },
  }
}

/** Until something that is started from now on is committed. */
async function progress(name: string, { sql, complaints, progressMs }: Scene): Promise<void> {
  const began = Date.now()
  const [row] = await sql<{ now: Date }[]>`select clock_timestamp() as now`
  const healedAt = row?.now ?? new Date()
  const isThere = async () => {
    const rows = await sql`
      select from ingests where state = 'committed' and finished_at > ${healedAt} and exists (
        select from ingest_timeline as line where line.ingest_id = ingests.id and line.step = 'start' and line.at > ${healedAt}
      ) limit 1`.catch(() => [])
    return rows.length > 0
  }
  while (!(await isThere()) && Date.now() - began < 2 * PROGRESS_MS_MAX) await pause(100)
  const ms = Date.now() - began
  progressMs.set(name, [...(progressMs.get(name) ?? []), ms])
  if (ms > PROGRESS_MS_MAX) complaints.push(`${name}: no progress for ${Math.round(ms / 1000)} s after healing`)
}

const FULL_ROUNDS = 10
const FULL_MS_MAX = 60_000

async function fillDisk(disk: SmallDisk, scene: Scene): Promise<void> {
  const { load, complaints } = scene
  const refused = () => load.history.answers.get('POST 507') ?? 0
  const before = refused()
  const deadline = Date.now() + FULL_MS_MAX
  for (let rounds = 0; rounds < FULL_ROUNDS || (refused() === before && Date.now() < deadline); rounds++) {
    // What is done makes room again.
    await disk.fill()
    await load.tryFresh()
    await pause(200)
  }
  if (refused() === before) complaints.push('staging disk full: nobody was told of it with 507')
  await disk.free()
  await progress('staging disk full', scene)
}

const ROTTEN = 3

/** One bit of bytes that are promised and not yet read. */
async function rot({ load, sql, stagedDir, redis, complaints }: Scene): Promise<void> {
  let rotten = 0
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
    rotten += 1
  }
  // One process cannot stand still and take uploads.
  if (rotten === 0 && redis) complaints.push('staged bytes rot: none did')
}
