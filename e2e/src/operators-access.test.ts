/** The operators' ports: every route of the console and of health and metrics, asked by everybody who is no admin. */
import { randomUUID } from 'node:crypto'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { drawSample } from '@sluice/images/samples'
import { createObserver, readConfig } from '@sluice/runtime'
import { openIntakeService } from '@sluice/runtime/intake'
import { type Answer, answerOf } from './api.ts'
import { type ServedRoute, watchServers, type WatchedServer } from './served-routes.ts'
import { openStack, type Stack } from './stack.ts'
import { addTokens } from './token-conditions.ts'

let stack: Stack
let console: WatchedServer
let ops: WatchedServer
let ingest: string
const stackOfTests = new AsyncDisposableStack()
let tokens: Awaited<ReturnType<typeof addTokens>>

beforeAll(async () => {
  using watch = watchServers()
  stack = stackOfTests.use(await openStack('embedded'))
  const ports = { SLUICE_HTTP_PORT: '0', SLUICE_CONSOLE_PORT: '0', SLUICE_OPS_PORT: '0' }
  const place = { SLUICE_DATABASE_URL: stack.databaseUrl, SLUICE_DATA_DIR: stack.dataDir }
  const config = readConfig({ ...ports, ...place, SLUICE_SECRET_KEY: randomUUID() })
  stackOfTests.use(await openIntakeService(config, createObserver({ level: 'silent' })))
  console = serverWith(watch.servers, '/login')
  ops = serverWith(
    watch.servers.filter((server) => server !== console),
    '/metrics',
  )
  await stack.api.addImage(await stack.api.newProduct(), await drawSample({ seed: 1, width: 64, height: 64, format: 'png' }))
  ingest = (await stack.api.call('GET', '/v1/ingests')).body['items'][0].id
  tokens = await addTokens(stack.databaseUrl)
})
afterAll(() => stackOfTests.disposeAsync())

function serverWith(servers: readonly WatchedServer[], url: string): WatchedServer {
  const found = servers.find(({ routes }) => routes.some((route) => route.url === url))
  if (!found) throw new Error(`no server has ${url}`)
  return found
}

const FOR_EVERYBODY = [
  'GET /console.css',
  'HEAD /console.css',
  'GET /console.svg',
  'HEAD /console.svg',
  'GET /health',
  'HEAD /health',
  'GET /ready',
  'HEAD /ready',
  'GET /login',
  'HEAD /login',
  'POST /login',
]

async function ask(
  server: WatchedServer,
  { method, url }: Pick<ServedRoute, 'method' | 'url'>,
  headers: Record<string, string> = {},
): Promise<Answer> {
  const path = url.replace(/:ingest\b/, ingest).replace(/:\w+|\*/g, 'x')
  return answerOf(await fetch(server.origin() + path, { method, redirect: 'manual', headers }))
}

const bearer = (token: string) => ({ authorization: `Bearer ${token}` })
const guarded = ({ routes }: WatchedServer) => routes.filter(({ method, url }) => !FOR_EVERYBODY.includes(`${method} ${url}`))

describe.for(['console', 'ops'] as const)('the port of %s', (name) => {
  const server = () => (name === 'console' ? console : ops)

  test('has few addresses for everybody', () => {
    const open = server().routes.filter(({ access }) => access === 'public')
    const expected = name === 'console' ? FOR_EVERYBODY : FOR_EVERYBODY.filter((route) => /health|ready/.test(route))
    expect(open.map(({ method, url }) => `${method} ${url}`)).toEqual(expected)
    expect(guarded(server()).length).toBeGreaterThanOrEqual(name === 'console' ? 60 : 2)
  })

  test('opens nothing else without the token of an admin', async () => {
    const wrong = [{}, bearer('wrong'), bearer(tokens.revoked), bearer(tokens.expired), { authorization: `Basic ${stack.token}` }]
    for (const route of guarded(server())) {
      for (const headers of wrong) {
        const { status, body } = await ask(server(), route, { origin: server().origin(), ...headers })
        expect([route.method, route.url, status, body]).toEqual([route.method, route.url, 401, body])
      }
      for (const token of [tokens.reader, tokens.writer]) {
        const { status } = await ask(server(), route, bearer(token))
        expect([route.method, route.url, status]).toEqual([route.method, route.url, 403])
      }
    }
  })

  test('answers nothing that it does not have, and lets no other site ask', async () => {
    for (const url of new Set(server().routes.map((route) => route.url))) {
      const headers = { origin: 'https://evil.example', 'access-control-request-method': 'PUT' }
      const { status, headers: said } = await ask(server(), { method: 'OPTIONS', url }, headers)
      expect([url, status]).toEqual([url, name === 'console' ? 401 : 404])
      expect([...said.keys()].filter((header) => header.startsWith('access-control-'))).toEqual([])
    }
  })
})

describe('the admin of another tenant', () => {
  test('finds no ingest of ours in the console, and replays none', async () => {
    const own = { ...bearer(stack.token), accept: 'text/html' }
    const ofOthers = { ...bearer(tokens.stranger), accept: 'text/html' }
    const pages = guarded(console).filter(({ url }) => url.includes('/ingests/'))
    expect(pages.length).toBeGreaterThanOrEqual(3)
    for (const page of pages) expect([page.url, (await ask(console, page, ofOthers)).status]).toEqual([page.url, 404])
    const overview = { method: 'GET', url: '/' }
    expect((await ask(console, overview, own)).body['text']).toContain(ingest)
    expect((await ask(console, overview, ofOthers)).body['text']).not.toContain(ingest)
  })
})
