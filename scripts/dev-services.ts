/** The servers of production on this machine: PostgreSQL, Redis and an S3, until Ctrl-C. */
import { parseArgs } from 'node:util'
import { openTestPostgres } from '../e2e/servers/postgres.ts'
import { openTestRedis } from '../e2e/servers/redis.ts'
import { openTestS3 } from '../e2e/servers/s3.ts'
import { runUntilSignal } from '../packages/runtime/src/lifecycle.ts'

const HELP = `Usage: pnpm dev:services

Starts PostgreSQL (port 54320), Redis (63790; skipped without redis-server on PATH) and MinIO (9010; the in-process stand-in
fauxqs without a minio binary in SLUICE_MINIO_BIN, on PATH or at .sluice/bin/minio), prints the variables that make Sluice use
them, and stops all of them on Ctrl-C. Nothing that they hold is kept.

  -h, --help   this text
`

const GRACE_MS = 20_000

const { values } = parseArgs({ options: { help: { type: 'boolean', short: 'h', default: false } } })
if (values.help) process.stdout.write(HELP)
else await runUntilSignal(openServices, { graceMs: GRACE_MS })

async function openServices(): Promise<AsyncDisposable> {
  await using stack = new AsyncDisposableStack()
  const postgres = stack.use(await openTestPostgres({ port: 54_320 }))
  const redis = stack.use(await openTestRedis({ port: 63_790 }))
  const s3 = stack.use(await openTestS3({ port: 9010 }))
  const variables = {
    SLUICE_DATABASE_URL: postgres.url,
    SLUICE_SECRET_KEY: 'a-secret-key-of-servers-that-keep-nothing',
    ...(redis ? { SLUICE_REDIS_URL: redis.url } : {}),
    SLUICE_S3_ENDPOINT: `http://${s3.endPoint}:${s3.port}`,
    SLUICE_S3_ACCESS_KEY: s3.accessKey,
    SLUICE_S3_SECRET_KEY: s3.secretKey,
  }
  const lines = Object.entries(variables).map(([name, value]) => `export ${name}='${value}'\n`)
  const missing = redis ? '' : '# No redis-server on PATH: the queue will be in PostgreSQL.\n'
  process.stdout.write(`# S3 is ${s3.kind}. Ctrl-C stops everything.\n${missing}${lines.join('')}`)
  return stack.move()
}
