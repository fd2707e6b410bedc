import { fastifyCookie } from '@fastify/cookie'
import type { FastifyBaseLogger } from 'fastify'
import Fastify from 'fastify'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import type { Placement, TenantId } from '@sluice/core'
import { buildConsole, type ConsoleOptions } from './server.ts'
import { stubDatabase } from './stub-database.ts'

let stub: ReturnType<typeof stubDatabase>
let url: string
let close = async (): Promise<void> => undefined

async function start(options: Partial<ConsoleOptions> = {}): Promise<void> {
  const app = await buildConsole({
    database: stub.database,
    replay: stub.replay,
    board: async (app) => {
      app.setErrorHandler((_error, _request, reply) => reply.code(500).send('the board answers'))
      app.get('/queues/', async () => 'the board')
      app.put('/queues/api/clean', async () => 'cleaned')
    },
    metrics: async () => ({ contentType: 'text/plain; version=0.0.4', body: 'sluice_ingests 1\n' }),
    checks: {},
    logger: silentLogger(),
    ...options,
  })
  url = await app.listen({ host: '127.0.0.1', port: 0 })
  close = () => app.close()
}

beforeEach(async () => {
  stub = stubDatabase()
  await start()
})
afterEach(() => close())

function silentLogger(): FastifyBaseLogger {
  return Fastify({ logger: { level: 'silent' } }).log
}

const PAGE = { accept: 'text/html' }

function get(path: string, headers: Record<string, string> = {}): Promise<Response> {
  return fetch(url + path, { redirect: 'manual', headers })
}

/** As a browser sends a form of our own page, unless the headers say otherwise. */
function post(path: string, fields: Record<string, string>, headers: Record<string, string> = {}): Promise<Response> {
  const body = new URLSearchParams(fields)
  return fetch(url + path, { method: 'POST', redirect: 'manual', body, headers: { ...PAGE, origin: url, ...headers } })
}

async function logIn(secret: string): Promise<{ cookie: string }> {
  const response = await post('/login', { token: secret })
  expect(response.status).toBe(303)
  return { cookie: response.headers.getSetCookie()[0]?.split(';')[0] ?? '' }
}

async function adminSession() {
  const { secret, tokenId } = stub.addToken('admin')
  return { ...PAGE, ...(await logIn(secret)), tokenId }
}

const GUARDED = ['/', '/ingests/01890000-0000-7000-8000-000000000000', '/queues/', '/metrics', '/nothing-here']

describe('without a session', () => {
  test.each(GUARDED)('%s leads people to the login and tells programs 401', async (path) => {
    const page = await get(path, PAGE)
    expect([page.status, page.headers.get('location')?.split('?')[0]]).toEqual([303, '/login'])
    const api = await get(path, { accept: '*/*' })
    expect([api.status, api.headers.get('content-type')]).toEqual([401, 'application/problem+json; charset=utf-8'])
    expect(await api.json()).toMatchObject({ code: 'token_missing' })
  })

  test('the login, health and readiness are open', async () => {
    for (const path of ['/login', '/health', '/ready', '/console.css', '/console.svg']) expect((await get(path)).status).toBe(200)
  })

  test('the board is not asked, neither to read nor to write', async () => {
    const response = await fetch(`${url}/queues/api/clean`, { method: 'PUT', headers: { origin: url } })
    expect(response.status).toBe(401)
  })
})

describe('logging in', () => {
  test('opens everything to an admin, with a cookie that scripts and other sites cannot use', async () => {
    const { secret } = stub.addToken('admin')
    const response = await post('/login', { token: ` ${secret}\n` })
    const [cookie = ''] = response.headers.getSetCookie()
    expect(cookie.split('; ').slice(1).toSorted()).toEqual(['HttpOnly', 'Max-Age=43200', 'Path=/', 'SameSite=Strict'])
    const session = { cookie: cookie.split(';')[0] ?? '' }
    for (const path of ['/', '/queues/', '/metrics']) expect((await get(path, session)).status).toBe(200)
  })

  test('is refused to an unknown token and to a reader, who learn nothing more', async () => {
    const reader = stub.addToken('reader').secret
    for (const [token, status] of [
      ['sluice_wrong', 401],
      ['', 401],
      [reader, 403],
    ] as const) {
      const response = await post('/login', { token })
      expect([response.status, response.headers.getSetCookie()]).toEqual([status, []])
      expect(await response.text()).not.toContain(token || 'value="sluice')
    }
  })

  test('is slowed down after ten attempts, also for the right token', async () => {
    const { secret } = stub.addToken('admin')
    for (let attempt = 1; attempt <= 10; attempt++) expect((await post('/login', { token: 'sluice_wrong' })).status).toBe(401)
    const response = await post('/login', { token: secret })
    expect(response.status).toBe(429)
    expect(Number(response.headers.get('retry-after'))).toBeGreaterThan(0)
    expect(response.headers.getSetCookie()).toEqual([])
  })

  test('leads back to the page that was asked for', async () => {
    const asked = await get('/?state=failed&q=a%26b', PAGE)
    const form = await (await get(asked.headers.get('location') ?? '', PAGE)).text()
    expect(form).toContain('name="next" value="/?state=failed&amp;q=a%26b"')
    const response = await post('/login', { token: stub.addToken('admin').secret, next: '/?state=failed&q=a%26b' })
    expect(response.headers.get('location')).toBe('/?state=failed&q=a%26b')
  })

  test.each([
    'https://evil.example/',
    '//evil.example/',
    '/\\evil.example',
    '\\\\evil.example',
    '/.//evil.example',
    '/..//evil.example',
    '/\t/evil.example',
    'javascript:alert(1)',
    '/%2e//evil.example',
  ])('never leads to another host: %j', async (next) => {
    const { secret } = stub.addToken('admin')
    const response = await post('/login', { token: secret, next })
    const location = response.headers.get('location') ?? ''
    expect(new URL(location, url).origin).toBe(url)
    expect(location).not.toMatch(/^\/\//)
  })

  test('over https gives a cookie that stays on https and on this host', async () => {
    await close()
    await start({ publicUrl: 'https://console.example' })
    const { secret } = stub.addToken('admin')
    const response = await post('/login', { token: secret }, { origin: 'https://console.example' })
    expect(response.headers.getSetCookie()[0]).toMatch(/^__Host-sluice_console=.*; Secure/)
  })
})

describe('a session', () => {
  test('ends at once when its token is revoked', async () => {
    const { tokenId, ...session } = await adminSession()
    expect((await get('/', session)).status).toBe(200)
    stub.revoke(tokenId)
    expect((await get('/', session)).headers.get('location')).toBe('/login')
  })

  test('ends with the logout', async () => {
    const { tokenId: _, ...session } = await adminSession()
    const response = await post('/logout', {}, session)
    expect(response.headers.getSetCookie()[0]).toMatch(/^sluice_console=;.*Expires=Thu, 01 Jan 1970/)
  })

  test('cannot be made, changed or prolonged outside', async () => {
    const { cookie, tokenId } = await adminSession()
    const [name = '', value = ''] = cookie.split('=')
    const [payload = '', signature = ''] = decodeURIComponent(value).split('.')
    const later = `${tokenId}_${Date.now() + 1e12}`
    const forged = [
      payload,
      `${later}.${signature}`,
      `${payload}.`,
      fastifyCookie.sign(later, 'guessed'),
      `${payload}.${signature}x`,
    ]
    for (const value of forged) {
      const response = await get('/metrics', { cookie: `${name}=${encodeURIComponent(value)}` })
      expect([value, response.status]).toEqual([value, 401])
    }
  })

  test('is not enough for a write that another page sends', async () => {
    const { tokenId: _, ...session } = await adminSession()
    const id = stub.addIngest({ state: 'failed' })
    const foreign = [
      { origin: 'https://evil.example' },
      { origin: 'null' },
      { origin: 'http://127.0.0.1:1' },
      { origin: url, 'sec-fetch-site': 'cross-site' },
      { origin: url, 'sec-fetch-site': 'same-site' },
    ]
    for (const headers of foreign) {
      expect((await post(`/ingests/${id}/replay`, {}, { ...session, ...headers })).status).toBe(403)
    }
    const bare = await fetch(`${url}/queues/api/clean`, { method: 'PUT', headers: session })
    expect(bare.status).toBe(403)
    expect(await (await get(`/ingests/${id}`, session)).text()).toContain('failed')
  })
})

describe('a token in the header', () => {
  test('opens everything to an admin and nothing to a reader', async () => {
    const admin = stub.addToken('admin').secret
    const reader = stub.addToken('reader').secret
    expect(await (await get('/metrics', { authorization: `Bearer ${admin}` })).text()).toContain('sluice_ingests')
    expect((await get('/metrics', { authorization: `Bearer ${reader}` })).status).toBe(403)
    expect((await get('/queues/', { authorization: 'Bearer wrong' })).status).toBe(401)
  })
})

describe('the pages', () => {
  const HOSTILE = `"><script>alert('x')</script><img src=x onerror=alert(1)>`
  const placement: Placement = {
    name: HOSTILE,
    label: HOSTILE,
    excluded: false,
    rank: null,
    position: null,
    roles: [HOSTILE],
    main: null,
    replacesMain: null,
    store: null,
    slot: HOSTILE,
    oncePerFile: false,
  }

  test('show what uploaders wrote as text', async () => {
    const { tokenId: _, ...session } = await adminSession()
    const id = stub.addIngest(
      {
        state: 'failed',
        target: { kind: 'attach', productId: stub.addProduct(HOSTILE), placement },
        source: {
          kind: 'staged',
          key: 'k',
          digest: HOSTILE as never,
          bytes: 1,
          declaredType: HOSTILE,
          typeMustMatch: false,
          fileName: HOSTILE,
          reusesFile: false,
        },
        problem: { code: 'internal_error', detail: HOSTILE, details: { [HOSTILE]: HOSTILE } },
      },
      [{ at: new Date(), step: HOSTILE, attempt: 1, outcome: 'failed', durationMs: 1, detail: HOSTILE }],
    )
    for (const path of [`/`, `/ingests/${id}`, `/?q=${encodeURIComponent(HOSTILE)}&product=${encodeURIComponent(HOSTILE)}`]) {
      const page = await (await get(path, session)).text()
      expect(page).toContain('&lt;script&gt;')
      expect(page).not.toMatch(/<script|<img src=x/)
    }
    const login = await (await get(`/login?next=${encodeURIComponent(`/${HOSTILE}`)}`, PAGE)).text()
    expect(login).not.toMatch(/<script|<img src=x/)
  })

  test('allow no script, no frame and no copy, and the board no more than its own', async () => {
    const { tokenId: _, ...session } = await adminSession()
    for (const path of ['/', '/login', '/ingests/unknown', '/nothing-here']) {
      const { headers } = await get(path, session)
      expect(headers.get('content-security-policy')).not.toContain('script-src')
      expect(headers.get('content-security-policy')).toContain("default-src 'none'")
      expect(headers.get('content-security-policy')).toContain("frame-ancestors 'none'")
      expect(headers.get('cache-control')).toBe('no-store')
      expect(headers.get('x-content-type-options')).toBe('nosniff')
      expect(headers.get('referrer-policy')).toBe('no-referrer')
    }
    const board = (await get('/queues/', session)).headers.get('content-security-policy')
    expect(board).toContain("script-src 'self';")
    expect(board).toContain("frame-ancestors 'none'")
  })

  test('list every ingest once over all pages, newest first', async () => {
    const { tokenId: _, ...session } = await adminSession()
    const ids = Array.from({ length: 60 }, () => stub.addIngest({ state: 'committed' }))
    const seen: string[] = []
    let path: string | undefined = '/?state=committed'
    while (path) {
      const page: string = await (await get(path, session)).text()
      seen.push(...Array.from(page.matchAll(/href="\/ingests\/([0-9a-f-]+)"/g), ([, id]) => id ?? ''))
      path = /class="older" href="([^"]+)"/.exec(page)?.[1]?.replaceAll('&amp;', '&')
    }
    expect(seen).toEqual(ids.toSorted().toReversed())
  })

  test('hide what belongs to another tenant', async () => {
    const { tokenId: _, ...session } = await adminSession()
    const id = stub.addIngest({ tenantId: 'another' as TenantId, state: 'failed' })
    expect(await (await get('/', session)).text()).not.toContain(id)
    expect((await get(`/ingests/${id}`, session)).status).toBe(404)
    expect((await post(`/ingests/${id}/replay`, {}, session)).status).toBe(404)
  })

  test('replay a failed ingest once', async () => {
    const { tokenId: _, ...session } = await adminSession()
    const id = stub.addIngest({ state: 'failed', problem: { code: 'attempts_exhausted', detail: 'Given up.' } })
    expect(await (await get(`/ingests/${id}`, session)).text()).toContain('Replay')
    const replayed = await post(`/ingests/${id}/replay`, {}, session)
    expect([replayed.status, replayed.headers.get('location')]).toEqual([303, `/ingests/${id}`])
    expect(await (await get(`/ingests/${id}`, session)).text()).not.toContain('Replay')
    const again = await post(`/ingests/${id}/replay`, {}, session)
    expect(again.status).toBe(409)
    expect(await again.text()).toContain('ingest_not_replayable')
  })

  test('say why a failed ingest cannot be replayed, and offer no button', async () => {
    const { tokenId: _, ...session } = await adminSession()
    const finishedAt = new Date(Date.now() - stub.limits.failedBytesMsMax)
    const id = stub.addIngest({ state: 'failed', problem: { code: 'attempts_exhausted', detail: 'Given up.' }, finishedAt })
    const page = await (await get(`/ingests/${id}`, session)).text()
    expect(page).toContain('Send the file again.')
    expect(page).not.toContain('>Replay<')
  })
})

test('an outage of the database is a page that tells nothing of it, before the board can answer', async () => {
  const { tokenId: _, ...session } = await adminSession()
  Object.assign(stub.database.tokens, { findActive: () => Promise.reject(new Error('postgres://user:secret@db/sluice')) })
  for (const path of ['/', '/queues/']) {
    const response = await get(path, session)
    expect(response.status).toBe(500)
    const page = await response.text()
    expect(page).toContain('internal_error')
    expect(page).not.toContain('postgres')
  }
})
