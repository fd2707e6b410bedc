import Fastify from 'fastify'
import { afterEach, describe, expect, test } from 'vitest'
import { DEFAULT_LIMITS } from '@sluice/core'
import { publicUrl } from './host.ts'
import { bareServer } from './bare-server.ts'

let close = async (): Promise<unknown> => undefined
afterEach(() => close())

/** What a server whose peer is 127.0.0.1 makes of the headers. */
async function seen(trustedProxies: readonly string[], headers: Record<string, string>) {
  const logger = Fastify({ logger: { level: 'silent' } }).log
  const app = bareServer(DEFAULT_LIMITS, logger, { trustedProxies })
  const policy = { keepGps: false, roles: ['image'], guestTenant: null, publicUrl: null }
  app.get('/', async (request) => ({ ip: request.ip, url: publicUrl(request, { policy }) }))
  const url = await app.listen({ host: '127.0.0.1', port: 0 })
  close = () => app.close()
  const answer = await fetch(url, { headers })
  const { host } = new URL(url)
  return { host, ...((await answer.json()) as { ip: string; url: string }) }
}

const FORGED = {
  'x-forwarded-for': '203.0.113.7',
  'x-forwarded-proto': 'https',
  'x-forwarded-host': 'evil.example',
  forwarded: 'for=203.0.113.7',
}

describe('who asks', () => {
  test.each([[[]], [['10.0.0.0/8']], [['::1']], [['127.0.0.2', 'fc00::/7']]])(
    'is the peer, whatever it says of itself, when only %j are trusted',
    async (trusted) => {
      const { ip, url, host } = await seen(trusted, FORGED)
      expect([ip, url]).toEqual(['127.0.0.1', `http://${host}`])
    },
  )

  test.each([[['127.0.0.1']], [['10.0.0.0/8', '127.0.0.0/8']]])(
    'is whom the proxy names when %j are trusted, and never what a host is called',
    async (trusted) => {
      const { ip, url, host } = await seen(trusted, FORGED)
      expect([ip, url]).toEqual(['203.0.113.7', `https://${host}`])
    },
  )

  test('is the last that no trusted proxy vouches for: what stands before it the client itself may have written', async () => {
    const headers = { 'x-forwarded-for': '198.51.100.1, 203.0.113.7, 10.1.2.3' }
    expect((await seen(['127.0.0.1', '10.0.0.0/8'], headers)).ip).toBe('203.0.113.7')
    await close()
    expect((await seen(['127.0.0.1'], headers)).ip).toBe('10.1.2.3')
  })

  test('came by http or https, and nothing else', async () => {
    const { url, host } = await seen(['127.0.0.1'], { 'x-forwarded-proto': 'javascript' })
    expect(url).toBe(`http://${host}`)
  })
})
