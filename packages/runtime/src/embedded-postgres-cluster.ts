import { spawnSync } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { chown, mkdir, readFile, rename, rm, stat, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import type { Place } from './embedded-postgres-place.ts'
import { StartError } from './lifecycle-start-error.ts'

export const SUPERUSER = 'sluice'
export const DATABASE = 'sluice'

const COMMAND_MS_MAX = 120_000

/** Makes the cluster and its password unless they are there; gives the password. */
export async function prepareCluster(place: Place, passwordFile: string, isDurable: boolean): Promise<string> {
  try {
    return await makeClusterAndPassword(place, passwordFile, isDurable)
  } catch (cause) {
    throw cause instanceof StartError ? cause : postgresFailed('its files', String(cause), cause)
  }
}

async function makeClusterAndPassword(place: Place, passwordFile: string, isDurable: boolean): Promise<string> {
  const isNew = await makeCluster(place, isDurable)
  const known = isNew ? null : await readPassword(passwordFile)
  if (known !== null) return known
  const password = randomBytes(24).toString('hex')
  singleUser(place, place.directory, `ALTER ROLE ${SUPERUSER} PASSWORD '${password}'`)
  await writeFile(`${passwordFile}.new`, password, { mode: 0o600, flush: true })
  await rename(`${passwordFile}.new`, passwordFile)
  return password
}

/** True when it was made. It gets its name when it is complete: a start that was killed half-way leaves nothing to trip over. */
async function makeCluster(place: Place, isDurable: boolean): Promise<boolean> {
  if (await hasCluster(place)) return false
  const unfinished = `${place.directory}.new`
  await rm(unfinished, { recursive: true, force: true })
  await mkdir(unfinished, { mode: 0o700 })
  if (place.user !== undefined) await chown(unfinished, place.user, place.user)
  // Peer is for Unix sockets, of which there are none; it lets initdb do without a password in a file or an argument.
  const access = ['-U', SUPERUSER, '--auth-local=peer', '--auth-host=scram-sha-256']
  run(place, 'initdb', ['-D', unfinished, ...access, ...LOCALE, ...(isDurable ? [] : ['--no-sync'])])
  singleUser(place, unfinished, `CREATE DATABASE ${DATABASE}`)
  await rename(unfinished, place.directory)
  return true
}

/** The builtin provider sorts and folds the same on every machine, whatever its C library. */
const LOCALE = ['--encoding=UTF8', '--locale=C', '--locale-provider=builtin', '--builtin-locale=C.UTF-8']

async function hasCluster(place: Place): Promise<boolean> {
  const owner = await stat(place.directory).then(
    (found) => found.uid,
    () => null,
  )
  if (owner === null) return false
  if (owner === (place.user ?? process.getuid?.())) return true
  if (place.user === undefined) {
    throw new StartError(
      `The database in ${place.directory} belongs to another user: start Sluice as before, or set SLUICE_DATA_DIR.`,
    )
  }
  // Made by an ordinary user, started by root this time.
  spawnSync('chown', ['-R', `${place.user}:${place.user}`, place.directory])
  return true
}

async function readPassword(file: string): Promise<string | null> {
  try {
    return await readFile(file, 'utf8')
  } catch {
    // Lost, or never written because that start was killed: the cluster gets a new one.
    return null
  }
}

/** One statement without a server and without a password: the owner of the files is the superuser. */
function singleUser(place: Place, directory: string, statement: string): void {
  const settings = ['-c', 'exit_on_error=on', '-c', 'unix_socket_directories=']
  run(place, 'postgres', ['--single', '-D', directory, ...settings, 'postgres'], `${statement}\n`)
}

function run(place: Place, program: string, arguments_: readonly string[], input = ''): void {
  const ended = spawnSync(join(place.binaries, program), arguments_, {
    ...(place.user === undefined ? {} : { uid: place.user, gid: place.user }),
    cwd: '/',
    env: { LC_ALL: 'C' },
    input,
    encoding: 'utf8',
    timeout: COMMAND_MS_MAX,
  })
  if (ended.status === 0) return
  throw postgresFailed(program, ended.error?.message ?? ended.stderr, ended.error)
}

/** What its log says, as one sentence. */
export function postgresFailed(program: string, log: string, cause?: unknown): StartError {
  if (/No space left on device|Disk quota exceeded|Check free disk space|ENOSPC|EDQUOT/.test(log)) {
    return new StartError('The disk is full, so the embedded PostgreSQL cannot start: make room, or set SLUICE_DATA_DIR.', cause)
  }
  const lines = log.split('\n').filter((line) => line.trim() !== '')
  const reason = lines.find((line) => /FATAL|PANIC|error:/.test(line)) ?? lines.at(-1) ?? 'it said nothing'
  return new StartError(`The embedded PostgreSQL cannot start (${program}): ${reason.trim()}`, cause ?? new Error(log))
}
