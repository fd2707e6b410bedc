import type { Config } from './config.ts'
import type { Running } from './lifecycle.ts'
import type { Observability } from './observer.ts'
import { openOps } from './ops.ts'
import { requireSecretKey } from './secret-key.ts'
import { requireDatabaseUrl, running } from './service.ts'
import { openWorker } from './worker.ts'
import { openIngestQueue, openParts } from './world.ts'

export { runService } from './run-service.ts'

/** A file of its own, as the intake has one, so that neither loads what only the other uses. */
export async function openWorkerService(config: Config, observability: Observability): Promise<Running> {
  await using stack = new AsyncDisposableStack()
  const secretKey = await requireSecretKey(config)
  const parts = stack.use(await openParts(config, observability, requireDatabaseUrl(config), 'sluice-worker'))
  const queue = stack.use(await openIngestQueue(parts))
  stack.use(await openOps(parts, { queue: () => queue.ping() }))
  stack.use(await openWorker(parts, queue, secretKey))
  return running(stack)
}
