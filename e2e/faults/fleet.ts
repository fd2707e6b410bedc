/** The services of a run, as processes of their own, each followed at once by another when it dies. */
import type { ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { createWriteStream } from 'node:fs'
import { join } from 'node:path'
import { FAILPOINTS } from '@sluice/core'
import { findFreePort } from '@sluice/runtime/embedded-postgres'
import type { Plan, Random, Role } from './plan.ts'
import { pause } from './servers.ts'
import { openSpares, type Spare } from './spares.ts'

/** A life whose failpoint is not reached ends from outside, at a moment that nobody chose, at the latest after this. */
const LIFE_MS_MIN = 1_000
const LIFE_MS_MAX = 6_000
const LOOK_MS = 100
const START_MS_MAX = 120_000
const SLEEPER_MS_MAX = 60_000
const AFTER_SLEEP_MS = 3_000

export interface FleetOptions {
  readonly roles: readonly Role[]
  readonly environment: Readonly<Record<string, string>>
  readonly directory: string
  readonly plan: Plan
  readonly random: Random
  readonly seed: number
  readonly mutants: readonly string[]
  readonly areClocksWrong: boolean
  /** True while a server is away: a process that cannot start then says so and leaves, and is no crash. */
  readonly isServerAway: () => boolean
}

export interface Fleet extends AsyncDisposable {
  /** Addresses of the API. */
  readonly urls: readonly string[]
  /** Lives that ended in a way that nobody had asked for. */
  readonly unexpected: readonly string[]
  /** Kills from outside, beside those at failpoints. */
  readonly killsFromOutside: () => number
  readonly refusedStarts: () => number
  /** How many processes are wrong about the time. */
  readonly wrongClocks: number
  /** Errors in the logs, by their first line. */
  readonly errors: ReadonlyMap<string, number>
  readonly log: string
  /** Nobody is armed, and whoever is dies and comes back unarmed; `rouse` ends that, and the calm in which all begin. */
  calm(): Promise<void>
  rouse(): void
  /** Stops a worker in the middle of whatever it does, and lets it go on later. */
  freezeWorker(ms: number): Promise<void>
  /** Lets a worker live with this, and with nothing else that kills it, until it has woken up there and gone on. False: it has not. */
  armSleeper(failpoints: string): Promise<boolean>
  /** Does something while no worker does anything. */
  whileWorkersStand(act: () => Promise<void>): Promise<void>
  allReady(): Promise<void>
}

interface Member {
  readonly role: Role
  readonly ports: { readonly http: number; readonly ops: number; readonly console: number }
  /** How far it is wrong about the time. */
  readonly clockMs: number
  /** What its next life is armed with, whatever the plan says. */
  next: string | null
  child: ChildProcess | null
  /** The end of what it wrote. */
  tail: () => string
  isArmed: boolean
  /** We sent it SIGKILL ourselves. */
  isOurs: boolean
  isReady: boolean
  isFrozen: boolean
}

/** The last of each role that has several is wrong, by less than S3 forgives a signature, which is 15 minutes. */
const CLOCKS_MS: Readonly<Record<Role, number>> = { intake: -7 * 60_000, worker: 11 * 60_000, up: 11 * 60_000 }

export async function openFleet(options: FleetOptions): Promise<Fleet> {
  const { plan, roles, directory, random } = options
  const log = join(directory, 'services.log')
  const file = createWriteStream(log)
  const unexpected: string[] = []
  const errors = new Map<string, number>()
  const counts = { outside: 0, refused: 0, lives: 0 }
  const closing = new AbortController()
  let isCalm = true
  const members: Member[] = await Promise.all(
    roles.map(async (role, index) => ({
      role,
      ports: { http: await findFreePort(), ops: await findFreePort(), console: await findFreePort() },
      clockMs: options.areClocksWrong && roles.lastIndexOf(role) === index ? CLOCKS_MS[role] : 0,
      next: null,
      tail: () => '',
      child: null,
      isArmed: false,
      isOurs: false,
      isReady: false,
      isFrozen: false,
    })),
  )
  const onLine = (line: string) => {
    file.write(`${line}\n`)
    note(line, errors)
  }
  const spares = await openSpares({ ...options, onLine })

  function judge(member: Member, life: Spare, code: number | null, signal: NodeJS.Signals | null, sawAway: boolean): void {
    if (member.isOurs || closing.signal.aborted) return
    const point = FAILPOINTS.find((name) => life.tail().includes(`failpoint ${name}\n`))
    if (signal === 'SIGKILL' && member.isArmed && point) return plan.hit(point)
    if (code === 1 && !member.isReady && (sawAway || options.isServerAway())) return void (counts.refused += 1)
    unexpected.push(`${member.role} ended by ${signal ?? `exit code ${code}`}: ${life.tail().slice(-600)}`)
  }

  async function live(member: Member): Promise<void> {
    const life = await spares.take(member.role)
    const arming = member.next ?? (isCalm ? null : plan.arm(member.role))
    const mayLive = member.next !== null
    member.next = null
    counts.lives += 1
    Object.assign(member, { isArmed: arming !== null, isOurs: false, isReady: false, child: life.child, tail: life.tail })
    const ended = once(life.child, 'exit') as Promise<[number | null, NodeJS.Signals | null]>
    life.begin(environmentOf(member, arming ?? '', options.seed + counts.lives))
    let sawAway = options.isServerAway()
    let endsAt: number | null = null
    const watch = setInterval(() => {
      sawAway ||= options.isServerAway()
      if (!member.isReady) void probe(member)
      else endsAt ??= Date.now() + LIFE_MS_MIN + random() * (LIFE_MS_MAX - LIFE_MS_MIN)
      if (endsAt === null || Date.now() < endsAt || arming === null || mayLive || member.isFrozen || member.isOurs) return
      counts.outside += 1
      kill(member)
    }, LOOK_MS)
    const [code, signal] = await ended
    clearInterval(watch)
    member.child = null
    judge(member, life, code, signal, sawAway)
  }

  // A run that is cut off takes its services with it.
  const killAll = () => members.forEach(({ child }) => child?.kill('SIGKILL'))
  process.once('exit', killAll)

  const running = members.map(async (member) => {
    while (!closing.signal.aborted) {
      await live(member).catch((error: unknown) => {
        if (!closing.signal.aborted) unexpected.push(String(error))
      })
    }
  })

  async function allReady(): Promise<void> {
    const deadline = Date.now() + START_MS_MAX
    while (!members.every((member) => member.isReady && member.child)) {
      if (Date.now() > deadline) {
        const absent = members.find((member) => !member.isReady)
        throw new Error(`The ${absent?.role} does not start: ${unexpected.at(-1) ?? `see ${log}`}`)
      }
      await pause(LOOK_MS)
    }
  }

  async function standing(of: readonly Member[], act: () => Promise<void>): Promise<void> {
    const children = of.flatMap(({ child }) => child ?? [])
    for (const member of of) member.isFrozen = true
    for (const child of children) child.kill('SIGSTOP')
    try {
      await act()
    } finally {
      for (const child of children) child.kill('SIGCONT')
      for (const member of of) member.isFrozen = false
    }
  }

  return {
    urls: members.filter(({ role }) => role !== 'worker').map(({ ports }) => `http://127.0.0.1:${ports.http}`),
    unexpected,
    errors,
    log,
    killsFromOutside: () => counts.outside,
    refusedStarts: () => counts.refused,
    wrongClocks: members.filter(({ clockMs }) => clockMs !== 0).length,
    allReady,
    async calm() {
      isCalm = true
      for (const member of members) {
        if (!member.isArmed || !member.child || member.isOurs) continue
        counts.outside += 1
        kill(member)
      }
      await pause(LOOK_MS)
      await allReady()
    },
    rouse() {
      isCalm = false
      if (plan.isOver()) return
      for (const member of members) {
        if (!member.child || member.isOurs || member.isFrozen) continue
        counts.outside += 1
        kill(member)
      }
    },
    async freezeWorker(ms) {
      const member = members.find(({ role, child, isReady, isFrozen }) => role !== 'intake' && child && isReady && !isFrozen)
      if (member) await standing([member], () => pause(ms))
    },
    async armSleeper(failpoints) {
      const member = members.find(({ role, isFrozen, next }) => role !== 'intake' && !isFrozen && next === null)
      if (!member) return false
      member.next = failpoints
      counts.outside += 1
      kill(member)
      const deadline = Date.now() + SLEEPER_MS_MAX
      const isAwake = () => member.tail().includes(' woke up\n')
      while (!isAwake() && Date.now() < deadline) await pause(LOOK_MS)
      const wokeUp = isAwake()
      await pause(AFTER_SLEEP_MS)
      counts.outside += 1
      kill(member)
      return wokeUp
    },
    whileWorkersStand: (act) =>
      standing(
        members.filter(({ role, isFrozen }) => role === 'worker' && !isFrozen),
        act,
      ),
    async [Symbol.asyncDispose]() {
      closing.abort()
      for (const member of members) kill(member)
      await spares[Symbol.asyncDispose]()
      await Promise.all(running)
      process.off('exit', killAll)
      file.end()
    },
  }
}

function environmentOf({ ports, clockMs }: Member, failpoints: string, seed: number): Record<string, string> {
  return {
    SLUICE_HTTP_PORT: String(ports.http),
    SLUICE_OPS_PORT: String(ports.ops),
    SLUICE_CONSOLE_PORT: String(ports.console),
    FAULTS_CLOCK_MS: String(clockMs),
    ...(failpoints === '' ? {} : { SLUICE_FAILPOINTS: failpoints, SLUICE_FAILPOINTS_SEED: String(seed) }),
  }
}

function kill(member: Member): void {
  member.isOurs = true
  member.isReady = false
  member.child?.kill('SIGKILL')
}

async function probe(member: Member): Promise<void> {
  const { child } = member
  const port = member.role === 'up' ? member.ports.http : member.ports.ops
  const path = member.role === 'up' ? '/v1/openapi.json' : '/health'
  const answer = await fetch(`http://127.0.0.1:${port}${path}`, { signal: AbortSignal.timeout(1_000) }).catch(() => null)
  await answer?.body?.cancel()
  if (answer && child === member.child && !member.isOurs) member.isReady = true
}

/** The innermost cause says what happened. */
function note(line: string, errors: Map<string, number>): void {
  if (!line.startsWith('{"level":"error"')) return
  const messages = [...line.matchAll(/"message":"((?:[^"\\]|\\.)*)"/g)].map(([, message = '']) => message)
  const text = messages.at(-1) ?? line.slice(0, 200)
  errors.set(text, (errors.get(text) ?? 0) + 1)
}
