import { readConfig, type Config } from './config.ts'

/** The only place where the process's environment is read. Throws a `StartError` that tells all that is wrong with it. */
export function loadConfig(): Config {
  return readConfig(process.env)
}
