import type { Database } from '@sluice/core'
import { openBlobs } from './blobs.ts'
import { openCatalogue } from './catalogue.ts'
import { sql } from './drizzle.ts'
import { openExaminations } from './examinations.ts'
import { openFiles } from './files.ts'
import { openHierarchies } from './hierarchies.ts'
import { openHooks } from './hooks.ts'
import { openIdempotencyKeys } from './idempotency.ts'
import { openImports } from './imports.ts'
import { openIngests } from './ingests.ts'
import { openNonces } from './nonces.ts'
import { openOutbox } from './outbox.ts'
import { openPool, type PoolOptions } from './pool.ts'
import { openProductImages } from './product-images.ts'
import { openProducts } from './products.ts'
import { openSignals } from './signals.ts'
import { openTenants } from './tenants.ts'
import { openTokens } from './tokens.ts'
import { runnerOn } from './transaction.ts'
import { openUploads } from './uploads.ts'
import { openUrlSources } from './url-sources.ts'
import { openWebhooks } from './webhooks.ts'

export type DatabaseOptions = PoolOptions

/** The database of the core on PostgreSQL. Connects when it is first asked; at most `poolMax` connections, and one that listens. */
export async function openDatabase(options: DatabaseOptions): Promise<Database & AsyncDisposable> {
  await using stack = new AsyncDisposableStack()
  const runner = runnerOn(stack.use(openPool(options)))
  const signals = stack.use(openSignals({ url: options.url, applicationName: `${options.applicationName}: signals` }))
  const opened = stack.move()
  return {
    tenants: openTenants(runner),
    tokens: openTokens(runner),
    products: openProducts(runner),
    catalogue: openCatalogue(runner),
    hierarchies: openHierarchies(runner),
    images: openProductImages(runner),
    files: openFiles(runner),
    blobs: openBlobs(runner),
    ingests: openIngests(runner),
    imports: openImports(runner),
    outbox: openOutbox(runner),
    idempotency: openIdempotencyKeys(runner),
    nonces: openNonces(runner),
    uploads: openUploads(runner),
    urlSources: openUrlSources(runner),
    hooks: openHooks(runner),
    webhooks: openWebhooks(runner),
    examinations: openExaminations(runner),
    signals,
    ping: async () => void (await runner.query((db) => db.execute(sql`select 1`))),
    [Symbol.asyncDispose]: () => opened.disposeAsync(),
  }
}
