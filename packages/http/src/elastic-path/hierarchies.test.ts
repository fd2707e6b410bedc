import Fastify from 'fastify'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { type Caller, SluiceError } from '@sluice/core'
import { memoryWorld } from '@sluice/core/testing'
import { buildServer } from '../server.ts'

let resources: AsyncDisposableStack
beforeEach(() => {
  resources = new AsyncDisposableStack()
})
afterEach(() => resources.disposeAsync())

const CALLER = { role: 'admin', name: 'x', number: 1, tenantId: 't', tokenId: 'k' } as unknown as Caller

/** A server whose database lets everybody in, and fails in this way from then on. */
async function failingWith(fault: Error) {
  const world = memoryWorld()
  const { database } = world
  const fail = async () => {
    throw fault
  }
  const names = Object.keys(database.hierarchies) as (keyof typeof database.hierarchies)[]
  const hierarchies = Object.fromEntries(names.map((name) => [name, fail])) as unknown as typeof database.hierarchies
  const tokens = { ...database.tokens, authenticate: async () => CALLER }
  const app = await buildServer({ logger: Fastify().log, world: { ...world, database: { ...database, tokens, hierarchies } } })
  resources.defer(async () => {
    await app.close()
    await world[Symbol.asyncDispose]()
  })
  return app
}

const AT = '/pcm/hierarchies/1/nodes/2'
const HIERARCHY = { data: { type: 'hierarchy', attributes: { name: 'x' } } }
const NODE = { data: { type: 'node', id: '2', attributes: { name: 'x' } } }
const CHILDREN = { data: [{ type: 'node', id: '3' }] }
const REQUESTS = [
  ['POST', '/pcm/hierarchies', HIERARCHY],
  ['GET', '/pcm/hierarchies'],
  ['GET', '/pcm/hierarchies/1'],
  ['PUT', '/pcm/hierarchies/1', HIERARCHY],
  ['DELETE', '/pcm/hierarchies/1'],
  ['POST', '/pcm/hierarchies/1/nodes', NODE],
  ['GET', '/pcm/hierarchies/1/nodes'],
  ['GET', '/pcm/hierarchies/1/children'],
  ['GET', AT],
  ['PUT', AT, NODE],
  ['DELETE', AT],
  ['GET', `${AT}/children`],
  ['POST', `${AT}/relationships/children`, CHILDREN],
  ['POST', '/pcm/hierarchies/1/relationships/children', CHILDREN],
  ['PUT', `${AT}/relationships/parent`, NODE],
  ['DELETE', `${AT}/relationships/parent`],
] as const

/** What each route says of one failure. */
async function answers(fault: Error) {
  const app = await failingWith(fault)
  return Promise.all(
    REQUESTS.map(async ([method, url, payload]) => {
      const headers = { authorization: 'Bearer x', ...(payload && { 'content-type': 'application/json' }) }
      const answer = await app.inject({ method, url, headers, ...(payload && { payload }) })
      const { errors } = answer.json<{ errors: object[] }>()
      return { route: `${method} ${url}`, status: answer.statusCode, retryAfter: answer.headers['retry-after'], errors }
    }),
  )
}

test('tells the client to come back when the database is away', async () => {
  const fault = new SluiceError('service_unavailable', undefined, { cause: new Error('10.0.0.5:5432') })
  const error = { status: '503', title: 'Service Unavailable', detail: 'A service that is needed is not available' }
  for (const answer of await answers(fault)) expect(answer).toMatchObject({ status: 503, retryAfter: '3', errors: [error] })
})

test('says nothing of what went wrong on our side but an id to report', async () => {
  const error = {
    status: '500',
    title: 'Internal Server Error',
    detail: 'There was an internal server error, you can report with your request id.',
    request_id: expect.stringMatching(/^[0-9a-f-]{36}$/),
  }
  for (const answer of await answers(new TypeError('select * from secrets'))) {
    expect(answer).toMatchObject({ status: 500 })
    expect(answer.errors).toEqual([error])
  }
})

test('says that others were faster where the database gave up', async () => {
  const error = { status: '409', title: 'Conflict', detail: 'write conflict detected' }
  for (const answer of await answers(new SluiceError('write_conflicted')))
    expect(answer).toMatchObject({ status: 409, errors: [error] })
})
