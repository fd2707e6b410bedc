import { once } from 'node:events'
import { createServer, type RequestListener } from 'node:http'
import { describe, expect, it } from 'vitest'
import { type Api, openApi, retryAfterMs } from './api.ts'

async function serve(listener: RequestListener) {
  const server = createServer(listener).listen(0, '127.0.0.1')
  await once(server, 'listening')
  const address = server.address()
  const url = `http://127.0.0.1:${typeof address === 'object' && address ? address.port : 0}`
  const close = async () => {
    server.close()
    server.closeAllConnections()
    await once(server, 'close')
  }
  return { url, [Symbol.asyncDispose]: close }
}

const open = (url: string, signal: AbortSignal = new AbortController().signal): Api => openApi({ url, token: 'secret', signal })

describe('a request', () => {
  it('is repeated, the body too, while the server asks to wait or breaks off', async () => {
    const bodies: string[] = []
    await using server = await serve((request, response) => {
      let body = ''
      request
        .on('data', (chunk) => (body += chunk))
        .on('end', () => {
          bodies.push(body)
          if (bodies.length === 1) response.writeHead(429, { 'retry-after': '0' }).end()
          else if (bodies.length === 2) response.writeHead(503).end('busy')
          else if (bodies.length === 3) response.destroy()
          else response.writeHead(200, { 'content-type': 'application/json' }).end('{"ok":true}')
        })
    })
    expect(await open(server.url).call('POST', '/v1/imports', { json: { name: 'x' } })).toEqual({ ok: true })
    expect(bodies).toEqual(Array(4).fill('{"name":"x"}'))
  })

  it('waits as long as it is asked to', async () => {
    const times: number[] = []
    await using server = await serve((_request, response) => {
      times.push(performance.now())
      if (times.length === 1) response.writeHead(503, { 'retry-after': '1' }).end()
      else response.writeHead(204).end()
    })
    await open(server.url).call('GET', '/')
    expect((times[1] ?? 0) - (times[0] ?? 0)).toBeGreaterThanOrEqual(990)
  })

  it('that is refused is not repeated, and tells why', async () => {
    let requests = 0
    await using server = await serve((_request, response) => {
      requests += 1
      const problem = { title: 'The request is not valid', status: 400, code: 'request_invalid', detail: 'name is too long.' }
      response.writeHead(400, { 'content-type': 'application/problem+json' }).end(JSON.stringify(problem))
    })
    await expect(open(server.url).call('POST', '/')).rejects.toMatchObject({
      exitCode: 1,
      code: 'request_invalid',
      message: 'name is too long. (400)',
    })
    expect(requests).toBe(1)
  })

  it('with a token that is refused is a mistake of the call', async () => {
    await using server = await serve((_request, response) => response.writeHead(401).end())
    await expect(open(server.url).call('GET', '/')).rejects.toMatchObject({ exitCode: 2 })
  })

  it('to nobody is given up soon', async () => {
    const server = await serve(() => undefined)
    await server[Symbol.asyncDispose]()
    await expect(open(server.url).call('GET', '/')).rejects.toMatchObject({
      exitCode: 3,
      message: expect.stringContaining('cannot be reached (ECONNREFUSED)'),
    })
  })

  it('ends when it is told to, also while it waits', async () => {
    const stop = new AbortController()
    await using server = await serve((_request, response) => {
      response.writeHead(503, { 'retry-after': '60' }).end(() => stop.abort())
    })
    await expect(open(server.url, stop.signal).call('GET', '/')).rejects.toThrow(expect.objectContaining({ name: 'AbortError' }))
  })
})

it.each([
  [null, 0],
  ['7', 7_000],
  ['86400', 120_000],
  ['Sat, 21 Nov 2026 12:00:30 GMT', 30_000],
  ['Sat, 21 Nov 2026 11:00:00 GMT', 0],
  ['soon', 0],
])('Retry-After: %s is %d ms', (header, ms) => {
  expect(retryAfterMs(header, Date.parse('2026-11-21T12:00:00Z'))).toBe(ms)
})
