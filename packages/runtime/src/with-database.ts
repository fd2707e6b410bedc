import type { Database, TenantId } from '@sluice/core'
import { migrate, openDatabase } from '@sluice/database'
import { defaultTenant, ensureAdminToken } from './admin-token.ts'
import { DEMO_SKU } from './demo.ts'
import { openEmbeddedPostgres } from './embedded-postgres.ts'
import { findRunningPostgres } from './embedded-postgres-running.ts'
import { loadConfig } from './env.ts'
import { StartError } from './lifecycle-start-error.ts'

const APPLICATION = 'sluice-cli'

/** For one short command: on the configured server, on the one that a running `sluice up` has, or on one started for the moment. */
export async function withDatabase(work: (database: Database, tenantId: TenantId) => Promise<void>): Promise<void> {
  await withDatabaseUrl(async (url) => {
    await using database = await openDatabase({ url, poolMax: 2, applicationName: APPLICATION })
    await work(database, await defaultTenant(database))
  })
}

/**
 * Brings the database to the schema of this version, and sees to the admin token that the configuration names. Several may do
 * it at once; a queue in the database sees to itself.
 */
export async function runMigrations(): Promise<void> {
  const { bootstrapToken } = loadConfig()
  await withDatabaseUrl(async (url) => {
    await migrate(url)
    if (bootstrapToken === null) return
    await using database = await openDatabase({ url, poolMax: 2, applicationName: APPLICATION })
    await ensureAdminToken(database, bootstrapToken)
  })
}

/** True until the demonstration has been shown. */
export async function isFirstRun(database: Database): Promise<boolean> {
  return (await database.products.find(await defaultTenant(database), { kind: 'sku', sku: DEMO_SKU })) === null
}

export async function withDatabaseUrl<T>(work: (url: string) => Promise<T>): Promise<T> {
  const { database } = loadConfig()
  if (database.kind === 'url') return work(database.url)
  await using stack = new AsyncDisposableStack()
  return await work(await openOrFind(database.dataDir, stack))
}

/** A server of our own, brought up to date; or, when somebody else owns the directory, theirs, which runs. */
async function openOrFind(dataDir: string, stack: AsyncDisposableStack): Promise<string> {
  try {
    const server = stack.use(await openEmbeddedPostgres({ dataDir }))
    await migrate(server.url)
    return server.url
  } catch (error) {
    const url = error instanceof StartError ? await findRunningPostgres(dataDir) : null
    if (url === null) throw error
    return url
  }
}
