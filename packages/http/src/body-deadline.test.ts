import { once } from 'node:events'
import { connect, type Socket } from 'node:net'
import { setTimeout as wait } from 'node:timers/promises'
import Fastify, { type FastifyInstance } from 'fastify'
import { afterEach, describe, expect, test } from 'vitest'
import { DEFAULT_LIMITS, type Limits } from '@sluice/core'
import { boundBodies, deadlineOf } from './body-deadline.ts'
import { requestBytes } from './bodies/request-bytes.ts'
import { streamBodies, STREAMED } from './dialect.ts'
import { bareServer } from './bare-server.ts'

let app: FastifyInstance
afterEach(() => app.close())

/** A server that tells how much came: of a body that it parses, and of one that it reads as a stream. */
async function start(limits: Partial<Limits>): Promise<number> {
  const all = { ...DEFAULT_LIMITS, ...limits }
  app = bareServer(all, Fastify({ logger: { level: 'silent' } }).log)
  boundBodies(app, all)
  app.post('/parsed', async ({ body }) => ({ bytes: JSON.stringify(body).length }))
  await app.register(async (scope) => {
    streamBodies(scope)
    scope.post('/streamed', STREAMED, async (request) => {
      let bytes = 0
      for await (const chunk of requestBytes(request.raw, deadlineOf(request))) bytes += chunk.length
      return { bytes }
    })
  })
  return Number(new URL(await app.listen({ host: '127.0.0.1', port: 0 })).port)
}

function open(port: number, path: string, bytes: number): { socket: Socket; answer: Promise<string> } {
  const socket = connect(port, '127.0.0.1').setEncoding('latin1')
  let text = ''
  socket.on('data', (part: string) => (text += part)).on('error', () => undefined)
  // What was written after the last word is answered with a reset.
  const answer = new Promise<string>((resolve) => socket.once('close', () => resolve(text)))
  socket.write(`POST ${path} HTTP/1.1\r\nhost: here\r\nconnection: close\r\n`)
  socket.write(`content-type: application/json\r\ncontent-length: ${bytes}\r\n\r\n"`)
  return { socket, answer }
}

/** Writes until the other side has had enough, or everything is said. */
async function drip(socket: Socket, times: number, text: string): Promise<void> {
  for (let time = 0; time < times && socket.writable; time++) {
    socket.write(text)
    await wait(20)
  }
}

describe.for(['/parsed', '/streamed'])('a body (%s)', (path) => {
  test('that drips is cut off with a word, though it never pauses', async () => {
    const port = await start({ requestMsMax: 300, bodyBytesPerSecondMin: 1_000_000 })
    const { socket, answer } = open(port, path, 100_000)
    // Until it is cut off: that it is, and not when, is what is tried.
    const dripping = drip(socket, 10_000, 'x')
    expect(await answer).toMatch(/^HTTP\/1\.1 408 [\s\S]*"code":"request_timeout"/)
    await dripping
  })

  test('that does not come at all is cut off with a word', async () => {
    const { answer } = open(await start({ requestMsMax: 100 }), path, 1_000)
    expect(await answer).toMatch(/^HTTP\/1\.1 408 /)
  })

  test('that goes on is taken, however long it takes', async () => {
    const port = await start({ requestMsMax: 2_000, bodyBytesPerSecondMin: 10 })
    const bytes = 130 * 1_000 + 2
    const { socket, answer } = open(port, path, bytes)
    await drip(socket, 130, 'x'.repeat(1_000))
    socket.write('"')
    expect(await answer).toMatch(new RegExp(`^HTTP/1\\.1 200 [\\s\\S]*\\{"bytes":${bytes}\\}`))
  })
})

describe('a connection', () => {
  test('whose head does not end is cut off with a word', async () => {
    const port = await start({})
    app.server.headersTimeout = 100
    const socket = connect(port, '127.0.0.1').setEncoding('latin1')
    socket.write('POST /parsed HTTP/1.1\r\nhost: here\r\nx-slow: ')
    const [said] = await once(socket, 'data')
    expect(said).toMatch(/^HTTP\/1\.1 408 [\s\S]*"code":"request_timeout"/)
    socket.destroy()
  })

  test('that is kept and not used is closed', async () => {
    const port = await start({})
    app.server.keepAliveTimeout = 50
    const socket = connect(port, '127.0.0.1').setEncoding('latin1')
    socket.write('GET /nothing HTTP/1.1\r\nhost: here\r\n\r\n')
    const [said] = await once(socket, 'data')
    expect(said).toMatch(/^HTTP\/1\.1 404 /)
    await once(socket, 'close')
  })
})
