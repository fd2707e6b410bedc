import { mkdir } from 'node:fs/promises'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { StartError } from './lifecycle-start-error.ts'

/**
 * One process per data directory. Node has no flock, and a file with a process id goes stale when its writer is killed; SQLite's
 * exclusive lock is the kernel's (fcntl), so it ends with its holder, whatever ended that.
 */
export async function lockDirectory(dataDir: string): Promise<Disposable> {
  await makeDirectory(dataDir)
  const lock = openLock(dataDir)
  try {
    lock.exec('PRAGMA locking_mode = EXCLUSIVE; BEGIN EXCLUSIVE')
  } catch (cause) {
    lock.close()
    if (!isBusy(cause)) throw unwritable(dataDir, cause)
    throw new StartError(
      `Another Sluice is running on ${dataDir}: stop it, or give this one a directory of its own with SLUICE_DATA_DIR.`,
      cause,
    )
  }
  return { [Symbol.dispose]: () => lock.close() }
}

async function makeDirectory(dataDir: string): Promise<void> {
  try {
    // Others may pass through but not look: the database server may run as another user.
    await mkdir(dataDir, { recursive: true, mode: 0o711 })
  } catch (cause) {
    throw new StartError(`The data directory ${dataDir} cannot be made: set SLUICE_DATA_DIR to one that can be written.`, cause)
  }
}

function openLock(dataDir: string): DatabaseSync {
  try {
    return new DatabaseSync(join(dataDir, 'lock'))
  } catch (cause) {
    throw unwritable(dataDir, cause)
  }
}

/** SQLITE_BUSY, https://sqlite.org/rescode.html#busy */
function isBusy(cause: unknown): boolean {
  return cause instanceof Error && 'errcode' in cause && cause.errcode === 5
}

function unwritable(dataDir: string, cause: unknown): StartError {
  const reason = cause instanceof Error ? cause.message : String(cause)
  return new StartError(
    `The data directory ${dataDir} cannot be written (${reason}): start Sluice as its owner, make room, or set SLUICE_DATA_DIR.`,
    cause,
  )
}
