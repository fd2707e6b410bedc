import { spawn, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { StartError } from './lifecycle-start-error.ts'

export interface ChildOptions {
  readonly command: string
  readonly arguments: readonly string[]
  readonly environment?: Readonly<Record<string, string>>
  readonly directory?: string
  /** Run as this user and group; only root may ask for it. */
  readonly user?: number | undefined
  /** Polite first; each gets `graceMs` before the next, and SIGKILL follows the last. */
  readonly stopSignals: readonly NodeJS.Signals[]
  readonly graceMs: number
}

/** A server that lives exactly as long as its owner, even when the owner is killed. */
export interface Child extends AsyncDisposable {
  readonly pid: number
  /** Resolves with the reason when the process has ended, whoever ended it. */
  readonly exited: Promise<string>
  /** Resolves when a line of output matches; throws the last lines when it ends before, or when the time is over. */
  untilOutput(pattern: RegExp, waitMs: number): Promise<void>
  /** The last lines that it wrote. */
  output(): readonly string[]
}

const OUTPUT_LINES_MAX = 100

export async function openChild(options: ChildOptions): Promise<Child> {
  // A group of its own: Ctrl-C in a terminal goes to the whole foreground group and would stop the server before its users.
  const server = spawn(options.command, options.arguments, {
    stdio: ['ignore', 'pipe', 'pipe'],
    detached: true,
    cwd: options.directory ?? '/',
    env: { LC_ALL: 'C', ...options.environment },
    ...(options.user === undefined ? {} : { uid: options.user, gid: options.user }),
  })
  const exited = untilEnded(server)
  const output = collectOutput(server)
  await once(server, 'spawn').catch((error: unknown) => {
    throw new StartError(`${options.command} cannot be started: ${String(error)}.`, error)
  })
  const leash = holdOnLeash(server, options.stopSignals[0] ?? 'SIGTERM')
  void exited.then(() => leash.kill('SIGKILL'))

  return {
    pid: server.pid ?? 0,
    exited,
    output: () => output.lines,
    untilOutput: (pattern, waitMs) => output.until(pattern, exited, waitMs),
    async [Symbol.asyncDispose]() {
      for (const signal of [...options.stopSignals, 'SIGKILL' as const]) {
        if (server.exitCode !== null || server.signalCode !== null) break
        server.kill(signal)
        await within(options.graceMs, exited)
      }
      await exited
    },
  }
}

async function untilEnded(server: ChildProcess): Promise<string> {
  const { promise, resolve } = Promise.withResolvers<string>()
  server.once('exit', (code, signal) => resolve(signal ?? `exit code ${code}`))
  server.once('error', (error) => resolve(error.message))
  return promise
}

/**
 * A shell whose standard input is a pipe that only we hold open. The kernel closes it however we end, SIGKILL included, and
 * the shell then stops the server.
 */
function holdOnLeash(server: ChildProcess, signal: NodeJS.Signals): ChildProcess {
  const script = 'read -r _; kill -s "$1" "$2" 2>/dev/null'
  const leash = spawn('/bin/sh', ['-c', script, 'leash', signal.slice('SIG'.length), String(server.pid)], {
    stdio: ['pipe', 'ignore', 'ignore'],
    detached: true,
    cwd: '/',
  })
  leash.on('error', () => server.kill(signal))
  return leash
}

function collectOutput(server: ChildProcess) {
  const lines: string[] = []
  const listeners = new Set<(line: string) => void>()
  for (const stream of [server.stdout, server.stderr]) {
    let rest = ''
    stream?.setEncoding('utf8').on('data', (text: string) => {
      const parts = (rest + text).split('\n')
      rest = parts.pop() ?? ''
      for (const line of parts) for (const listener of listeners) listener(line)
    })
  }
  listeners.add((line) => {
    lines.push(line)
    if (lines.length > OUTPUT_LINES_MAX) lines.shift()
  })

  async function until(pattern: RegExp, exited: Promise<string>, waitMs: number): Promise<void> {
    const { promise, resolve } = Promise.withResolvers<'seen'>()
    const listener = (line: string) => pattern.test(line) && resolve('seen')
    lines.forEach(listener)
    listeners.add(listener)
    const outcome = await Promise.race([promise, within(waitMs, exited)])
    listeners.delete(listener)
    if (outcome === 'seen') return
    throw new Error(`${outcome ?? `not ready after ${waitMs} ms`}: ${lines.slice(-20).join('\n')}`)
  }

  return { lines, until }
}

/** What the promise gives, or null when the time is over. */
async function within<Value>(waitMs: number, promise: Promise<Value>): Promise<Value | null> {
  const { promise: over, resolve } = Promise.withResolvers<null>()
  const timer = setTimeout(resolve, waitMs, null)
  return await Promise.race([promise, over]).finally(() => clearTimeout(timer))
}
