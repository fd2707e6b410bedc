import { spawnSync } from 'node:child_process'
import { readFile, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout as pause } from 'node:timers/promises'
import { StartError } from './lifecycle-start-error.ts'

const SIGNALS = ['SIGINT', 'SIGQUIT', 'SIGKILL'] as const
const SIGNAL_MS_MAX = 10_000
const LOOK_EVERY_MS = 20

/**
 * Stops the server that an owner who was killed has left on this cluster. We hold the directory's lock, so nobody else can be
 * using it. A cold start after that costs the crash recovery (0.14 s measured), and there is one way to start instead of two.
 */
export async function stopLeftover(directory: string): Promise<void> {
  const pid = await readPid(directory)
  if (pid === null || !isAlive(pid)) return
  const command = await commandOf(pid)
  if (command !== '' && !command.includes(directory)) {
    // The number was given to another process meanwhile. PostgreSQL would take that for a server and refuse to start.
    await rm(join(directory, 'postmaster.pid'), { force: true })
    return
  }
  for (const signal of SIGNALS) {
    process.kill(pid, signal)
    if (await untilGone(pid)) return
  }
  throw new StartError(
    `A PostgreSQL server (process ${pid}) is still using ${directory} and does not stop: stop it, then start again.`,
  )
}

async function readPid(directory: string): Promise<number | null> {
  const text = await readFile(join(directory, 'postmaster.pid'), 'utf8').catch(() => '')
  const pid = Number.parseInt(text, 10)
  return Number.isInteger(pid) && pid > 0 ? pid : null
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0)
    return true
  } catch {
    // ESRCH. EPERM cannot be: the server runs as us, or as less than us.
    return false
  }
}

/** Empty when nobody can say: /proc is Linux's, `ps` is missing from many small images. */
async function commandOf(pid: number): Promise<string> {
  const arguments_ = await readFile(`/proc/${pid}/cmdline`, 'utf8').catch(() => null)
  if (arguments_ !== null) return arguments_.replaceAll('\0', ' ')
  return spawnSync('ps', ['-o', 'command=', '-p', String(pid)], { encoding: 'utf8' }).stdout ?? ''
}

async function untilGone(pid: number): Promise<boolean> {
  const deadline = performance.now() + SIGNAL_MS_MAX
  while (performance.now() < deadline) {
    if (!isAlive(pid)) return true
    await pause(LOOK_EVERY_MS)
  }
  return false
}
