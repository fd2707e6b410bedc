/** The services of a run, as processes of their own that are started again whenever they die. */
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { createWriteStream, type WriteStream } from 'node:fs'
import { join, resolve } from 'node:path'
import { FAILPOINTS } from '@sluice/core'
import { findFreePort } from '@sluice/runtime/embedded-postgres'
import type { Plan, Role } from './plan.ts'
import { pause } from './servers.ts'

const ROOT = resolve(import.meta.dirname, '../..')
const MAIN: Readonly<Record<Role, readonly string[]>> = {
  intake: ['services/intake/src/main.ts'],
  worker: ['services/worker/src/main.ts'],
  up: ['services/cli/src/main.ts', 'up', '--no-demo'],
}
/** A life whose failpoint is never reached ends from outside, at a moment that nobody chose. */
const LIFE_MS_MAX = 6_000
const RESTART_MS = 100
const START_MS_MAX = 60_000

export interface FleetOptions {
  readonly roles: readonly Role[]
  readonly environment: Readonly<Record<string, string>>
  readonly directory: string
  readonly plan: Plan
  readonly seed: number
  readonly mutants: readonly string[]
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
  /** Errors in the logs, by their first line. */
  readonly errors: ReadonlyMap<string, number>
  readonly log: string
  /** From now on nobody is armed, and whoever is dies and comes back unarmed. */
  heal(): Promise<void>
  /** Stops a worker in the middle of whatever it does, and lets it go on later. */
  freezeWorker(ms: number): Promise<void>
  /** Does something while no worker does anything. */
  whileWorkersStand(act: () => Promise<void>): Promise<void>
  allReady(): Promise<void>
}

interface Member {
  readonly role: Role
  readonly ports: { readonly http: number; readonly ops: number; readonly console: number }
  child: ChildProcess | null
  isArmed: boolean
  /** We sent it SIGKILL ourselves. */
  isOurs: boolean
  isReady: boolean
  isFrozen: boolean
  outputTail: string
}

export async function openFleet(options: FleetOptions): Promise<Fleet> {
  const { plan, roles, directory } = options
  const log = join(directory, 'services.log')
  const file = createWriteStream(log)
  const unexpected: string[] = []
  const errors = new Map<string, number>()
  const counts = { outside: 0, refused: 0, lives: 0 }
  const closing = new AbortController()
  const members: Member[] = await Promise.all(
    roles.map(async (role) => ({
      role,
      ports: { http: await findFreePort(), ops: await findFreePort(), console: await findFreePort() },
      child: null,
      isArmed: false,
      isOurs: false,
      isReady: false,
      isFrozen: false,
      outputTail: '',
    })),
  )

  function judge(member: Member, code: number | null, signal: NodeJS.Signals | null, sawAway: boolean): void {
    if (member.isOurs || closing.signal.aborted) return
    const point = FAILPOINTS.find((name) => member.outputTail.includes(`failpoint ${name}\n`))
    if (signal === 'SIGKILL' && member.isArmed && point) return plan.hit(point)
    if (code === 1 && !member.isReady && (sawAway || options.isServerAway())) return void (counts.refused += 1)
    unexpected.push(`${member.role} ended by ${signal ?? `exit code ${code}`}: ${member.outputTail.slice(-600)}`)
  }

  async function live(member: Member): Promise<void> {
    const arming = plan.arm(member.role)
    counts.lives += 1
    Object.assign(member, { isArmed: arming !== null, isOurs: false, isReady: false, outputTail: '' })
    const child = spawnMember(member, options, arming ?? '', counts.lives)
    member.child = child
    collect(member, child, file, errors)
    let sawAway = options.isServerAway()
    let readyAt: number | null = null
    const watch = setInterval(() => {
      sawAway ||= options.isServerAway()
      if (!member.isReady) void probe(member)
      else readyAt ??= Date.now()
      const isOld = readyAt !== null && Date.now() - readyAt > LIFE_MS_MAX
      if (!isOld || arming === null || member.isFrozen || member.isOurs) return
      counts.outside += 1
      kill(member)
    }, 250)
    const [code, signal] = (await once(child, 'exit')) as [number | null, NodeJS.Signals | null]
    clearInterval(watch)
    member.child = null
    judge(member, code, signal, sawAway)
  }

  // A run that is cut off takes its services with it.
  const killAll = () => members.forEach(({ child }) => child?.kill('SIGKILL'))
  process.once('exit', killAll)

  const running = members.map(async (member) => {
    while (!closing.signal.aborted) {
      await live(member)
      await pause(RESTART_MS)
    }
  })

  async function allReady(): Promise<void> {
    const deadline = Date.now() + START_MS_MAX
    while (!members.every((member) => member.isReady)) {
      if (Date.now() > deadline) {
        const absent = members.find((member) => !member.isReady)
        throw new Error(`The ${absent?.role} does not start: ${unexpected.at(-1) ?? absent?.outputTail}`)
      }
      await pause(100)
    }
  }

  return {
    urls: members.filter(({ role }) => role !== 'worker').map(({ ports }) => `http://127.0.0.1:${ports.http}`),
    unexpected,
    errors,
    log,
    killsFromOutside: () => counts.outside,
    refusedStarts: () => counts.refused,
    allReady,
    async heal() {
      plan.stop()
      for (const member of members) if (member.isArmed) kill(member)
      await pause(RESTART_MS)
      await allReady()
    },
    async freezeWorker(ms) {
      const member = members.find(({ role, child, isFrozen }) => role !== 'intake' && child !== null && !isFrozen)
      const child = member?.child
      if (!member || !child) return
      member.isFrozen = true
      child.kill('SIGSTOP')
      await pause(ms)
      child.kill('SIGCONT')
      member.isFrozen = false
    },
    async whileWorkersStand(act) {
      const workers = members.filter(({ role, isFrozen }) => role === 'worker' && !isFrozen)
      const children = workers.flatMap(({ child }) => child ?? [])
      for (const worker of workers) worker.isFrozen = true
      for (const child of children) child.kill('SIGSTOP')
      try {
        await act()
      } finally {
        for (const child of children) child.kill('SIGCONT')
        for (const worker of workers) worker.isFrozen = false
      }
    },
    async [Symbol.asyncDispose]() {
      closing.abort()
      for (const member of members) kill(member)
      await Promise.all(running)
      process.off('exit', killAll)
      file.end()
    },
  }
}

function kill(member: Member): void {
  member.isOurs = true
  member.isReady = false
  member.child?.kill('SIGKILL')
}

function spawnMember({ role, ports }: Member, options: FleetOptions, failpoints: string, life: number): ChildProcess {
  const mutated = options.mutants.length > 0 ? ['--import', join(import.meta.dirname, 'mutate.ts')] : []
  return spawn(process.execPath, [...mutated, ...MAIN[role]], {
    cwd: ROOT,
    stdio: ['ignore', 'pipe', 'pipe'],
    env: {
      PATH: process.env['PATH'] ?? '',
      // Half of a start is compiling.
      NODE_COMPILE_CACHE: join(options.directory, 'compiled'),
      ...options.environment,
      SLUICE_HTTP_PORT: String(ports.http),
      SLUICE_OPS_PORT: String(ports.ops),
      SLUICE_CONSOLE_PORT: String(ports.console),
      ...(failpoints === '' ? {} : { SLUICE_FAILPOINTS: failpoints, SLUICE_FAILPOINTS_SEED: String(options.seed + life) }),
      ...(mutated.length > 0 ? { FAULTS_MUTANTS: options.mutants.join(',') } : {}),
    },
  })
}

async function probe(member: Member): Promise<void> {
  const { child } = member
  const port = member.role === 'up' ? member.ports.http : member.ports.ops
  const path = member.role === 'up' ? '/v1/openapi.json' : '/health'
  const answer = await fetch(`http://127.0.0.1:${port}${path}`, { signal: AbortSignal.timeout(1_000) }).catch(() => null)
  await answer?.body?.cancel()
  if (answer && child === member.child) member.isReady = true
}

const TAIL_LENGTH = 4_000

function collect(member: Member, child: ChildProcess, file: WriteStream, errors: Map<string, number>): void {
  for (const stream of [child.stdout, child.stderr]) {
    let rest = ''
    stream?.setEncoding('utf8').on('data', (text: string) => {
      file.write(text)
      member.outputTail = (member.outputTail + text).slice(-TAIL_LENGTH)
      const lines = (rest + text).split('\n')
      rest = lines.pop() ?? ''
      for (const line of lines) note(line, errors)
    })
  }
}

/** The innermost cause says what happened. */
function note(line: string, errors: Map<string, number>): void {
  if (!line.startsWith('{"level":"error"')) return
  const messages = [...line.matchAll(/"message":"((?:[^"\\]|\\.)*)"/g)].map(([, message = '']) => message)
  const text = messages.at(-1) ?? line.slice(0, 200)
  errors.set(text, (errors.get(text) ?? 0) + 1)
}
