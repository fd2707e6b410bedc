import { migrate } from '@sluice/database'
import { ensureAdminToken } from './admin-token.ts'
import type { Config } from './config.ts'
import { openConsole } from './console.ts'
import { openEmbeddedPostgres } from './embedded-postgres.ts'
import { openIntake } from './intake.ts'
import type { Running } from './lifecycle.ts'
import type { Observability } from './observer.ts'
import { keepSecretKey } from './secret-key.ts'
import { openWorker } from './worker.ts'
import { openIngestQueue, openParts, type Parts } from './world.ts'

export interface AllInOne extends Running {
  readonly parts: Parts
  readonly url: string
  readonly consoleUrl: string
  /** Null when it was shown on an earlier start. */
  readonly adminToken: string | null
}

/** Everything in one process: the database first, then the schema, the worker, the intake and the console. */
export async function openAllInOne(config: Config, observability: Observability): Promise<AllInOne> {
  await using stack = new AsyncDisposableStack()
  const { databaseUrl, failed } = await openDatabaseServer(config, stack)
  await migrate(databaseUrl)
  const parts = stack.use(await openParts(config, observability, databaseUrl, 'sluice'))
  const adminToken = await ensureAdminToken(parts.database, config.bootstrapToken)
  const queue = stack.use(await openIngestQueue(parts))
  // These stop together, so that each has the whole grace: a slow upload must not use up that of the images being worked on.
  const sides: AsyncDisposable[] = []
  stack.defer(async () => void (await Promise.all(sides.map((side) => side[Symbol.asyncDispose]()))))
  const secretKey = await keepSecretKey(config)
  sides.push(await openWorker(parts, queue, secretKey))
  const intake = await openIntake(parts, secretKey)
  sides.push(intake)
  const console = await openConsole(parts, queue)
  sides.push(console)

  const opened = stack.move()
  return {
    parts,
    adminToken,
    url: intake.url,
    consoleUrl: console.url,
    ...(failed && { failed }),
    [Symbol.asyncDispose]: () => opened.disposeAsync(),
  }
}

async function openDatabaseServer(
  config: Config,
  stack: AsyncDisposableStack,
): Promise<{ databaseUrl: string; failed?: Promise<string> }> {
  if (config.database.kind === 'url') return { databaseUrl: config.database.url }
  const server = stack.use(await openEmbeddedPostgres(config.database))
  return { databaseUrl: server.url, failed: server.exited }
}
