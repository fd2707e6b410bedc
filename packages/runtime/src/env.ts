import { armFailpoints } from '@sluice/core'
import { readConfig, type Config } from './config.ts'
import { StartError } from './lifecycle-start-error.ts'

/** The only place where the process's environment is read. Throws a `StartError` that tells all that is wrong with it. */
export function loadConfig(): Config {
  return readConfig(process.env)
}

/** For `pnpm faults`, which kills its own processes; no setting for operators, so it is not among the variables. */
export function armFaults(): void {
  const { SLUICE_FAILPOINTS: specification = '', SLUICE_FAILPOINTS_SEED: seed = '1' } = process.env
  if (specification === '') return
  try {
    armFailpoints(specification, Number(seed))
  } catch (cause) {
    throw new StartError(`SLUICE_FAILPOINTS: ${cause instanceof Error ? cause.message : String(cause)}`, cause)
  }
}
