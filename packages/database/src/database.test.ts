import { inject } from 'vitest'
import { databaseSuite } from '@sluice/core/testing'
import { openCatalogue } from './test-catalogue.ts'

/** Fewer histories than on the fake: each is a dozen transactions. */
const PROPERTY_RUNS = 15

databaseSuite(
  'PostgreSQL',
  async () => {
    const catalogue = await openCatalogue(inject('postgresUrl'))
    return {
      ...catalogue.database,
      newTenant: () => catalogue.newTenant(),
      [Symbol.asyncDispose]: () => catalogue[Symbol.asyncDispose](),
    }
  },
  { propertyRuns: PROPERTY_RUNS },
)
