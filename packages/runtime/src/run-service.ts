import type { Config } from './config.ts'
import type { LogLevel } from './config-variables.ts'
import { armFaults, loadConfig } from './env.ts'
import { fail, type Running, runUntilSignal } from './lifecycle.ts'
import { createObserver, type Observability } from './observer.ts'

/** After the work that may finish, the time to close what is open. */
const CLOSE_MS = 5_000

/** The life of a process: reads its configuration, opens, runs until a signal, stops in order. */
export async function runService(
  open: (config: Config, observability: Observability) => Promise<Running>,
  defaultLogLevel: LogLevel = 'info',
): Promise<void> {
  let config: Config
  try {
    config = loadConfig()
    armFaults()
  } catch (error) {
    return fail(error)
  }
  const observability = createObserver({ level: config.logLevel ?? defaultLogLevel })
  await runUntilSignal(() => open(config, observability), { graceMs: config.limits.shutdownMsMax + CLOSE_MS })
}
