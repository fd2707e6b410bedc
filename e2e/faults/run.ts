/** One run: everything is started, used, broken in every way that is planned, healed, drained, and looked at. */
import { execFile } from 'node:child_process'
import { mkdir } from 'node:fs/promises'
import { join, resolve } from 'node:path'
import { promisify } from 'node:util'
import postgres, { type Sql } from 'postgres'
import { openTestDirectory } from '../servers/directory.ts'
import { openFleet } from './fleet.ts'
import { checkInvariants, type Findings } from './invariants.ts'
import { type History, openLoad } from './load.ts'
import { mutantNamed } from './mutants.ts'
import { openPlan, type Plan, type Random, randomFrom, type Role } from './plan.ts'
import { filesBelow, folderObjects, openPostgres, openRedis, openS3, type Objects, pause, type Redis } from './servers.ts'
import { type Fault, faultsOf, type Scene, zombie } from './trouble.ts'

export interface RunOptions {
  readonly seed: number
  readonly wiring: 'production' | 'embedded'
  /** Both are to be reached, unless the time is over before. */
  readonly uploads: number
  readonly kills: number
  /** Then it ends, except that places that were never hit get as much time again. */
  readonly minutes: number
  /** How often the list of faults is gone through. */
  readonly rounds: number
  /** Only those whose name contains this. */
  readonly faults: string
  readonly mutants: readonly string[]
  readonly onProgress?: (progress: Progress) => void
}

export interface Progress {
  readonly phase: string
  readonly part: number
  readonly sent: number
  readonly kills: number
}

export interface Report {
  readonly options: RunOptions
  readonly store: Objects['kind']
  readonly history: History
  readonly killsOf: Plan['killsOf']
  readonly killsFromOutside: number
  readonly refusedStarts: number
  readonly faults: ReadonlyMap<string, number>
  readonly unexpected: readonly string[]
  readonly errors: ReadonlyMap<string, number>
  readonly findings: Findings
  readonly drainMs: number
  readonly chaosMs: number
  /** Everything that is not as it must be. Empty: the run is green. */
  readonly violations: readonly string[]
}

const TOKEN = 'faults-token-that-is-long-enough-to-be-one'
const CLIENTS = 8
/** A job whose worker died runs again when its lock of 30 s has run out and the next look, each 15 s, has found it. */
const DRAIN_MS_MAX = 120_000
/** What an outage does to a start lasts a little longer than the outage. */
const AFTERMATH_MS = 10_000

/** Short, so that leases, the reconciler and the sweeper have their say within minutes. */
const LIMITS = {
  REQUEST_MS_MAX: 5_000,
  IDEMPOTENCY_LEASE_MS: 6_000,
  UPLOAD_MS_MAX: 6_000,
  STAGED_MS_MAX: 8_000,
  FAILED_BYTES_MS_MAX: 2_000,
  // A busy machine needed more than ten seconds for some.
  INGEST_MS_MAX: 20_000,
  RECONCILE_AFTER_MS: 22_000,
  UPKEEP_EVERY_MS: 1_000,
  OUTAGE_WAIT_MS: 500,
  RETRY_MS_MAX: 2_000,
  ATTEMPTS_MAX: 12,
}

export async function runFaults(options: RunOptions): Promise<Report> {
  await using stack = new AsyncDisposableStack()
  const random = randomFrom(options.seed)
  const directory = stack.use(await openTestDirectory('faults')).path
  const servers = await openServers(options, directory, stack)
  const plan = openPlan(options.kills, randomFrom(options.seed + 1))
  const sql = stack.adopt(postgres(servers.database.url, { max: 2, onnotice: () => {} }), (open) => open.end())
  const outage = { until: 0, isNow: false }
  const roles: Role[] = options.wiring === 'production' ? ['intake', 'intake', 'worker', 'worker'] : ['up']
  const fleet = stack.use(
    await openFleet({
      roles,
      directory,
      plan,
      seed: options.seed,
      environment: servers.environment,
      mutants: options.mutants.filter((name) => mutantNamed(name).kind === 'source'),
      isServerAway: () => outage.isNow || Date.now() < outage.until,
    }),
  )
  await fleet.allReady()
  const load = await openLoad({ urls: fleet.urls, token: TOKEN, clients: CLIENTS, random })
  const scene: Scene = { ...servers, postgres: servers.database, fleet, load, sql }

  const began = Date.now()
  load.start()
  const faults = await makeTrouble(scene, options, plan, random, outage)
  await load.stop()
  const chaosMs = Date.now() - began
  options.onProgress?.({ phase: 'healing', part: 1, sent: load.history.sent, kills: plan.kills() })
  await fleet.heal()
  const drainMs = await drain(sql, () =>
    options.onProgress?.({ phase: 'draining', part: 1, sent: load.history.sent, kills: plan.kills() }),
  )
  await untilSwept(servers.stagedDir)
  const findings = await checkInvariants({
    sql,
    history: load.history,
    objects: servers.objects,
    redis: servers.redis,
    url: fleet.urls[0] ?? '',
    token: TOKEN,
    stagedDir: servers.stagedDir,
    partialDir: servers.partialDir,
  })
  const report = {
    options,
    store: servers.objects.kind,
    history: load.history,
    killsOf: plan.killsOf,
    killsFromOutside: fleet.killsFromOutside(),
    refusedStarts: fleet.refusedStarts(),
    faults,
    unexpected: fleet.unexpected,
    errors: fleet.errors,
    findings,
    drainMs,
    chaosMs,
  }
  return { ...report, violations: violationsOf(report) }
}

interface Servers {
  readonly database: Awaited<ReturnType<typeof openPostgres>>
  readonly redis: Redis | null
  readonly objects: Objects
  readonly environment: Readonly<Record<string, string>>
  readonly stagedDir: string
  readonly partialDir: string
}

async function openServers({ wiring, mutants }: RunOptions, directory: string, stack: AsyncDisposableStack): Promise<Servers> {
  const isProduction = wiring === 'production'
  const dataDir = join(directory, 'data')
  await mkdir(dataDir)
  const database = stack.use(await openPostgres(join(directory, 'postgres')))
  await prepare(database.url)
  await breakSchema(database.url, mutants)
  const redis = isProduction ? await openRedis(join(directory, 'redis')) : null
  if (redis) stack.use(redis)
  if (isProduction && !redis) throw new Error('There is no redis-server on PATH: run with --wiring embedded, or install one.')
  const objects = stack.use(isProduction ? await openS3() : folderObjects(dataDir))
  const stagingRoot = isProduction ? join(directory, 'staging') : join(dataDir, 'objects')
  const stagedDir = join(stagingRoot, 'staged')
  return {
    database,
    redis,
    objects,
    stagedDir,
    partialDir: join(stagingRoot, 'partial'),
    environment: {
      ...Object.fromEntries(Object.entries(LIMITS).map(([name, value]) => [`SLUICE_LIMIT_${name}`, String(value)])),
      SLUICE_LOG_LEVEL: 'error',
      SLUICE_DATA_DIR: dataDir,
      SLUICE_DATABASE_URL: database.proxied,
      SLUICE_BOOTSTRAP_TOKEN: TOKEN,
      SLUICE_SECRET_KEY: 'faults-secret-key-that-is-long-enough-to-be-one',
      SLUICE_WORKER_CONCURRENCY: '4',
      SLUICE_IMAGES_DECODER_PROCESSES: '1',
      ...(redis ? { SLUICE_REDIS_URL: redis.proxied } : {}),
      ...objects.environment,
      ...(isProduction ? { SLUICE_S3_STAGING_DIR: stagingRoot } : {}),
    },
  }
}

/** As an operator does it before the services start: tables, and the first token. */
async function prepare(url: string): Promise<void> {
  const cli = resolve(import.meta.dirname, '../../services/cli/src/main.ts')
  const env = { PATH: process.env['PATH'], SLUICE_DATABASE_URL: url, SLUICE_BOOTSTRAP_TOKEN: TOKEN }
  await promisify(execFile)(process.execPath, [cli, 'migrate'], { env })
}

async function breakSchema(url: string, mutants: readonly string[]): Promise<void> {
  const sql = postgres(url, { max: 1, onnotice: () => {} })
  for (const mutant of mutants.map(mutantNamed))
    if (mutant.kind === 'schema') for (const statement of mutant.statements) await sql.unsafe(statement)
  await sql.end()
}

/** Goes on until enough was sent and killed, with the faults spread over the way there. */
async function makeTrouble(
  scene: Scene,
  { uploads, kills, minutes, rounds, faults: named, onProgress }: RunOptions,
  plan: Plan,
  random: Random,
  outage: { until: number; isNow: boolean },
): Promise<ReadonlyMap<string, number>> {
  const happened = new Map<string, number>()
  const queue = Array.from({ length: rounds }, () =>
    faultsOf(scene)
      .filter(({ name }) => name.includes(named))
      .toSorted(() => random() - 0.5),
  ).flat()
  const total = queue.length
  const began = Date.now()
  const deadline = began + 2 * minutes * 60_000
  const part = () => {
    const reached = Math.min(scene.load.history.sent / uploads, kills === 0 ? 1 : plan.kills() / kills)
    return Math.min(1, Math.max(reached, (Date.now() - began) / (minutes * 60_000)))
  }
  const happen = async (fault: Fault) => {
    outage.isNow ||= fault.isOutage === true
    await fault.happen()
    if (fault.isOutage) Object.assign(outage, { isNow: false, until: Date.now() + AFTERMATH_MS })
    happened.set(fault.name, (happened.get(fault.name) ?? 0) + 1)
  }
  const stopped = zombie(scene)
  const beside = rounds > 0 && stopped.name.includes(named) ? happen(stopped) : Promise.resolve()
  await scene.redis?.remember()
  const isEveryPlaceHit = () => kills === 0 || plan.killsOf.values().every((count) => count > 0)
  // What was never tried has not been shown: that is worth as much time again.
  const isEnough = () => part() >= 1 && (isEveryPlaceHit() || Date.now() > deadline)
  while (!isEnough()) {
    onProgress?.({ phase: queue[0]?.name ?? 'killing', part: part(), sent: scene.load.history.sent, kills: plan.kills() })
    // The last tenth is for kills alone, so that no fault stays undone at the end.
    const due = Math.ceil((part() / 0.9) * total)
    const fault = total - queue.length < due ? queue.shift() : undefined
    if (fault) await happen(fault)
    else await pause(200)
  }
  for (const fault of queue) await happen(fault)
  await beside
  return happened
}

/** Until every promise is kept, or the time is over. Returns how long it took. */
async function drain(sql: Sql, onLook: () => void): Promise<number> {
  const began = Date.now()
  for (;;) {
    onLook()
    const [row] = await sql<{ open: number }[]>`
      select ((select count(*) from ingests where state in ('received', 'running')) + (select count(*) from outbox))::int as open`
    if (row?.open === 0 || Date.now() - began > DRAIN_MS_MAX) return Date.now() - began
    await pause(500)
  }
}

/** The sweeper comes each second for what is older than eight, and the queue acknowledges what is done a moment later. */
async function untilSwept(stagedDir: string): Promise<void> {
  const deadline = Date.now() + 20_000
  while ((await filesBelow(stagedDir)).length > 0 && Date.now() < deadline) await pause(500)
}

function violationsOf({ findings, unexpected, killsOf, options }: Omit<Report, 'violations'>): string[] {
  const wrong = Object.entries(findings.counts).filter(([, count]) => count > 0)
  const unhit = [...killsOf].filter(([, count]) => count === 0).map(([point]) => point)
  return [
    ...wrong.map(([name, count]) => `${name}: ${count}`),
    ...(unexpected.length > 0 ? [`unexpected exits: ${unexpected.length}`] : []),
    // What was never tried has not been shown.
    ...(options.kills > 0 && unhit.length > 0 ? [`failpoints never reached: ${unhit.join(', ')}`] : []),
  ]
}
