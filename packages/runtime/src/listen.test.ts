import { once } from 'node:events'
import { connect } from 'node:net'
import Fastify from 'fastify'
import { expect, it } from 'vitest'
import { closeWithin, listen } from './listen.ts'

it('closes a server whose answer never comes to its end', async () => {
  const app = Fastify()
  const asked = Promise.withResolvers<void>()
  app.get('/', () => {
    asked.resolve()
    return new Promise(() => undefined)
  })
  const { port } = new URL(await listen(app, { host: '127.0.0.1', port: 0 }, 'PORT'))
  const client = connect(Number(port), '127.0.0.1').on('error', () => undefined)
  const cut = once(client, 'close')
  client.write('GET / HTTP/1.1\r\nhost: here\r\n\r\n')
  await asked.promise
  await closeWithin(app, 50)
  await cut
  expect(app.server.listening).toBe(false)
})
