/** Worker and console as services of their own; the intake has a file of its own, so that it loads no queue. */
import type { Config } from './config.ts'
import { openConsole as openConsoleServer } from './console.ts'
import type { Running } from './lifecycle.ts'
import type { Observability } from './observer.ts'
import { openOps } from './ops.ts'
import { requireSecretKey } from './secret-key.ts'
import { requireDatabaseUrl, running } from './service.ts'
import { openWorker } from './worker.ts'
import { openIngestQueue, openParts } from './world.ts'

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
