import { afterAll, beforeAll, describe } from 'vitest'
import type { TenantId } from '../ids.ts'
import type { Database } from '../ports.ts'
import { type Catalogue, openCatalogue, type Subject } from './suites/catalogue.ts'
import { adoptionTests } from './suites/database-adoption.ts'
import { answerTests } from './suites/database-answers.ts'
import { blobTests } from './suites/database-blobs.ts'
import { catalogueTests } from './suites/database-catalogue.ts'
import { commitTests } from './suites/database-commit.ts'
import { concurrencyTests } from './suites/database-concurrency.ts'
import { hierarchyTests } from './suites/database-hierarchies.ts'
import { hookTests } from './suites/database-hooks.ts'
import { fileTests } from './suites/database-files.ts'
import { idempotencyTests } from './suites/database-idempotency.ts'
import { imageTests } from './suites/database-images.ts'
import { importTests } from './suites/database-imports.ts'
import { ingestTests } from './suites/database-ingests.ts'
import { issuedKeyTests } from './suites/database-issued-keys.ts'
import { listTests } from './suites/database-list.ts'
import { nameAndPlaceTests } from './suites/database-names.ts'
import { laneTests } from './suites/database-lanes.ts'
import { nonceTests } from './suites/database-nonces.ts'
import { organizationTests } from './suites/database-organization.ts'
import { outboxTests } from './suites/database-outbox.ts'
import { parkingTests } from './suites/database-parking.ts'
import { productFieldTests } from './suites/database-product-fields.ts'
import { productTests } from './suites/database-products.ts'
import { propertyTests } from './suites/database-properties.ts'
import { replacingTests } from './suites/database-replacing.ts'
import { replayTests } from './suites/database-replays.ts'
import { signalTests } from './suites/database-signals.ts'
import { storeViewTests } from './suites/database-store-views.ts'
import { tenancyTests } from './suites/database-tenancy.ts'
import { tokenTests } from './suites/database-tokens.ts'
import { uploadTests } from './suites/database-uploads.ts'
import { urlTests } from './suites/database-urls.ts'
import { webhookTests } from './suites/database-webhooks.ts'

export interface TestedDatabase extends Database, AsyncDisposable {
  /** Beside the port, which makes none: the first one comes with the database. */
  newTenant(): Promise<TenantId>
}

export interface DatabaseSuiteOptions {
  /** How many random histories are tried. */
  readonly propertyRuns?: number
}

const THEMES: Readonly<Record<string, (subject: Subject) => void>> = {
  tokens: tokenTests,
  'issued keys': issuedKeyTests,
  nonces: nonceTests,
  'products and files': productTests,
  'fields of products': productFieldTests,
  catalogues: catalogueTests,
  hierarchies: hierarchyTests,
  'adopting nodes': adoptionTests,
  "what is the organization's": organizationTests,
  imports: importTests,
  ingests: ingestTests,
  'files at addresses': urlTests,
  'uploads that were reserved': uploadTests,
  'answers that nobody got': answerTests,
  commits: commitTests,
  'names, places and roles': nameAndPlaceTests,
  'changes to images': imageTests,
  'store views': storeViewTests,
  'replaced files, slots and main images': replacingTests,
  files: fileTests,
  'blobs and their removal': blobTests,
  'lists of ingests': listTests,
  replays: replayTests,
  'idempotency keys': idempotencyTests,
  'the outbox and what is idle': outboxTests,
  'webhooks in': hookTests,
  'lanes and turns': laneTests,
  'what waits for its product': parkingTests,
  'webhooks out': webhookTests,
  signals: signalTests,
  tenants: tenancyTests,
  'many at once': concurrencyTests,
  'random histories': propertyTests,
}

/** What every database promises. `open` gives an empty one that has the tenant `default`. */
export function databaseSuite(
  name: string,
  open: () => Promise<TestedDatabase>,
  { propertyRuns = 100 }: DatabaseSuiteOptions = {},
): void {
  describe(`database: ${name}`, () => {
    let shared: Catalogue
    beforeAll(async () => {
      shared = await openCatalogue(open)
    })
    afterAll(() => shared[Symbol.asyncDispose]())

    const subject: Subject = { catalogue: () => shared, openOwn: () => openCatalogue(open), propertyRuns }
    describe.for(Object.entries(THEMES))('%s', ([, tests]) => {
      tests(subject)
    })
  })
}
