/** What every answer tells browsers: what it is, that it is no page of others, and where it may not be kept. */
import { once } from 'node:events'
import { connect } from 'node:net'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { drawSample } from '@sluice/images/samples'
import { type ServedRoute, watchServers } from './served-routes.ts'
import { openStack, type Stack } from './stack.ts'

let stack: Stack
let routes: readonly (ServedRoute & { readonly origin: string })[]
/** By the names of parameters. */
let things: Readonly<Record<string, string>>
let media: string

beforeAll(async () => {
  using watch = watchServers()
  stack = await openStack('embedded')
  routes = watch.servers.flatMap((server) => server.routes.map((route) => ({ ...route, origin: server.origin() })))
  const image = await stack.api.addImage(
    await stack.api.newProduct(),
    await drawSample({ seed: 1, width: 64, height: 64, format: 'png' }),
  )
  const file = image.body['file'].id
  const ingest = (await stack.api.call('GET', '/v1/ingests')).body['items'][0].id
  things = { file, fileID: file, ingest, ref: image.body['product_id'], image: image.body['id'] }
  media = (await stack.api.call('GET', `/v2/files/${file}`)).body['data'].link.href
})
afterAll(async () => stack?.[Symbol.asyncDispose]())

function get(url: string, headers: Record<string, string> = {}): Promise<Response> {
  return fetch(url, { redirect: 'manual', headers: { authorization: `Bearer ${stack.token}`, ...headers } })
}

const addressOf = ({ origin, url }: { origin: string; url: string }) =>
  origin + url.replace(/:(\w+)|\*/g, (_, name?: string) => things[name ?? ''] ?? 'x')

/** What a policy says of one thing, which falls back on what it says of all. */
function allowed(policy: string | null, directive: string): string | undefined {
  const directives = new Map((policy ?? '').split(';').map((each) => each.trim().split(/\s+(.*)/s, 2) as [string, string]))
  return directives.get(directive) ?? (directive.endsWith('-src') ? directives.get('default-src') : undefined)
}

describe('every answer', () => {
  test('is what it says it is, and runs and shows nothing of others', async () => {
    let pages = 0
    for (const route of routes.filter(({ method, url }) => method === 'GET' && !/ingest.*events$/.test(url))) {
      for (const accept of ['*/*', 'text/html']) {
        const answer = await get(addressOf(route), { accept })
        await answer.text()
        const said = (name: string) => [route.url, accept, name, answer.headers.get(name)]
        expect(said('x-content-type-options')).toEqual([route.url, accept, 'x-content-type-options', 'nosniff'])
        const policy = answer.headers.get('content-security-policy')
        for (const directive of ['script-src', 'object-src', 'connect-src', 'font-src', 'img-src', 'style-src'])
          expect([route.url, directive, allowed(policy, directive)]).toEqual([
            route.url,
            directive,
            // React, of which the board is made, writes styles into elements.
            expect.stringMatching(/^('none'|'self'|'self' data:|'self' 'unsafe-inline')$/),
          ])
        expect([route.url, allowed(policy, 'script-src')]).not.toEqual([route.url, expect.stringContaining('unsafe')])
        const isPage = answer.headers.get('content-type')?.startsWith('text/html') === true
        if (isPage) pages += 1
        expect([route.url, policy?.includes('sandbox') || allowed(policy, 'frame-ancestors')]).toEqual([
          route.url,
          policy?.includes('sandbox') ? true : "'none'",
        ])
        expect(said('cross-origin-resource-policy')[3]).toMatch(/^same-(origin|site)$/)
        expect(said('referrer-policy')).toEqual([route.url, accept, 'referrer-policy', 'no-referrer'])
        expect(answer.headers.get('x-powered-by') ?? answer.headers.get('server')).toBeNull()
      }
    }
    expect(pages).toBeGreaterThan(10)
  })

  test('with bytes of strangers names their type, how to keep them, and puts them in a sandbox', async () => {
    const found = routes.filter(({ method, url }) => method === 'GET' && /\/(content|thumbnail)$/.test(url)).map(addressOf)
    expect(found).toHaveLength(2)
    for (const [url, token] of [...found.map((each) => [each, true] as const), [media, false] as const]) {
      const answer = await get(url, token ? {} : { authorization: '' })
      await answer.arrayBuffer()
      expect([url, answer.status]).toEqual([url, 200])
      expect(answer.headers.get('content-type')).toMatch(/^image\/(png|jpeg|webp)$/)
      expect(answer.headers.get('content-disposition')).toMatch(/^(inline|attachment); filename="[^"]+"/)
      expect(answer.headers.get('content-security-policy')).toBe("sandbox; default-src 'none'")
      expect(answer.headers.get('cross-origin-resource-policy')).toBe(token ? 'same-site' : 'cross-origin')
      expect(answer.headers.get('x-content-type-options')).toBe('nosniff')
    }
  })

  test('that gives a secret away is kept nowhere', async () => {
    const tokenId = (await sql(stack, 'select id from tokens')) ?? ''
    const client = { client_id: tokenId, client_secret: stack.token }
    const asked: [string, object | URLSearchParams][] = [
      ['/v1/uploads', { bytes: 10 }],
      ['/v1/webhooks', { url: 'https://example.com/', events: ['ingest.failed'] }],
      ['/oauth/access_token', new URLSearchParams({ grant_type: 'client_credentials', ...client })],
      ['/api/oauth/v1/token', { grant_type: 'password', username: 'bootstrap', password: stack.token, ...client }],
    ]
    for (const [path, body] of asked) {
      const form = body instanceof URLSearchParams
      const given = form ? { body } : { body: JSON.stringify(body), headers: { 'content-type': 'application/json' } }
      const answer = await stack.api.send('POST', path, given)
      expect([path, answer.ok, await answer.text()]).toEqual([path, true, expect.stringMatching(/signature|secret|token/)])
      expect([path, answer.headers.get('cache-control')]).toEqual([path, 'no-store'])
    }
    const login = await fetch(`${stack.consoleUrl}/login`, {
      method: 'POST',
      redirect: 'manual',
      body: new URLSearchParams({ token: stack.token }),
      headers: { origin: new URL(stack.consoleUrl).origin },
    })
    expect([login.status, login.headers.get('cache-control')]).toEqual([303, 'no-store'])
  })
})

async function sql({ databaseUrl }: Stack, statement: string): Promise<string | undefined> {
  const { default: postgres } = await import('postgres')
  const query = postgres(databaseUrl, { max: 1 })
  try {
    return (await query.unsafe(statement))[0]?.['id']
  } finally {
    await query.end()
  }
}

describe('who asks before sending', () => {
  /** What is said to a request whose body is held back until somebody asks for it. */
  async function announce(
    token: string | null,
    path: string,
  ): Promise<{ first: string; rest: (body: Buffer) => Promise<string> }> {
    const { hostname, port } = new URL(stack.api.url)
    const socket = connect(Number(port), hostname).setEncoding('latin1')
    socket.write(
      [
        `POST ${path} HTTP/1.1`,
        `host: ${hostname}:${port}`,
        ...(token === null ? [] : [`authorization: Bearer ${token}`]),
        'content-type: image/png',
        `content-length: ${png.length}`,
        'expect: 100-continue',
        'prefer: wait=60',
        'connection: close',
        '\r\n',
      ].join('\r\n'),
    )
    const [first] = await once(socket, 'data')
    return {
      first: String(first),
      async rest(body) {
        socket.write(body)
        const [last] = await once(socket, 'data')
        socket.destroy()
        return String(last)
      },
    }
  }
  let png: Buffer
  beforeAll(async () => {
    png = await drawSample({ seed: 2, width: 64, height: 64, format: 'png' })
  })

  test('is told at once that there is no use in it', async () => {
    const product = await stack.api.newProduct()
    expect((await announce(null, `${product}/images`)).first).toMatch(/^HTTP\/1\.1 401 /)
    expect((await announce('wrong', `${product}/images`)).first).toMatch(/^HTTP\/1\.1 401 /)
    expect((await announce(stack.token, '/nothing')).first).toMatch(/^HTTP\/1\.1 404 /)
    expect((await announce(stack.token, '/v1/ingests')).first).toMatch(/^HTTP\/1\.1 405 /)
  })

  test('is told to go on, and answered when everything is there', async () => {
    const { first, rest } = await announce(stack.token, `${await stack.api.newProduct()}/images`)
    expect(first).toBe('HTTP/1.1 100 Continue\r\n\r\n')
    expect(await rest(png)).toMatch(/^HTTP\/1\.1 201 /)
  })
})
