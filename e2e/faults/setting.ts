/** The servers of a run and what the services are told of them. */
import { execFile } from 'node:child_process'
import { mkdir } from 'node:fs/promises'
import { join, resolve } from 'node:path'
import { promisify } from 'node:util'
import postgres from 'postgres'
import { mutantNamed } from './mutants.ts'
import type { RunOptions } from './run.ts'
import { folderObjects, openPostgres, openRedis, openS3, type Objects, type Postgres, type Redis } from './servers.ts'
import { mountSmallDisk, type SmallDisk } from './small-disk.ts'

export const TOKEN = 'faults-token-that-is-long-enough-to-be-one'
export const REQUEST_MS_MAX = 5_000

/** Short, so that locks, leases, the reconciler and the sweeper have their say within seconds. */
const LIMITS = {
  REQUEST_MS_MAX,
  IDEMPOTENCY_LEASE_MS: 6_000,
  UPLOAD_MS_MAX: 6_000,
  STAGED_MS_MAX: 8_000,
  FAILED_BYTES_MS_MAX: 2_000,
  JOB_LOCK_MS: 4_000,
  JOB_STALLED_CHECK_MS: 1_000,
  RELAY_LEASE_MS: 2_000,
  // A busy machine needed more than ten seconds for some.
  INGEST_MS_MAX: 20_000,
  RECONCILE_AFTER_MS: 22_000,
  UPKEEP_EVERY_MS: 1_000,
  OUTAGE_WAIT_MS: 500,
  RETRY_MS_MAX: 2_000,
}
/** Where workers die every few seconds, an ingest may need many attempts. */
const ATTEMPTS_MAX = { killing: 60, otherwise: 12 }

export interface Setting {
  readonly database: Postgres
  readonly redis: Redis | null
  readonly objects: Objects
  readonly disk: SmallDisk | null
  readonly environment: Readonly<Record<string, string>>
  readonly stagedDir: string
  readonly partialDir: string
}

export async function openSetting(
  { wiring, mutants, kills }: RunOptions,
  directory: string,
  stack: AsyncDisposableStack,
): Promise<Setting> {
  const isProduction = wiring === 'production'
  const dataDir = join(directory, 'data')
  const stagingRoot = isProduction ? join(directory, 'staging') : join(dataDir, 'objects')
  await mkdir(dataDir)
  const disk = await mountSmallDisk(stagingRoot)
  if (disk) stack.use(disk)
  const database = stack.use(await openPostgres(join(directory, 'postgres')))
  await prepare(database.url)
  await breakSchema(database.url, mutants)
  const redis = isProduction ? await openRedis(join(directory, 'redis')) : null
  if (redis) stack.use(redis)
  if (isProduction && !redis) throw new Error('There is no redis-server on PATH: run with --wiring embedded, or install one.')
  const objects = stack.use(isProduction ? await openS3() : folderObjects(dataDir))
  return {
    database,
    redis,
    objects,
    disk,
    stagedDir: join(stagingRoot, 'staged'),
    partialDir: join(stagingRoot, 'partial'),
    environment: {
      ...Object.fromEntries(Object.entries(LIMITS).map(([name, value]) => [`SLUICE_LIMIT_${name}`, String(value)])),
      SLUICE_LIMIT_ATTEMPTS_MAX: String(kills > 0 ? ATTEMPTS_MAX.killing : ATTEMPTS_MAX.otherwise),
      SLUICE_LOG_LEVEL: 'error',
      SLUICE_DATA_DIR: dataDir,
      SLUICE_DATABASE_URL: database.proxied,
      SLUICE_BOOTSTRAP_TOKEN: TOKEN,
      SLUICE_SECRET_KEY: 'faults-secret-key-that-is-long-enough-to-be-one',
      SLUICE_WORKER_CONCURRENCY: '2',
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
