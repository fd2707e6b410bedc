/** The three services of production: each opens what it needs and nothing else. */
import { StartError } from './lifecycle-start-error.ts'
import type { Config } from './config.ts'
import { openConsole as openConsoleServer } from './console.ts'
import { openIntake } from './intake.ts'
import type { Running } from './lifecycle.ts'
import type { Observability } from './observer.ts'
import { openOps } from './ops.ts'
import { requireSecretKey } from './secret-key.ts'
import { openWorker } from './worker.ts'
import { openIngestQueue, openParts } from './world.ts'

export async function openIntakeService(config: Config, observability: Observability): Promise<Running> {
  await using stack = new AsyncDisposableStack()
  const secretKey = await requireSecretKey(config)
  const parts = stack.use(await openParts(config, observability, requireDatabaseUrl(config), 'sluice-intake'))
  stack.use(await openOps(parts, {}))
  stack.use(await openIntake(parts, secretKey))
  return running(stack)
}

export async function openWorkerService(config: Config, observability: Observability): Promise<Running> {
  await using stack = new AsyncDisposableStack()
  const secretKey = await requireSecretKey(config)
  const parts = stack.use(await openParts(config, observability, requireDatabaseUrl(config), 'sluice-worker'))
  const queue = stack.use(await openIngestQueue(parts))
  stack.use(await openOps(parts, { queue: () => queue.ping() }))
  stack.use(await openWorker(parts, queue, secretKey))
  return running(stack)
}

export async function openConsoleService(config: Config, observability: Observability): Promise<Running> {
  await using stack = new AsyncDisposableStack()
  const parts = stack.use(await openParts(config, observability, requireDatabaseUrl(config), 'sluice-console'))
  const queue = stack.use(await openIngestQueue(parts))
  stack.use(await openConsoleServer(parts, queue))
  return running(stack)
}

function running(stack: AsyncDisposableStack): Running {
  const opened = stack.move()
  return { [Symbol.asyncDispose]: () => opened.disposeAsync() }
}

/** Services of their own share a server: an embedded database has one owner. */
function requireDatabaseUrl({ database }: Config): string {
  if (database.kind === 'url') return database.url
  throw new StartError(
    'SLUICE_DATABASE_URL is missing: a service of its own needs a database server. "sluice up" runs everything in one process without one.',
  )
}
