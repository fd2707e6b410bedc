import { readConfig, type Config } from './config.ts'

/** The only place where the process's environment is read. */
export function loadConfig(): Config {
  return readConfig(process.env)
}
