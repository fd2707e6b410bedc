import { inject } from 'vitest'
import { databaseSuite } from '@sluice/core/testing'
import { openCatalogue } from './test-catalogue.ts'

/** Fewer histories than on the fake: each is a dozen transactions. */
const PROPERTY_RUNS = 15

databaseSuite(
  'PostgreSQL',
  async () => {
    const { database, newTenant, [Symbol.asyncDispose]: close } = await openCatalogue(inject('postgresUrl'))
    return { ...database, newTenant, [Symbol.asyncDispose]: close }
  },
  { propertyRuns: PROPERTY_RUNS },
)
