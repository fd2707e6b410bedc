import { SluiceError } from '../errors.ts'
import type { TenantId } from '../ids.ts'
import { WEIGHT_MAX } from '../ports.ts'
import { newId } from './builders.ts'
import type { TestedDatabase } from './database-suite.ts'
import { memoryBlobs } from './memory/blobs.ts'
import { memoryCatalogue } from './memory/catalogue.ts'
import { memoryExaminations } from './memory/examinations.ts'
import { memoryFiles } from './memory/files.ts'
import { memoryHierarchies } from './memory/hierarchies.ts'
import { memoryHooks } from './memory/hooks.ts'
import { memoryIdempotencyKeys } from './memory/idempotency.ts'
import { memoryImports } from './memory/imports.ts'
import { memoryIngests } from './memory/ingests.ts'
import { memoryNonces } from './memory/nonces.ts'
import { memoryOutbox } from './memory/outbox.ts'
import { memoryProductImages } from './memory/product-images.ts'
import { memoryProducts } from './memory/products.ts'
import { memorySignals } from './memory/signals.ts'
import { openTables } from './memory/tables.ts'
import { memoryTokens } from './memory/tokens.ts'
import { memoryUploads } from './memory/uploads.ts'
import { memoryUrlSources } from './memory/url-sources.ts'
import { memoryWebhooks } from './memory/webhooks.ts'

/** The contract of `Database` at its shortest. Its clock can be given, so that leases end when a test says so. */
export function memoryDatabase({ now = () => new Date() }: { readonly now?: () => Date } = {}): TestedDatabase {
  const { wake, ...signals } = memorySignals()
  const tables = openTables({ now, wake })

  async function newTenant(name: string = newId()): Promise<TenantId> {
    const id = newId() as TenantId
    tables.tenants.set(name, id)
    return id
  }
  void newTenant('default')

  return {
    newTenant,
    tenants: {
      findByName: async (name) => tables.tenants.get(name) ?? null,
      exists: async (tenantId) => tables.tenants.values().some((id) => id === tenantId),
      async setWeight(tenantId, weight) {
        if (!Number.isInteger(weight) || weight < 1 || weight > WEIGHT_MAX) throw new SluiceError('request_invalid')
        if (!tables.tenants.values().some((id) => id === tenantId)) return false
        tables.weights.set(tenantId, weight)
        return true
      },
    },
    tokens: memoryTokens(tables),
    products: memoryProducts(tables),
    catalogue: memoryCatalogue(),
    hierarchies: memoryHierarchies(tables),
    images: memoryProductImages(tables),
    files: memoryFiles(tables),
    blobs: memoryBlobs(tables),
    ingests: memoryIngests(tables),
    imports: memoryImports(tables),
    outbox: memoryOutbox(tables),
    idempotency: memoryIdempotencyKeys(tables),
    nonces: memoryNonces(tables),
    uploads: memoryUploads(tables),
    urlSources: memoryUrlSources(tables),
    hooks: memoryHooks(tables),
    webhooks: memoryWebhooks(tables),
    examinations: memoryExaminations(tables),
    signals,
    ping: async () => {},
    [Symbol.asyncDispose]: async () => {},
  }
}
