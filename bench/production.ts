/** The production wiring on this machine: an intake and a worker, each a process, on PostgreSQL, Redis and an S3. */
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { migrate } from '@sluice/database'
import { openChild } from '@sluice/runtime/child'
import { findFreePort } from '@sluice/runtime/embedded-postgres'
import { openTestPostgres } from '@sluice/e2e/servers/postgres'
import { openTestRedis } from '@sluice/e2e/servers/redis'
import { openTestS3, type S3Address } from '@sluice/e2e/servers/s3'

export interface Production extends AsyncDisposable {
  readonly url: string
  readonly intakePid: number
  readonly databaseUrl: string
  readonly s3: S3Address
  readonly bucket: string
  readonly stagingDir: string
  startWorker(): Promise<AsyncDisposable>
}

const REPOSITORY = join(import.meta.dirname, '..')
const GRACE_MS = 30_000
const READY_MS_MAX = 30_000

export async function openProduction(settings: Readonly<Record<string, string>> = {}): Promise<Production> {
  await using stack = new AsyncDisposableStack()
  const dir = await mkdtemp(join(tmpdir(), 'sluice-bench-'))
  stack.defer(() => rm(dir, { recursive: true, force: true }))
  const postgres = stack.use(await openTestPostgres())
  const redis = stack.use(await openTestRedis())
  if (!redis) throw new Error('There is no redis-server on PATH: this bench is of the production wiring.')
  const s3 = stack.use(await openTestS3())
  await migrate(postgres.url)
  const stagingDir = join(dir, 'staging')
  const shared = {
    PATH: process.env['PATH'] ?? '',
    SLUICE_DATABASE_URL: postgres.url,
    SLUICE_REDIS_URL: redis.url,
    SLUICE_S3_ENDPOINT: `http://${s3.endPoint}:${s3.port}`,
    SLUICE_S3_ACCESS_KEY: s3.accessKey,
    SLUICE_S3_SECRET_KEY: s3.secretKey,
    SLUICE_S3_BUCKET: BUCKET,
    SLUICE_S3_STAGING_DIR: stagingDir,
    SLUICE_SECRET_KEY: 'a-secret-key-of-servers-that-keep-nothing',
    SLUICE_LOG_LEVEL: 'warn',
    ...settings,
  }

  async function start(service: 'intake' | 'worker', own: Record<string, string>) {
    const opsPort = String(await findFreePort())
    const child = await openChild({
      command: process.execPath,
      arguments: [`services/${service}/src/main.ts`],
      directory: REPOSITORY,
      environment: { ...shared, SLUICE_OPS_PORT: opsPort, ...own },
      stopSignals: ['SIGTERM'],
      graceMs: GRACE_MS,
    })
    await untilReady(`http://127.0.0.1:${opsPort}/ready`, () => child.output())
    return child
  }

  const httpPort = String(await findFreePort())
  const intake = stack.use(await start('intake', { SLUICE_HTTP_PORT: httpPort }))
  const opened = stack.move()
  return {
    url: `http://127.0.0.1:${httpPort}`,
    intakePid: intake.pid,
    databaseUrl: postgres.url,
    s3,
    bucket: BUCKET,
    stagingDir,
    startWorker: () => start('worker', {}),
    [Symbol.asyncDispose]: () => opened.disposeAsync(),
  }
}

const BUCKET = 'bench'

async function untilReady(url: string, output: () => readonly string[]): Promise<void> {
  const deadline = Date.now() + READY_MS_MAX
  for (;;) {
    const answer = await fetch(url).catch(() => null)
    if (answer?.ok) return
    if (Date.now() > deadline) throw new Error(`A service did not become ready.\n${output().join('\n')}`)
    await sleep(100)
  }
}
