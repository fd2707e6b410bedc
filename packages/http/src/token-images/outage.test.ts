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
  const fail = async () => {
    throw fault
  }
  const { database } = world
  const app = await buildServer({
    logger: Fastify().log,
    world: {
      ...world,
      database: {
        ...database,
        tokens: { ...database.tokens, authenticate: async () => CALLER },
        products: { ...database.products, find: fail },
        images: { ...database.images, list: fail, find: fail, edit: fail, remove: fail },
      },
    },
  })
  resources.defer(async () => {
    await app.close()
    await world[Symbol.asyncDispose]()
  })
  return app
}

const REQUESTS = [
  ['GET', '/api/products/1/images'],
  ['POST', '/api/products/1/images'],
  ['GET', '/api/products/1/images/1'],
  ['PATCH', '/api/products/1/images/1'],
  ['DELETE', '/api/products/1/images/1'],
] as const

test('tells the client to come back when the database is away', async () => {
  const app = await failingWith(new SluiceError('service_unavailable', undefined, { cause: new Error('10.0.0.5:5432') }))
  for (const [method, url] of REQUESTS) {
    const { statusCode, headers, json } = await app.inject({ method, url, headers: { authorization: 'Token x' } })
    expect([method, statusCode, headers['retry-after'], json()]).toEqual([
      method,
      503,
      '3',
      { detail: 'A service that is needed is not available' },
    ])
  }
})

test('says nothing of what went wrong on our side', async () => {
  const app = await failingWith(new TypeError('select * from secrets'))
  for (const [method, url] of REQUESTS) {
    const { statusCode, json } = await app.inject({ method, url, headers: { authorization: 'Token x' } })
    expect([method, statusCode, json()]).toEqual([method, 500, { detail: 'A server error occurred.' }])
  }
})
