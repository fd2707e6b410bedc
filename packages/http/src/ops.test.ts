import Fastify, { type FastifyInstance } from 'fastify'
import { afterEach, expect, test } from 'vitest'
import { stubDatabase } from './console/stub-database.ts'
import { buildOps, type Checks } from './ops.ts'

let app: FastifyInstance | null = null
afterEach(async () => {
  await app?.close()
  app = null
})

const stub = stubDatabase()

async function start(checks: Checks): Promise<string> {
  app = await buildOps({
    database: stub.database,
    checks,
    metrics: async () => ({ contentType: 'text/plain; version=0.0.4; charset=utf-8', body: 'up 1\n' }),
    logger: Fastify({ logger: { level: 'silent' } }).log,
  })
  return app.listen({ host: '127.0.0.1', port: 0 })
}

test('is ready when every check is', async () => {
  const url = await start({ database: async () => undefined, objects: async () => undefined })
  const response = await fetch(`${url}/ready`)
  expect(response.status).toBe(200)
  expect(await response.json()).toMatchObject({
    status: 'ready',
    checks: [{ name: 'database', status: 'ok' }, { name: 'objects' }],
  })
})

test('names the check that failed or did not answer in time, and not why, while it stays alive', async () => {
  const url = await start({
    database: () => Promise.reject(new Error('postgres://user:secret@db refused')),
    queue: () => new Promise(() => undefined),
    objects: async () => undefined,
  })
  const response = await fetch(`${url}/ready`)
  expect(response.status).toBe(503)
  const body = await response.text()
  const { checks } = JSON.parse(body) as { checks: { name: string; status: string }[] }
  expect(checks.map(({ name, status }) => [name, status])).toEqual([
    ['database', 'failed'],
    ['queue', 'failed'],
    ['objects', 'ok'],
  ])
  expect(body).not.toContain('secret')
  expect((await fetch(`${url}/health`)).status).toBe(200)
})

test('asks once for all who ask at the same time, and again afterwards', async () => {
  let asked = 0
  const gate = Promise.withResolvers<void>()
  const url = await start({ database: () => ((asked += 1), gate.promise) })
  const round = Promise.all(Array.from({ length: 20 }, () => fetch(`${url}/ready`)))
  await expect.poll(() => asked).toBe(1)
  gate.resolve()
  expect((await round).every((response) => response.ok)).toBe(true)
  const askedTogether = asked
  await fetch(`${url}/ready`)
  expect(asked).toBe(askedTogether + 1)
})

test('shows metrics to an admin and to nobody else', async () => {
  const url = await start({})
  const ask = (authorization?: string) => fetch(`${url}/metrics`, authorization ? { headers: { authorization } } : {})
  expect((await ask()).status).toBe(401)
  expect((await ask('Bearer wrong')).status).toBe(401)
  expect((await ask(`Bearer ${stub.addToken('writer').secret}`)).status).toBe(403)
  const admin = stub.addToken('admin')
  const metrics = await ask(`Bearer ${admin.secret}`)
  expect([await metrics.text(), metrics.headers.get('content-type')]).toEqual([
    'up 1\n',
    'text/plain; version=0.0.4; charset=utf-8',
  ])
  stub.revoke(admin.tokenId)
  expect((await ask(`Bearer ${admin.secret}`)).status).toBe(401)
})
