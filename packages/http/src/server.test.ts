import { once } from 'node:events'
import { connect } from 'node:net'
import { Readable } from 'node:stream'
import Fastify from 'fastify'
import { DEFAULT_LIMITS } from '@sluice/core'
import { expect, test } from 'vitest'
import { bareServer } from './bare-server.ts'

test('a client that does not read what it asked for is let go, and what it held is given back', async () => {
  const logger = Fastify({ logger: { level: 'silent' } }).log
  const app = bareServer({ ...DEFAULT_LIMITS, eventsMsMax: 1, waitMsMax: 1 }, logger)
  const held = Readable.from(endless(), { objectMode: false })
  app.get('/', (_request, reply) => reply.send(held))
  const { port } = new URL(await app.listen({ port: 0, host: '127.0.0.1' }))
  const client = connect(Number(port), '127.0.0.1').on('error', () => undefined)
  client.write('GET / HTTP/1.1\r\nhost: here\r\n\r\n')
  client.pause()
  await once(held, 'close')
  expect(held.destroyed).toBe(true)
  client.destroy()
  await app.close()
})

async function* endless(): AsyncGenerator<Buffer> {
  for (;;) yield Buffer.alloc(64 * 1024)
}

test('a client that is silent for as long as it may follow events is not', () => {
  const app = bareServer(DEFAULT_LIMITS, Fastify({ logger: { level: 'silent' } }).log)
  expect(app.server.timeout).toBeGreaterThan(DEFAULT_LIMITS.eventsMsMax)
})
