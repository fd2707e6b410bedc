/** Processes that have loaded a service and wait for their life. */
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { availableParallelism } from 'node:os'
import { join, resolve } from 'node:path'
import type { Role } from './plan.ts'

const ROOT = resolve(import.meta.dirname, '../..')
const MAIN: Readonly<Record<Role, readonly string[]>> = {
  intake: ['services/intake/src/main.ts'],
  worker: ['services/worker/src/main.ts'],
  up: ['services/cli/src/main.ts', 'up', '--no-demo'],
}
/** Ready beside each role's lives. */
const KEPT = 2
/** More at a time would only share the cores. */
const LOADING_MAX = Math.max(2, Math.floor(availableParallelism() / 2))
const LOAD_MS_MAX = 120_000
const TAIL_LENGTH = 4_000

export interface Spare {
  readonly child: ChildProcess
  /** The end of what it wrote. */
  readonly tail: () => string
  /** Lets it begin. */
  begin(environment: Readonly<Record<string, string>>): void
}

export interface Spares extends AsyncDisposable {
  take(role: Role): Promise<Spare>
}

export interface SparesOptions {
  readonly roles: readonly Role[]
  readonly environment: Readonly<Record<string, string>>
  readonly directory: string
  readonly mutants: readonly string[]
  readonly onLine: (line: string) => void
}

/** Fills the cache of compiled code first, so that no start compiles. */
export async function openSpares(options: SparesOptions): Promise<Spares> {
  const roles = [...new Set(options.roles)]
  await Promise.all(roles.map((role) => warm(role, options)))
  const ready = new Map<Role, Spare[]>(roles.map((role) => [role, []]))
  const wanted = new Map<Role, PromiseWithResolvers<Spare>[]>(roles.map((role) => [role, []]))
  const loading: Role[] = []
  const children = new Set<ChildProcess>()
  let isClosed = false

  const missing = (role: Role) => {
    const coming = loading.filter((one) => one === role).length + (ready.get(role)?.length ?? 0)
    const asked = wanted.get(role)?.length ?? 0
    return asked > coming ? 100 + asked - coming : asked + KEPT - coming
  }

  function fill(): void {
    if (isClosed || loading.length >= LOADING_MAX) return
    const [role] = roles.toSorted((a, b) => missing(b) - missing(a))
    if (!role || missing(role) <= 0) return
    void keep(role)
    fill()
  }

  async function keep(role: Role): Promise<void> {
    loading.push(role)
    const spare = await load(role)
    loading.splice(loading.indexOf(role), 1)
    const taker = wanted.get(role)?.shift()
    if (taker && spare) taker.resolve(spare)
    else if (taker) taker.reject(new Error(`A process of the role ${role} does not load.`))
    else if (spare) ready.get(role)?.push(spare)
    fill()
  }

  async function load(role: Role): Promise<Spare | null> {
    const spare = start(role, options, { FAULTS_ROLE: role })
    children.add(spare.child)
    spare.child.once('exit', () => {
      children.delete(spare.child)
      const waiting = ready.get(role) ?? []
      if (waiting.includes(spare)) waiting.splice(waiting.indexOf(spare), 1)
    })
    const signal = AbortSignal.timeout(LOAD_MS_MAX)
    const loaded = once(spare.child, 'message', { signal }).then(
      () => true,
      () => false,
    )
    const isLoaded = await Promise.race([
      loaded,
      once(spare.child, 'exit', { signal }).then(
        () => false,
        () => false,
      ),
    ])
    if (isLoaded) return spare
    if (!isClosed) options.onLine(`A process of the role ${role} did not load: ${spare.tail()}`)
    spare.child.kill('SIGKILL')
    return null
  }

  fill()
  return {
    take(role) {
      const spare = ready.get(role)?.shift()
      const taker = Promise.withResolvers<Spare>()
      if (spare) taker.resolve(spare)
      else wanted.get(role)?.push(taker)
      fill()
      return taker.promise
    },
    async [Symbol.asyncDispose]() {
      isClosed = true
      const ended = [...children].map((child) => once(child, 'exit'))
      for (const child of children) child.kill('SIGKILL')
      for (const takers of wanted.values()) for (const taker of takers) taker.reject(new Error('The run is over.'))
      await Promise.all(ended)
    },
  }
}

async function warm(role: Role, options: SparesOptions): Promise<void> {
  const { child, tail } = start(role, options, { FAULTS_ROLE: role, FAULTS_WARM: 'yes' })
  const [code] = (await once(child, 'exit')) as [number | null]
  if (code !== 0) throw new Error(`The ${role} does not load: ${tail()}`)
}

function start(role: Role, options: SparesOptions, own: Readonly<Record<string, string>>): Spare {
  const { mutants, environment, directory, onLine } = options
  const before = [...(mutants.length > 0 ? ['mutate.ts'] : []), 'standby.ts']
  const imports = before.flatMap((name) => ['--import', join(import.meta.dirname, name)])
  const child = spawn(process.execPath, [...imports, ...MAIN[role]], {
    cwd: ROOT,
    stdio: ['ignore', 'pipe', 'pipe', 'ipc'],
    env: {
      PATH: process.env['PATH'] ?? '',
      NODE_COMPILE_CACHE: join(directory, 'compiled'),
      ...environment,
      ...(mutants.length > 0 ? { FAULTS_MUTANTS: mutants.join(',') } : {}),
      ...own,
    },
  })
  let tail = ''
  for (const stream of [child.stdout, child.stderr]) {
    let rest = ''
    stream?.setEncoding('utf8').on('data', (text: string) => {
      tail = (tail + text).slice(-TAIL_LENGTH)
      const lines = (rest + text).split('\n')
      rest = lines.pop() ?? ''
      lines.forEach(onLine)
    })
  }
  // It may be dead already.
  const begin = (life: Readonly<Record<string, string>>) => void child.send({ ...life }, () => undefined)
  return { child, tail: () => tail, begin }
}
