import { expect, test } from 'vitest'
import type { IngestId, TokenId } from './ids.ts'
import { forgetOld } from './sweep.ts'
import { memoryWorld } from './testing/memory-world.ts'
import { newDigest, newId } from './testing/builders.ts'

const HOUR_MS = 3_600_000

test('what was kept for a time is forgotten when the time is over, and not before', async () => {
  await using world = memoryWorld()
  const { database, clock, limits } = world
  const tenantId = await database.newTenant()
  const id = newId() as TokenId
  const token = { id, tenantId, name: 'n', role: 'writer', sha256Hex: newDigest(), prefix: 'p', expiresAt: null } as const
  await database.tokens.create(token)
  await database.tokens.issue(id, [
    { sha256Hex: newDigest(), kind: 'access', ttlMs: HOUR_MS },
    { sha256Hex: newDigest(), kind: 'refresh', ttlMs: HOUR_MS },
  ])
  await database.idempotency.reserve(tenantId, 'key', newId() as IngestId, HOUR_MS, limits.idempotencyMsMax)
  expect(await forgetOld(world)).toBe(0)
  clock.advance(HOUR_MS)
  expect(await forgetOld(world)).toBe(2)
  clock.advance(limits.idempotencyMsMax)
  expect(await forgetOld(world)).toBe(1)
  expect(await forgetOld(world)).toBe(0)
})
