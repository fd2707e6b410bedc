import Fastify from 'fastify'
import { hashToken, SluiceError, type TenantId, type TokenId } from '@sluice/core'
import { imageBytes, memoryDatabase, memoryWorld, newId } from '@sluice/core/testing'
import { expect, test } from 'vitest'
import { buildServer } from '../server.ts'

test('an upload that was accepted is answered as accepted, though the database goes away before its end can be read', async () => {
  const database = memoryDatabase()
  const tenantId = (await database.tenants.findByName('default')) as TenantId
  const token = { id: newId() as TokenId, tenantId, name: 'test', role: 'writer', prefix: 's', expiresAt: null } as const
  await database.tokens.create({ ...token, sha256Hex: hashToken('secret') })
  const find = () => Promise.reject(new SluiceError('service_unavailable'))
  await using world = memoryWorld({ database: { ...database, ingests: { ...database.ingests, find } } })
  const app = await buildServer({ world, logger: Fastify({ logger: { level: 'silent' } }).log })
  const response = await app.inject({
    method: 'POST',
    url: '/v1/files',
    headers: { authorization: 'Bearer secret', 'content-type': 'image/jpeg', prefer: 'wait=5' },
    payload: Buffer.from(imageBytes('a tulip')),
  })
  await app.close()
  expect(response.statusCode).toBe(202)
  const [promised] = await database.ingests.list(tenantId, {}, { before: null, limit: 2 })
  expect(response.headers.location).toBe(`/v1/ingests/${promised?.id}`)
})
