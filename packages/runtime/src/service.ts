import type { Config } from './config.ts'
import type { Running } from './lifecycle.ts'
import { StartError } from './lifecycle-start-error.ts'

export function running(stack: AsyncDisposableStack): Running {
  const opened = stack.move()
  return { [Symbol.asyncDispose]: () => opened.disposeAsync() }
}

/** Services of their own share a server: an embedded database has one owner. */
export function requireDatabaseUrl({ database }: Config): string {
  if (database.kind === 'url') return database.url
  throw new StartError(
    'SLUICE_DATABASE_URL is missing: a service of its own needs a database server. "sluice up" runs everything in one process without one.',
  )
}
