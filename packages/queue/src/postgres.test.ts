import { queueSuite } from '@sluice/core/testing'
import { afterAll, beforeAll, inject } from 'vitest'
import { openQueue } from './open-queue.ts'
import { newNamespace, openTestDatabase, type TestDatabase } from './testing/places.ts'

let database: TestDatabase

beforeAll(async () => {
  database = await openTestDatabase(inject('postgresUrl'))
})
afterAll(() => database[Symbol.asyncDispose]())

queueSuite('Postgres', () => openQueue({ kind: 'postgres', url: database.url, namespace: newNamespace() }))
