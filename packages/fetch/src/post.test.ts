import { once } from 'node:events'
import * as http from 'node:http'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { DEFAULT_LIMITS, type PostRequest, SluiceError } from '@sluice/core'
import { type FetcherOptions, openFetcher } from './fetcher.ts'

const never = new AbortController().signal
const REQUEST: PostRequest = { headers: { 'webhook-id': '1' }, body: '{"ü":1}', timeoutMs: 5_000, responseBytesMax: 10 }

let answer: http.RequestListener
let asked: { readonly request: http.IncomingMessage; readonly body: string }[]
let host: string
let resources: AsyncDisposableStack

beforeEach(async () => {
  resources = new AsyncDisposableStack()
  asked = []
  answer = (_request, response) => void response.writeHead(204).end()
  const server = http.createServer((request, response) => {
    const chunks: Buffer[] = []
    request.on('data', (chunk: Buffer) => void chunks.push(chunk))
    request.on('end', () => {
      asked.push({ request, body: Buffer.concat(chunks).toString() })
      answer(request, response)
    })
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  resources.defer(() => {
    server.closeAllConnections()
    server.close()
  })
  const address = server.address()
  host = `127.0.0.1:${typeof address === 'object' && address ? address.port : 0}`
})
afterEach(() => resources.disposeAsync())

const post = (url: string, request: Partial<PostRequest> = {}, options: Partial<FetcherOptions> = {}, signal = never) =>
  resources
    .use(openFetcher({ limits: DEFAULT_LIMITS, exceptions: [host], resolve: async () => [], ...options }))
    .post(url, { ...REQUEST, ...request }, signal)
const failure = (work: Promise<unknown>) =>
  work.then(
    () => {
      throw new Error('it did not fail')
    },
    (error: unknown) => {
      if (SluiceError.is(error)) return error
      throw error
    },
  )

test('what is given is sent as it is, and nothing of ours', async () => {
  answer = (_request, response) => void response.writeHead(503, { 'retry-after': '7' }).end('later')
  expect(await post(`http://${host}/a?b=c`)).toEqual({ status: 503, retryAfter: '7', body: 'later' })
  const [{ request, body } = { request: null, body: '' }] = asked
  expect([request?.method, request?.url, body]).toEqual(['POST', '/a?b=c', REQUEST.body])
  expect(request?.headers).toEqual({
    host,
    connection: 'close',
    'webhook-id': '1',
    'accept-encoding': 'identity',
    'user-agent': 'Sluice',
    'content-length': '8',
  })
})

test('a redirect is an answer', async () => {
  answer = (_request, response) => void response.writeHead(307, { location: '/elsewhere' }).end()
  expect(await post(`http://${host}/`)).toMatchObject({ status: 307 })
  expect(asked).toHaveLength(1)
})

test('of an answer without an end, the beginning is read', async () => {
  answer = (_request, response) => {
    const pour = () => {
      while (response.write('0123456789abcdef'.repeat(4096)));
      response.once('drain', pour)
    }
    pour()
  }
  expect(await post(`http://${host}/`)).toEqual({ status: 200, retryAfter: null, body: '0123456789' })
})

test('an answer whose body breaks off, or does not come, has been given all the same', async () => {
  answer = (_request, response) => response.writeHead(202, { 'content-length': '9' }).write('some', () => response.destroy())
  expect(await post(`http://${host}/`)).toEqual({ status: 202, retryAfter: null, body: 'some' })
  answer = (_request, response) => response.writeHead(200, { 'content-length': '9' }).flushHeaders()
  expect(await post(`http://${host}/`, { timeoutMs: 300 })).toMatchObject({ status: 200, body: '' })
})

test('who does not answer in time, or at all, is unavailable, and nothing is said of why', async () => {
  answer = () => undefined
  const late = await failure(post(`http://${host}/`, { timeoutMs: 100 }))
  expect([late.code, late.message]).toEqual(['source_unavailable', 'It did not answer in time.'])
  answer = (request) => void request.socket.destroy()
  const cut = await failure(post(`http://${host}/`))
  expect([cut.code, cut.message]).toEqual(['source_unavailable', 'It could not be reached, or broke off before it answered.'])
})

test('addresses inside are refused, as literals and by their names', async () => {
  for (const url of ['https://127.0.0.1/', 'https://[::ffff:7f00:1]/', `https://${host}/`.replace('127.0.0.1', '0x7f.1')]) {
    expect((await failure(post(url, {}, { exceptions: [] }))).code).toBe('url_forbidden')
  }
  const resolve = async () => [{ address: '10.0.0.1', family: 4 as const }]
  const hidden = await failure(post('https://inside.example/', {}, { resolve }))
  expect([hidden.code, hidden.message]).toEqual(['url_forbidden', 'Its host has no public address.'])
  expect((await failure(post('http://example.com/'))).code).toBe('url_invalid')
  expect(asked).toEqual([])
})

test('ends with the signal of whoever asked', async () => {
  answer = () => undefined
  const stopping = new AbortController()
  const posting = post(`http://${host}/`, {}, {}, stopping.signal)
  stopping.abort(new Error('stopped'))
  await expect(posting).rejects.toThrow('stopped')
})
