import type { Config } from './config.ts'
import { openConsole as openConsoleServer } from './console.ts'
import type { Running } from './lifecycle.ts'
import type { Observability } from './observer.ts'
import { requireDatabaseUrl, running } from './service.ts'
import { openIngestQueue, openParts } from './world.ts'

export async function openConsoleService(config: Config, observability: Observability): Promise<Running> {
  await using stack = new AsyncDisposableStack()
  const parts = stack.use(await openParts(config, observability, requireDatabaseUrl(config), 'sluice-console'))
  const queue = stack.use(await openIngestQueue(parts))
  stack.use(await openConsoleServer(parts, queue))
  return running(stack)
}
