/** Images by URL, with a real server at the other end: docs/urls.md. */
import type { RequestListener } from 'node:http'
import { setTimeout as sleep } from 'node:timers/promises'
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest'
import { drawSample } from '@sluice/images/samples'
import { formOf, type Json } from './api.ts'
import { openOrigin, type Origin } from './origin.ts'
import { openStack, RUNNABLE, type Stack } from './stack.ts'

const LIMITS = {
  SLUICE_LIMIT_SOURCE_RETRY_MS_MIN: '50',
  SLUICE_LIMIT_SOURCE_RETRY_MS_MAX: '1500',
  SLUICE_LIMIT_FETCH_MS_MAX: '1000',
  SLUICE_LIMIT_FILE_BYTES_MAX: '200000',
  SLUICE_WORKER_CONCURRENCY: '12',
}

let drawn = 0
const draw = () => drawSample({ seed: (drawn += 1), width: 60, height: 40, format: 'jpeg' })

function image(bytes: Uint8Array, headers: Record<string, string> = {}): RequestListener {
  return (_request, response) => void response.writeHead(200, { 'content-type': 'image/jpeg', ...headers }).end(bytes)
}

describe.for(RUNNABLE)('images by URL, %s', (wiring) => {
  let origin: Origin
  let stack: Stack
  beforeAll(async () => {
    origin = await openOrigin()
    stack = await openStack(wiring, { ...LIMITS, SLUICE_FETCH_ALLOW: origin.host })
  })
  afterAll(async () => {
    await stack?.[Symbol.asyncDispose]()
    await origin?.[Symbol.asyncDispose]()
  })

  const post = async (path: string, body: object, headers: Record<string, string> = {}) =>
    stack.api.call('POST', path, body, headers)
  /** Asks for the image at this path, and follows its ingest to the end. */
  async function bring(path: string, product?: string): Promise<Json> {
    const answer = await post(`${product ?? (await stack.api.newProduct())}/images`, { url: origin.url(path) })
    expect(answer.status).toBe(202)
    return stack.api.finished(answer.headers.get('location') ?? '')
  }
  const outcomes = ({ timeline }: Json) => timeline.map(({ step, outcome }: Json) => `${step} ${outcome}`)

  test('an image is fetched, with the fields beside its address', async () => {
    const bytes = await draw()
    origin.answers.set('/front.jpg', image(bytes))
    const product = await stack.api.newProduct()
    const fields = { label: 'From the front', roles: ['thumbnail'], name: 'front' }
    const { status, body } = await post(
      `${product}/images`,
      { url: origin.url('/front.jpg?w=60'), ...fields },
      { prefer: 'wait=30' },
    )
    expect([status, body]).toEqual([
      201,
      expect.objectContaining({
        name: 'front',
        label: 'From the front',
        main: true,
        roles: expect.arrayContaining(['thumbnail']),
      }),
    ])
    expect(body['file'].name).toBe('front.jpg')
    const content = await stack.api.send('GET', body['file'].url)
    expect(Buffer.from(await content.arrayBuffer()).equals(bytes)).toBe(true)
    expect(origin.asked('/front.jpg').map(({ url }) => url)).toEqual(['/front.jpg?w=60'])
  })

  test('a file without a product, too', async () => {
    origin.answers.set('/file', image(await draw(), { 'content-disposition': 'attachment; filename="back.jpg"' }))
    const { status, body } = await post('/v1/files', { url: origin.url('/file') }, { prefer: 'wait=30' })
    expect([status, body['name']]).toEqual([201, 'back.jpg'])
  })

  test('what has not changed since is not fetched again, and what has, is', async () => {
    let etag = '"1"'
    let bytes = await draw()
    origin.answers.set('/same.jpg', ({ headers }, response) => {
      if (headers['if-none-match'] === etag) response.writeHead(304).end()
      else response.writeHead(200, { etag }).end(bytes)
    })
    const [first, second] = [await bring('/same.jpg'), await bring('/same.jpg')]
    expect([first['state'], second['state']]).toEqual(['committed', 'committed'])
    expect(outcomes(second)).toEqual(
      expect.arrayContaining(['fetch skipped', 'validate skipped', 'store skipped', 'commit done']),
    )
    etag = '"2"'
    bytes = await draw()
    const third = await bring('/same.jpg')
    expect(outcomes(third)).toEqual(expect.arrayContaining(['fetch done', 'validate done', 'store done']))
    const files = await Promise.all([first, second, third].map(async ({ result }) => stack.api.call('GET', result.file)))
    const digests = files.map(({ body }) => body['sha256'])
    expect([digests[0] === digests[1], digests[1] === digests[2]]).toEqual([true, false])
    expect(files.map(({ body }) => body['name'])).toEqual(['same.jpg', 'same.jpg', 'same.jpg'])
  })

  test('an address that is at fault ends the ingest at once, with its reason', async () => {
    origin.answers.set('/gone.jpg', (_request, response) => void response.writeHead(410).end())
    origin.answers.set('/page', (_request, response) => void response.writeHead(200).end('<!doctype html><p>Log in'))
    origin.answers.set('/huge.jpg', image(Buffer.concat([await draw(), Buffer.alloc(300_000)])))
    origin.answers.set('/half.jpg', image((await draw()).subarray(0, 700)))
    origin.answers.set('/inside', (_request, response) => void response.writeHead(302, { location: 'https://127.0.0.1/' }).end())
    const ends: Json[] = []
    for (const path of ['/not-there.jpg', '/gone.jpg', '/page', '/huge.jpg', '/half.jpg', '/inside']) ends.push(await bring(path))
    expect(ends.map(({ state, attempts, error }) => [state, attempts, error.code])).toEqual([
      ['rejected', 1, 'url_unreachable'],
      ['rejected', 1, 'url_unreachable'],
      ['rejected', 1, 'media_type_unsupported'],
      ['rejected', 1, 'file_too_large'],
      ['rejected', 1, 'image_truncated'],
      ['rejected', 1, 'url_forbidden'],
    ])
    expect(ends[1]?.['error'].detail).toContain('410')
    expect(origin.asked('/not-there.jpg')).toHaveLength(1)
  })

  test('a server that fails is asked again, and all is well when it recovers', async () => {
    const bytes = await draw()
    const faults: Record<string, RequestListener> = {
      '/failing.jpg': (_request, response) => void response.writeHead(500).end(),
      '/slow.jpg': (_request, response) => void response.writeHead(200).write(bytes.subarray(0, 100)),
      '/cut.jpg': (_request, response) => {
        response.writeHead(200, { 'content-length': bytes.length }).write(bytes.subarray(0, 100), () => response.destroy())
      },
    }
    for (const [path, fault] of Object.entries(faults)) {
      origin.answers.set(path, (request, response) => {
        const answer = origin.asked(path).length === 1 ? fault : image(bytes)
        answer(request, response)
      })
    }
    const ends = await Promise.all(Object.keys(faults).map((path) => bring(path)))
    expect(ends.map(({ state, attempts }) => [state, attempts])).toEqual(ends.map(() => ['committed', 2]))
    for (const end of ends) expect(outcomes(end)).toEqual(expect.arrayContaining(['fetch retried', 'fetch done']))
  })

  test('a server that never recovers is given up, visibly, and can be replayed', async () => {
    origin.answers.set('/down.jpg', (_request, response) => void response.writeHead(503).end())
    const end = await bring('/down.jpg')
    expect(end).toMatchObject({ state: 'failed', error: { code: 'attempts_exhausted', detail: expect.stringContaining('503') } })
    expect(origin.asked('/down.jpg')).toHaveLength(5)
    origin.answers.set('/down.jpg', image(await draw()))
    expect((await stack.api.call('POST', `${end['links'].self}/replay`)).status).toBe(202)
    expect(await stack.api.finished(end['links'].self)).toMatchObject({ state: 'committed' })
  })

  test('a server that asks for time gets it', async () => {
    const bytes = await draw()
    const times: number[] = []
    origin.answers.set('/busy.jpg', (request, response) => {
      times.push(Date.now())
      if (times.length === 1) response.writeHead(429, { 'retry-after': '1' }).end()
      else image(bytes)(request, response)
    })
    expect(await bring('/busy.jpg')).toMatchObject({ state: 'committed' })
    const [first = 0, second = 0] = times
    expect(second - first).toBeGreaterThanOrEqual(1_000)
  })

  test('of 40 addresses on one host never more than the limit are fetched at a time, and all are brought', async () => {
    await using crowded = await openOrigin()
    const patient = { SLUICE_LIMIT_FETCH_MS_MAX: '20000', SLUICE_LIMIT_FETCH_PER_HOST_MAX: '4' }
    await using own = await openStack(wiring, { ...LIMITS, ...patient, SLUICE_FETCH_ALLOW: crowded.host })
    const bytes = await draw()
    const product = await own.api.newProduct()
    const paths = Array.from({ length: 40 }, (_, index) => `/${index}.jpg`)
    // The first four are answered together, so that there are four at a time; each of the others takes a moment.
    const four = Promise.withResolvers<void>()
    for (const path of paths) {
      crowded.answers.set(path, (request, response) => {
        if (crowded.most() >= 4) four.resolve()
        void four.promise.then(() => sleep(20)).then(() => image(bytes)(request, response))
      })
    }
    const accepted = await Promise.all(
      paths.map((path) => own.api.call('POST', `${product}/images`, { url: crowded.url(path), label: path })),
    )
    const ends = await Promise.all(accepted.map(({ headers }) => own.api.finished(headers.get('location') ?? '')))
    expect(ends.map(({ state, attempts }) => [state, attempts])).toEqual(paths.map(() => ['committed', 1]))
    expect(crowded.most()).toBe(4)
    for (const end of ends) expect(outcomes(end).filter((line: string) => line === 'start done')).toHaveLength(1)
    const { body } = await own.api.call('GET', `${product}/images`)
    expect(body['images'].map(({ label }: Json) => label).toSorted()).toEqual(paths.toSorted())
  })

  test('an image that comes with its request does not wait for those that are fetched', async () => {
    const paths = Array.from({ length: 20 }, (_, index) => `/never-${index}.jpg`)
    for (const path of paths) origin.answers.set(path, () => undefined)
    const product = await stack.api.newProduct()
    await Promise.all(paths.map((path) => post(`${product}/images`, { url: origin.url(path) })))
    await vi.waitFor(() => expect(paths.flatMap(origin.asked).length).toBeGreaterThanOrEqual(4), 10_000)
    const { status } = await stack.api.addImage(await stack.api.newProduct(), await draw())
    expect(status).toBe(201)
    for (const path of paths) origin.answers.delete(path)
  })
})

describe('images by URL on the wire', () => {
  let origin: Origin
  let stack: Stack
  beforeAll(async () => {
    origin = await openOrigin()
    stack = await openStack('embedded', { ...LIMITS, SLUICE_FETCH_ALLOW: origin.host })
  })
  afterAll(async () => {
    await stack?.[Symbol.asyncDispose]()
    await origin?.[Symbol.asyncDispose]()
  })

  test('an address that may not be fetched is refused before anything is promised', async () => {
    const codes: unknown[] = []
    for (const url of [
      'http://127.0.0.1:1/a.jpg',
      'https://127.0.0.1/a.jpg',
      'https://169.254.169.254/latest',
      'https://user:secret@example.com/a.jpg',
      'a.jpg',
      7,
    ]) {
      const { status, body } = await stack.api.call('POST', '/v1/files', { url })
      codes.push([status, body['code']])
    }
    expect(codes).toEqual([
      [422, 'url_invalid'],
      [422, 'url_forbidden'],
      [422, 'url_forbidden'],
      [422, 'url_invalid'],
      [422, 'url_invalid'],
      [422, 'url_invalid'],
    ])
    expect((await stack.api.call('GET', '/v1/ingests')).body['items']).toEqual([])
  })

  test('an address beside another source is one source too many', async () => {
    const url = origin.url('/a.jpg')
    const base64 = Buffer.from(await draw()).toString('base64')
    const both = { url, file: { base64, media_type: 'image/jpeg' } }
    for (const body of [both, { url, file_id: crypto.randomUUID() }, { url, file: { media_type: 'image/jpeg' } }]) {
      const answer = await stack.api.call('POST', '/v1/files', body)
      expect([answer.status, answer.body['code']]).toEqual([422, 'source_ambiguous'])
    }
    const form = await stack.api.send('POST', '/v1/files', { body: formOf(await draw(), { url }) })
    expect(((await form.json()) as Json)['code']).toBe('source_ambiguous')
  })

  test('a repeat with the same key is the same ingest, and another address under it is refused', async () => {
    origin.answers.set('/once.jpg', image(await draw()))
    const key = { 'idempotency-key': crypto.randomUUID() }
    const url = origin.url('/once.jpg')
    const answers = [
      await stack.api.call('POST', '/v1/files', { url }, key),
      await stack.api.call('POST', '/v1/files', { url }, key),
    ]
    expect(answers.map(({ status, body }) => [status, body['id']])).toEqual(answers.map(() => [202, answers[0]?.body['id']]))
    const other = await stack.api.call('POST', '/v1/files', { url: `${url}?2` }, key)
    expect([other.status, other.body['code']]).toEqual([422, 'idempotency_key_reused'])
  })

  test('nobody is shown or told what opens a signed link', async () => {
    origin.answers.set('/signed.jpg', (_request, response) => void response.writeHead(403).end())
    const url = `${origin.url('/signed.jpg')}?X-Signature=s3cr3t-of-the-link`
    const { body, headers } = await stack.api.call('POST', '/v1/files', { url })
    expect(body['source_url']).toBe(`${origin.url('/signed.jpg')}?…`)
    await stack.api.finished(headers.get('location') ?? '')
    const login = await fetch(`${stack.consoleUrl}/login`, {
      method: 'POST',
      redirect: 'manual',
      body: new URLSearchParams({ token: stack.token }),
      headers: { origin: new URL(stack.consoleUrl).origin },
    })
    const cookie = login.headers.get('set-cookie')?.split(';')[0] ?? ''
    const pages = await Promise.all(
      ['/', `/ingests/${body['id']}`].map(async (path) =>
        (await fetch(new URL(path, stack.consoleUrl), { headers: { cookie } })).text(),
      ),
    )
    const told = JSON.stringify((await stack.api.call('GET', `/v1/ingests/${body['id']}`)).body)
    for (const text of [...pages, told]) expect(text).toContain('signed.jpg')
    for (const text of [...pages, told, stack.log()]) expect(text).not.toContain('s3cr3t-of-the-link')
  })

  test("Elastic Path's file_location tells a server that is away from an address that is wrong", async () => {
    origin.answers.set('/away.png', (_request, response) => void response.writeHead(503).end())
    const statuses: number[] = []
    for (const path of ['/away.png', '/wrong.png']) {
      const body = new FormData()
      body.set('file_location', origin.url(path))
      statuses.push((await stack.api.send('POST', '/v2/files', { body })).status)
    }
    expect(statuses).toEqual([502, 422])
  })
})
