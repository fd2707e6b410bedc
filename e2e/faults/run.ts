/** One run: everything is started, used, broken in every way that is planned, healed, drained, and looked at. */
import postgres, { type Sql } from 'postgres'
import { openTestDirectory } from '../servers/directory.ts'
import { makeTrouble } from './chaos.ts'
import { openFleet } from './fleet.ts'
import { checkInvariants, type Findings } from './invariants.ts'
import { type History, openLoad } from './load.ts'
import { mutantNamed } from './mutants.ts'
import { openPlan, type Plan, randomFrom, type Role } from './plan.ts'
import { filesBelow, type Objects, pause } from './servers.ts'
import { openSetting, REQUEST_MS_MAX, TOKEN } from './setting.ts'
import { isNamed, type Scene, WRONG_CLOCKS } from './trouble.ts'

export interface RunOptions {
  readonly seed: number
  readonly wiring: 'production' | 'embedded'
  /** These are to be reached, or the run is red: uploads, and SIGKILLs, at failpoints and elsewhere. */
  readonly uploads: number
  readonly kills: number
  /** The longest that it may take to get there. */
  readonly minutes: number
  /** How often the list of faults is gone through. */
  readonly rounds: number
  /** With those that take a minute. */
  readonly isLong: boolean
  /** Only those whose name contains this, or one of these with commas between them; clocks are wrong when `WRONG_CLOCKS` does. */
  readonly faults: string
  readonly mutants: readonly string[]
  readonly onProgress?: (progress: Progress) => void
}

export interface Progress {
  readonly phase: string
  readonly part: number
  readonly sent: number
  readonly kills: number
  /** Failpoints at which nobody has died yet. */
  readonly placesLeft: readonly string[]
}

export interface Report {
  readonly options: RunOptions
  readonly store: Objects['kind']
  readonly processes: readonly Role[]
  readonly wrongClocks: number
  readonly hasDisk: boolean
  readonly history: History
  readonly killsOf: Plan['killsOf']
  /** Failpoints at which nobody has died. */
  readonly unhit: readonly string[]
  readonly killsFromOutside: number
  readonly refusedStarts: number
  readonly faults: ReadonlyMap<string, number>
  readonly progressMs: Scene['progressMs']
  readonly complaints: readonly string[]
  readonly unexpected: readonly string[]
  readonly errors: ReadonlyMap<string, number>
  readonly findings: Findings
  readonly drainMs: number
  readonly chaosMs: number
  /** What was found wrong at the end, beside what the run did not come to. */
  readonly wrong: readonly string[]
  /** Everything that is not as it must be. Empty: the run is green. */
  readonly violations: readonly string[]
}

/** More where much is to be sent. */
const CLIENTS_MIN = 8
const UPLOADS_OF_CLIENT = 600
const DRAIN_MS_MAX = 240_000
/** What is broken is seen to be stuck sooner. */
const BROKEN_DRAIN_MS_MAX = 50_000
const ROLES = {
  production: ['intake', 'intake', 'worker', 'worker', 'worker'],
  embedded: ['up'],
} as const satisfies Record<RunOptions['wiring'], readonly Role[]>

export async function runFaults(options: RunOptions): Promise<Report> {
  await using stack = new AsyncDisposableStack()
  const random = randomFrom(options.seed)
  const directory = stack.use(await openTestDirectory('faults')).path
  const { database, ...setting } = await openSetting(options, directory, stack)
  const plan = openPlan(options, randomFrom(options.seed + 1))
  const sql = stack.adopt(postgres(database.url, { max: 2, onnotice: () => {} }), (open) => open.end())
  const outage = { until: 0, isNow: false }
  const roles = ROLES[options.wiring]
  const fleet = stack.use(
    await openFleet({
      roles,
      directory,
      plan,
      random: randomFrom(options.seed + 2),
      seed: options.seed,
      environment: setting.environment,
      areClocksWrong: isNamed(WRONG_CLOCKS, options.faults),
      mutants: options.mutants.filter((name) => mutantNamed(name).kind === 'source'),
      isServerAway: () => outage.isNow || Date.now() < outage.until,
    }),
  )
  await fleet.allReady()
  const clients = Math.max(CLIENTS_MIN, Math.ceil(options.uploads / UPLOADS_OF_CLIENT))
  const load = await openLoad({ urls: fleet.urls, token: TOKEN, clients, uploads: options.uploads, random })
  const scene: Scene = {
    ...setting,
    postgres: database,
    fleet,
    load,
    sql,
    requestMsMax: REQUEST_MS_MAX,
    complaints: [],
    progressMs: new Map(),
  }
  const tell = (phase: string) =>
    options.onProgress?.({
      phase,
      part: 1,
      sent: load.history.sent,
      kills: plan.kills() + fleet.killsFromOutside(),
      placesLeft: [],
    })

  const began = Date.now()
  load.start()
  fleet.rouse()
  const faults = await makeTrouble(scene, { ...options, onProgress: options.onProgress ?? (() => {}) }, plan, random, outage)
  await load.stop()
  const chaosMs = Date.now() - began
  tell('healing')
  plan.stop()
  await fleet.calm()
  const drainMs = await drain(sql, options.mutants.length > 0 ? BROKEN_DRAIN_MS_MAX : DRAIN_MS_MAX, () => tell('draining'))
  await untilSwept(setting.stagedDir, options.mutants.length > 0)
  const findings = await checkInvariants({ ...setting, sql, history: load.history, url: fleet.urls[0] ?? '', token: TOKEN })
  const report = {
    options,
    store: setting.objects.kind,
    processes: roles,
    wrongClocks: fleet.wrongClocks,
    hasDisk: setting.disk !== null,
    history: load.history,
    killsOf: plan.killsOf,
    unhit: plan.unhit(),
    killsFromOutside: fleet.killsFromOutside(),
    refusedStarts: fleet.refusedStarts(),
    faults,
    progressMs: scene.progressMs,
    complaints: scene.complaints,
    unexpected: fleet.unexpected,
    errors: fleet.errors,
    findings,
    drainMs,
    chaosMs,
  }
  const wrong = wrongOf(report)
  return { ...report, wrong, violations: [...wrong, ...missedOf(report)] }
}

/** Until every promise is kept, or the time is over. Returns how long it took. */
async function drain(sql: Sql, msMax: number, onLook: () => void): Promise<number> {
  const began = Date.now()
  for (;;) {
    onLook()
    const [row] = await sql<{ open: number }[]>`
      select ((select count(*) from ingests where state in ('received', 'running')) + (select count(*) from outbox))::int as open`
    if (row?.open === 0 || Date.now() - began > msMax) return Date.now() - began
    await pause(500)
  }
}

/** The sweeper comes each second for what is older than eight, and for what failed after a minute more. */
async function untilSwept(stagedDir: string, isBroken: boolean): Promise<void> {
  const deadline = Date.now() + (isBroken ? 20_000 : 90_000)
  while ((await filesBelow(stagedDir)).length > 0 && Date.now() < deadline) await pause(500)
}

type Outcome = Omit<Report, 'wrong' | 'violations'>

function wrongOf({ findings, unexpected, faults }: Outcome): string[] {
  const wrong = Object.entries(findings.counts).filter(([, count]) => count > 0)
  return [
    ...wrong.map(([name, count]) => `${name}: ${count}`),
    // Kills lose no job: each is still in the outbox, or in the queue.
    ...(faults.size === 0 && findings.rescued > 0 ? [`lost on the way to the queue: ${findings.rescued}`] : []),
    ...(unexpected.length > 0 ? [`unexpected exits: ${unexpected.length}`] : []),
  ]
}

/** What was never tried has not been shown. */
function missedOf({ unhit, complaints }: Outcome): string[] {
  return [...complaints, ...(unhit.length > 0 ? [`failpoints never reached: ${unhit.join(', ')}`] : [])]
}
