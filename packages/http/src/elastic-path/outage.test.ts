import Fastify, { type InjectOptions } from 'fastify'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { type Caller, type Product, SluiceError } from '@sluice/core'
import { memoryWorld } from '@sluice/core/testing'
import { buildServer } from '../server.ts'

let resources: AsyncDisposableStack
beforeEach(() => {
  resources = new AsyncDisposableStack()
})
afterEach(() => resources.disposeAsync())

const CALLER = { role: 'admin', name: 'x', number: 1, tenantId: 't', tokenId: 'k' } as unknown as Caller
const ID = '00000000-0000-0000-0000-000000000000'

/** A server whose database lets everybody in, knows one product, and fails in this way from then on. */
async function failingWith(fault: Error) {
  const world = memoryWorld()
  const fail = async () => {
    throw fault
  }
  const { database } = world
  const product = { id: ID, tenantId: CALLER.tenantId, owner: 'store' } as unknown as Product
  const app = await buildServer({
    logger: Fastify().log,
    world: {
      ...world,
      database: {
        ...database,
        tokens: { ...database.tokens, authenticate: async () => CALLER, issue: fail },
        products: { ...database.products, find: async () => product, list: fail, create: fail },
        images: { ...database.images, list: fail, setMain: fail },
        files: { ...database.files, find: fail, findMany: fail, list: fail },
      },
    },
  })
  resources.defer(async () => {
    await app.close()
    await world[Symbol.asyncDispose]()
  })
  return app
}

const FILE = { data: { type: 'file', id: ID } }
const CREDENTIALS = { grant_type: 'client_credentials', client_id: 'k', client_secret: 'x' }
const REQUESTS: readonly (readonly [InjectOptions['method'], string, object?])[] = [
  ['POST', '/oauth/access_token', CREDENTIALS],
  ['GET', '/pcm/products'],
  ['POST', '/pcm/products', { data: { type: 'product', attributes: { name: 'a' } } }],
  ['GET', `/pcm/products/${ID}`],
  ['GET', `/pcm/products/${ID}/relationships/main_image`],
  ['POST', `/pcm/products/${ID}/relationships/main_image`, FILE],
  ['PUT', `/pcm/products/${ID}/relationships/main_image`, FILE],
  ['DELETE', `/pcm/products/${ID}/relationships/main_image`],
  ['GET', `/pcm/products/${ID}/relationships/files`],
  ['POST', `/pcm/products/${ID}/relationships/files`, { data: [FILE.data] }],
  ['PUT', `/pcm/products/${ID}/relationships/files`, { data: [FILE.data] }],
  ['DELETE', `/pcm/products/${ID}/relationships/files`, { data: [FILE.data] }],
  ['GET', '/v2/files'],
  ['GET', `/v2/files/${ID}`],
  ['DELETE', `/v2/files/${ID}`],
]

async function eachAnswer(fault: Error) {
  const app = await failingWith(fault)
  const answers = REQUESTS.map(async ([method = 'GET', url, payload]) => {
    const answer = await app.inject({ method, url, headers: { authorization: 'Bearer x' }, ...(payload && { payload }) })
    const { status, ...error } = answer.json().errors[0]
    return [method, url, answer.statusCode, Number(status), error, answer.headers['retry-after']]
  })
  return Promise.all(answers)
}

test('tells the client to come back when the database is away', async () => {
  const away = new SluiceError('service_unavailable', undefined, { cause: new Error('10.0.0.5:5432') })
  const error = { title: 'Service Unavailable', detail: 'A service that is needed is not available' }
  expect(await eachAnswer(away)).toEqual(REQUESTS.map(([method, url]) => [method, url, 503, 503, error, '3']))
})

test('says that it is at fault when it is, and not why', async () => {
  const error = {
    title: 'Internal Server Error',
    detail: 'There was an internal server error, you can report with your request id.',
    request_id: expect.any(String),
  }
  expect(await eachAnswer(new TypeError('select * from secrets'))).toEqual(
    REQUESTS.map(([method, url]) => [method, url, 500, 500, error, undefined]),
  )
})
