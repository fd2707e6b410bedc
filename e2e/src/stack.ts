import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { inject } from 'vitest'
import { createTestDatabase } from '@sluice/database/testing'
import { createObserver, openAllInOne, readConfig } from '@sluice/runtime'
import { type Api, apiOf } from './api.ts'

/** Embedded: queue in PostgreSQL, files in a folder. Production: queue on Redis, files in S3, bytes staged on a shared volume or in a bucket. */
export const WIRINGS = ['embedded', 'production', 'production with a staging bucket'] as const
export type Wiring = (typeof WIRINGS)[number]

/** What this machine can run; `inject` tells whether there is a Redis. */
export const RUNNABLE = WIRINGS.filter((wiring) => wiring === 'embedded' || inject('redisUrl') !== null)

export interface Stack extends AsyncDisposable {
  readonly api: Api
  readonly consoleUrl: string
  readonly token: string
  readonly databaseUrl: string
  readonly dataDir: string
  /** Everything that was logged, for tests that look for what must not be there. */
  readonly log: () => string
}

const TOKEN = 'e2e-token-that-is-long-enough-to-be-one'

/** Redis has sixteen databases: each stack of a run gets one of its own. */
let redisDatabase = 0

/** The whole product in this process, on a database of its own, listening on free ports. */
export async function openStack(wiring: Wiring, environment: Record<string, string> = {}): Promise<Stack> {
  await using stack = new AsyncDisposableStack()
  const dataDir = await mkdtemp(join(tmpdir(), 'sluice-e2e-'))
  stack.defer(() => rm(dataDir, { recursive: true, force: true }))
  const database = stack.use(await createTestDatabase(inject('postgresUrl')))
  const lines: string[] = []
  const config = readConfig({
    SLUICE_DATA_DIR: dataDir,
    SLUICE_DATABASE_URL: database.url,
    SLUICE_HTTP_PORT: '0',
    SLUICE_CONSOLE_PORT: '0',
    SLUICE_OPS_PORT: '0',
    SLUICE_BOOTSTRAP_TOKEN: TOKEN,
    ...wires(wiring, dataDir),
    ...environment,
  })
  const observability = createObserver({ level: 'debug', destination: { write: (line) => void lines.push(line) } })
  const sluice = stack.use(await openAllInOne(config, observability))

  const opened = stack.move()
  return {
    api: apiOf(sluice.url, TOKEN),
    consoleUrl: sluice.consoleUrl,
    token: TOKEN,
    databaseUrl: database.url,
    dataDir,
    log: () => lines.join(''),
    [Symbol.asyncDispose]: () => opened.disposeAsync(),
  }
}

/** The part of the environment in which the wirings differ. */
export function wires(wiring: Wiring, dataDir: string): Record<string, string> {
  if (wiring === 'embedded') return {}
  const redis = new URL(inject('redisUrl') ?? '')
  redisDatabase = (redisDatabase + 1) % 16
  redis.pathname = `/${redisDatabase}`
  const { endPoint, port, accessKey, secretKey } = inject('s3')
  const bucket = `e2e-${crypto.randomUUID()}`
  return {
    SLUICE_REDIS_URL: redis.href,
    SLUICE_S3_ENDPOINT: `http://${endPoint}:${port}`,
    SLUICE_S3_ACCESS_KEY: accessKey,
    SLUICE_S3_SECRET_KEY: secretKey,
    SLUICE_S3_BUCKET: bucket,
    ...(wiring === 'production'
      ? { SLUICE_S3_STAGING_DIR: join(dataDir, 'staging') }
      : { SLUICE_S3_STAGING_BUCKET: `${bucket}-in` }),
  }
}
