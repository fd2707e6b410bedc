import type { Config } from './config.ts'
import { openIntake } from './intake.ts'
import type { Running } from './lifecycle.ts'
import type { Observability } from './observer.ts'
import { openOps } from './ops.ts'
import { requireSecretKey } from './secret-key.ts'
import { requireDatabaseUrl, running } from './service.ts'
import { openParts } from './world.ts'

export { runService } from './run-service.ts'

export async function openIntakeService(config: Config, observability: Observability): Promise<Running> {
  await using stack = new AsyncDisposableStack()
  const secretKey = await requireSecretKey(config)
  const parts = stack.use(await openParts(config, observability, requireDatabaseUrl(config), 'sluice-intake'))
  stack.use(await openOps(parts, {}))
  stack.use(await openIntake(parts, secretKey))
  return running(stack)
}
