import Fastify from 'fastify'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { type Caller, type Database, SluiceError } from '@sluice/core'
import { memoryWorld } from '@sluice/core/testing'
import { buildServer } from '../server.ts'

let resources: AsyncDisposableStack
beforeEach(() => {
  resources = new AsyncDisposableStack()
})
afterEach(() => resources.disposeAsync())

const CALLER = { role: 'admin', name: 'me', number: 1, tenantId: 't', tokenId: 'k' } as unknown as Caller

/** A server whose database lets everybody in, and fails in this way from then on. */
async function failingWith(fault: Error) {
  const world = memoryWorld()
  const fail = async () => {
    throw fault
  }
  const { tokens, files, products } = world.database
  const database: Database = {
    ...world.database,
    tokens: { ...tokens, authenticate: async () => CALLER, issue: fail },
    files: { ...files, list: fail, findByCode: fail },
    products: { ...products, find: fail },
  }
  const app = await buildServer({ logger: Fastify().log, world: { ...world, database } })
  resources.defer(async () => {
    await app.close()
    await world[Symbol.asyncDispose]()
  })
  return app
}

const FORM = '--b\r\nContent-Disposition: form-data; name="product"\r\n\r\n'
const VALUE = '{"identifier":"x","attribute":"a","scope":null,"locale":null}'
const CREDENTIALS = { client_id: 'k', client_secret: 'x', grant_type: 'password', username: 'me', password: 'x' }

const REQUESTS = [
  { method: 'GET', url: '/api/rest/v1/media-files' },
  { method: 'GET', url: '/api/rest/v1/media-files/a/b' },
  { method: 'GET', url: '/api/rest/v1/media-files/a/b/download' },
  {
    method: 'POST',
    url: '/api/rest/v1/media-files',
    payload: `${FORM}${VALUE}\r\n--b--\r\n`,
    headers: { 'content-type': 'multipart/form-data; boundary=b' },
  },
  { method: 'POST', url: '/api/oauth/v1/token', payload: CREDENTIALS },
] as const

const send = (app: Awaited<ReturnType<typeof failingWith>>, request: (typeof REQUESTS)[number]) =>
  app.inject({ ...request, headers: { authorization: 'Bearer x', ...('headers' in request && request.headers) } })

test('tells the client to come back when the database is away', async () => {
  const app = await failingWith(new SluiceError('service_unavailable', undefined, { cause: new Error('10.0.0.5:5432') }))
  for (const request of REQUESTS) {
    const { statusCode, headers, json } = await send(app, request)
    expect([request.url, statusCode, headers['retry-after'], json()]).toEqual([
      request.url,
      503,
      '3',
      { code: 503, message: 'A service that is needed is not available' },
    ])
  }
})

test('says nothing of what went wrong on our side', async () => {
  const app = await failingWith(new TypeError('select * from secrets'))
  for (const request of REQUESTS) {
    const { statusCode, json } = await send(app, request)
    expect([request.url, statusCode, json()]).toEqual([request.url, 500, { code: 500, message: 'Internal Server Error' }])
  }
})

test('says a conflict, and that there is no room, under the status of each', async () => {
  for (const [code, status] of [
    ['write_conflicted', 409],
    ['storage_full', 507],
    ['idempotency_key_in_flight', 409],
  ] as const) {
    const app = await failingWith(new SluiceError(code, 'In a sentence.'))
    const { statusCode, json } = await send(app, REQUESTS[3])
    expect([code, statusCode, json()]).toEqual([code, status, { code: status, message: 'In a sentence.' }])
  }
})
