import { expect, test } from 'vitest'
import type { IngestId, TokenId } from '../ids.ts'
import { newDigest, newId } from './builders.ts'
import { databaseSuite } from './database-suite.ts'
import { manualClock } from './manual-clock.ts'
import { memoryDatabase } from './memory-database.ts'

databaseSuite('memory', async () => memoryDatabase())

test('times are those of the given clock', async () => {
  const clock = manualClock()
  await using database = memoryDatabase(clock)
  const tenantId = await database.newTenant()
  const expiresAt = new Date(clock.now().getTime() + 1_000)
  const sha256Hex = newDigest()
  await database.tokens.create({ id: newId() as TokenId, tenantId, name: '', role: 'reader', sha256Hex, prefix: '', expiresAt })
  const reserve = () => database.idempotency.reserve(tenantId, 'key', newId() as IngestId, 1_000, 60_000)
  await reserve()
  clock.advance(999)
  expect(await database.tokens.authenticate(sha256Hex)).not.toBeNull()
  expect(await reserve()).toEqual({ kind: 'in_flight' })
  clock.advance(2)
  expect(await database.tokens.authenticate(sha256Hex)).toBeNull()
  expect(await reserve()).toEqual({ kind: 'reserved' })
})
