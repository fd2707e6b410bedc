import { once } from 'node:events'
import * as http from 'node:http'
import { gzipSync } from 'node:zlib'
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest'
import { DEFAULT_LIMITS, type Fetched, SluiceError } from '@sluice/core'
import { type FetcherOptions, openFetcher } from './fetcher.ts'
import type { Resolve } from './guarded-lookup.ts'

/** A server of this machine, which is where no stranger may lead us: what it was asked for is what got through. */
interface Inside extends AsyncDisposable {
  readonly port: number
  readonly asked: http.IncomingMessage[]
  answer: http.RequestListener
}

async function openInside(): Promise<Inside> {
  const server = http.createServer((request, response) => {
    inside.asked.push(request)
    inside.answer(request, response)
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const address = server.address()
  const inside: Inside = {
    port: typeof address === 'object' && address ? address.port : 0,
    asked: [],
    answer: (_request, response) => void response.end('bytes'),
    async [Symbol.asyncDispose]() {
      server.closeAllConnections()
      await new Promise((resolve) => server.close(resolve))
    },
  }
  return inside
}

let inside: Inside
let resources: AsyncDisposableStack
beforeEach(async () => {
  resources = new AsyncDisposableStack()
  inside = resources.use(await openInside())
})
afterEach(() => resources.disposeAsync())

const fetcherWith = (options: Partial<FetcherOptions> = {}) =>
  resources.use(openFetcher({ limits: DEFAULT_LIMITS, resolve: async () => [], ...options }))

/** One that may ask the server of this machine, as an operator would have it. */
const excepting = (limits: Partial<FetcherOptions['limits']> = {}) =>
  fetcherWith({ exceptions: [`127.0.0.1:${inside.port}`], limits: { ...DEFAULT_LIMITS, ...limits } })

const never = new AbortController().signal
const failure = async (work: Promise<unknown>): Promise<SluiceError> => {
  const error = await work.then(
    () => null,
    (error: unknown) => error,
  )
  if (!SluiceError.is(error)) throw new Error('it did not fail as it should', { cause: error })
  return error
}
const textOf = async ({ bytes }: Fetched) => Buffer.concat(await Array.fromAsync(bytes)).toString()

describe('addresses that lead inside', () => {
  /** Spellings of loopback and its like, as literals: none of them reaches a resolver. */
  const LITERALS = [
    'https://127.0.0.1/',
    'https://2130706433/',
    'https://0x7f000001/',
    'https://0x7f.0x0.0x0.0x1/',
    'https://0177.0.0.1/',
    'https://017700000001/',
    'https://127.1/',
    'https://0/',
    'https://0.0.0.0/',
    'https://127.0.0.1./',
    'https://１２７.０.０.１/',
    'https://127。0。0。1/',
    'https://%31%32%37.0.0.1/',
    'https://[::1]/',
    'https://[::]/',
    'https://[::ffff:7f00:1]/',
    'https://[::ffff:127.0.0.1]/',
    'https://[::127.0.0.1]/',
    'https://[64:ff9b::7f00:1]/',
    'https://[2002:7f00:1::]/',
    'https://[fe80::1]/',
    'https://[fd00:ec2::254]/',
    'https://10.0.0.1/',
    'https://172.16.0.1/',
    'https://192.168.0.1/',
    'https://100.100.100.200/',
    'https://169.254.169.254/latest/meta-data/',
    'https://168.63.129.16/',
    'https://255.255.255.255/',
  ]

  test.each(LITERALS)('refuses %s', async (address) => {
    const resolve = vi.fn<Resolve>()
    const error = await failure(fetcherWith({ resolve }).fetch(address, never))
    expect(error.code).toBe('url_forbidden')
    expect(resolve).not.toHaveBeenCalled()
  })

  /** Names, with what their name servers say. */
  const NAMES: [name: string, address: string, family: 4 | 6][] = [
    ['localhost', '127.0.0.1', 4],
    ['localhost.', '127.0.0.1', 4],
    ['ⓛocalhost', '127.0.0.1', 4],
    ['metadata.google.internal', '169.254.169.254', 4],
    ['127.0.0.1.nip.io', '127.0.0.1', 4],
    ['mapped.example', '::ffff:7f00:1', 6],
    ['translated.example', '64:ff9b::7f00:1', 6],
    ['scoped.example', 'fe80::1%1', 6],
  ]

  test.each(NAMES)('refuses %s, which leads to %s', async (name, address, family) => {
    const resolve = vi.fn<Resolve>(async () => [{ address, family }])
    const error = await failure(fetcherWith({ resolve }).fetch(`https://${name}/`, never))
    expect(error.code).toBe('url_forbidden')
    expect(resolve).toHaveBeenCalledOnce()
  })

  test('refuses a name of which one of many addresses is inside', async () => {
    const resolve = async () => [
      { address: '93.184.215.14', family: 4 },
      { address: '10.1.2.3', family: 4 },
    ]
    expect((await failure(fetcherWith({ resolve }).fetch('https://both.example/', never))).code).toBe('url_forbidden')
  })

  test('says the same of a name that is inside and of one that there is not', async () => {
    const absent = Object.assign(new Error('queryA ENOTFOUND vault.corp'), { code: 'ENOTFOUND' })
    const hidden = await failure(
      fetcherWith({ resolve: async () => [{ address: '10.1.2.3', family: 4 }] }).fetch('https://vault.corp/', never),
    )
    const unknown = await failure(fetcherWith({ resolve: () => Promise.reject(absent) }).fetch('https://vault.corp/', never))
    expect([hidden.code, hidden.message, hidden.details]).toEqual([unknown.code, unknown.message, unknown.details])
    expect(hidden.message).not.toMatch(/10\.1|vault/)
  })

  test('refuses to be led inside by a redirect, at each of them', async () => {
    inside.answer = ({ url }, response) =>
      void response.writeHead(302, { location: url === '/1' ? '/2' : `http://[::ffff:127.0.0.1]:${inside.port}/3` }).end()
    expect((await failure(excepting().fetch(`http://127.0.0.1:${inside.port}/1`, never))).code).toBe('url_invalid')
    inside.answer = (_request, response) => void response.writeHead(307, { location: 'https://127.1:443/' }).end()
    expect((await failure(excepting().fetch(`http://127.0.0.1:${inside.port}/1`, never))).code).toBe('url_forbidden')
    expect(inside.asked.map(({ url }) => url)).toEqual(['/1', '/2', '/1'])
  })

  test('asks nobody but the port that is excepted', async () => {
    const fetcher = fetcherWith({ exceptions: [`127.0.0.1:${inside.port + 1}`] })
    for (const scheme of ['http', 'https']) await failure(fetcher.fetch(`${scheme}://127.0.0.1:${inside.port}/`, never))
    expect(inside.asked).toEqual([])
  })

  test.each(['https://example.com:22/', 'https://example.com:8443/'])('refuses the port of %s', async (address) => {
    expect((await failure(fetcherWith().fetch(address, never))).code).toBe('url_forbidden')
  })
})

describe('addresses that are none', () => {
  test.each([
    '',
    'photo.jpg',
    '//example.com/photo.jpg',
    'http://example.com/photo.jpg',
    'ftp://example.com/photo.jpg',
    'file:///etc/passwd',
    'data:image/png;base64,AAAA',
    'gopher://127.0.0.1:6379/_FLUSHALL',
    'https://user:secret@example.com/',
    'https://user@example.com/',
    'https://',
    'https://exa mple.com/',
    'https://256.0.0.1/',
    `https://example.com/${'a'.repeat(3000)}`,
  ])('refuses %s', async (address) => {
    expect((await failure(fetcherWith().fetch(address, never))).code).toBe('url_invalid')
  })
})

describe('a file at an address', () => {
  const url = (path: string) => `http://127.0.0.1:${inside.port}${path}`

  test('is read as it is, asked for without anything of ours', async () => {
    vi.stubEnv('HTTP_PROXY', 'http://127.0.0.1:1')
    vi.stubEnv('http_proxy', 'http://127.0.0.1:1')
    inside.answer = (_request, response) => void response.writeHead(200, { 'content-type': 'image/png; x=y' }).end('bytes')
    const fetched = await excepting().fetch(url('/a%20b/front%20view.png?size=1#top'), never)
    expect(fetched).toMatchObject({ contentType: 'image/png; x=y', fileName: 'front view.png' })
    expect(await textOf(fetched)).toBe('bytes')
    vi.unstubAllEnvs()
    const [asked] = inside.asked
    expect(asked?.url).toBe('/a%20b/front%20view.png?size=1')
    expect(asked?.headers).toEqual({
      host: `127.0.0.1:${inside.port}`,
      connection: 'close',
      accept: 'image/*, */*;q=0.1',
      'accept-encoding': 'identity',
      'user-agent': 'Sluice',
    })
  })

  test.each([
    ['attachment; filename="back.jpg"', 'back.jpg'],
    ["attachment; filename*=UTF-8''%e2%82%ac.jpg", '€.jpg'],
    [';;;"', 'x.jpg'],
    [null, 'x.jpg'],
  ])('has the name that %s says', async (disposition, name) => {
    inside.answer = (_request, response) =>
      void response.writeHead(200, disposition === null ? {} : { 'content-disposition': disposition }).end()
    expect((await excepting().fetch(url('/x.jpg'), never)).fileName).toBe(name)
  })

  test('may be some redirects away, but not more', async () => {
    inside.answer = ({ url: path }, response) => {
      const left = Number(path?.slice(1))
      if (left === 0) response.end('here')
      else response.writeHead(301, { location: `${left - 1}`, 'set-cookie': 'a=b' }).end('elsewhere')
    }
    expect(await textOf(await excepting({ fetchRedirectsMax: 3 }).fetch(url('/3'), never))).toBe('here')
    expect(inside.asked.every(({ headers }) => headers.cookie === undefined && headers.referer === undefined)).toBe(true)
    expect((await failure(excepting({ fetchRedirectsMax: 3 }).fetch(url('/4'), never))).code).toBe('url_unreachable')
  })

  test.each([204, 206, 304, 400, 401, 403, 404, 410, 451])('is not there when the server answers %i', async (status) => {
    inside.answer = (_request, response) => void response.writeHead(status, { 'retry-after': '5' }).end()
    const error = await failure(excepting().fetch(url('/'), never))
    expect([error.code, error.message]).toEqual(['url_unreachable', expect.stringContaining(String(status))])
    expect(error.details).toEqual({})
  })

  test.each([408, 425, 429, 500, 502, 503, 504])('may be there later when the server answers %i', async (status) => {
    inside.answer = (_request, response) => void response.writeHead(status).end()
    const error = await failure(excepting().fetch(url('/'), never))
    expect([error.code, error.message]).toEqual(['source_unavailable', expect.stringContaining(String(status))])
    expect(error.details).toEqual({})
  })

  test.each([
    ['7', 7_000],
    [new Date(Date.now() + 3_600_000).toUTCString(), 3_600_000],
    [new Date(0).toUTCString(), 0],
    ['0', 0],
    ['-5', 0],
    ['soon', 0],
    ['9'.repeat(400), 0],
  ])('says how long its server asks to wait: %s', async (header, waitMs) => {
    inside.answer = (_request, response) => void response.writeHead(429, { 'retry-after': header }).end()
    const { retryAfterMs = 0 } = (await failure(excepting().fetch(url('/'), never))).details
    // Dates are in seconds, and the way there takes a moment.
    expect(Math.round(Number(retryAfterMs) / 60_000)).toBe(Math.round(waitMs / 60_000))
  })

  test('is not fetched again while its server says that it is the same, over redirects too', async () => {
    inside.answer = ({ url: path, headers }, response) => {
      if (path === '/old') response.writeHead(302, { location: '/new' }).end()
      else if (headers['if-none-match'] === '"1"') response.writeHead(304).end()
      else response.writeHead(200, { etag: '"1"', 'last-modified': 'Sat, 21 Nov 2026 10:00:00 GMT' }).end('bytes')
    }
    const fetcher = excepting()
    const { validators, bytes } = await fetcher.fetch(url('/old'), never)
    await Array.fromAsync(bytes)
    expect(validators).toEqual({ etag: '"1"', lastModified: 'Sat, 21 Nov 2026 10:00:00 GMT' })
    expect(await fetcher.fetchChanged(url('/old'), validators, never)).toBeNull()
    expect(inside.asked.at(-1)?.headers).toMatchObject({
      'if-none-match': '"1"',
      'if-modified-since': 'Sat, 21 Nov 2026 10:00:00 GMT',
    })
    const changed = await fetcher.fetchChanged(url('/new'), { etag: '"0"', lastModified: null }, never)
    expect(changed && (await textOf(changed))).toBe('bytes')
    expect(inside.asked.at(-1)?.headers['if-modified-since']).toBeUndefined()
  })

  test.each(['"a"b"', 'bare', `"${'x'.repeat(600)}"`, '"caf\u00e9"', ''])('has no ETag when its server says %s', async (etag) => {
    inside.answer = (_request, response) => void response.writeHead(200, { etag }).end('bytes')
    const fetched = await excepting().fetch(url('/'), never)
    expect(fetched.validators).toEqual({ etag: null, lastModified: null })
    await textOf(fetched)
  })

  test('is checked as far as it can be without asking anybody', () => {
    const resolve = vi.fn<Resolve>()
    const fetcher = fetcherWith({ resolve })
    expect(fetcher.check('https://EXAMPLE.com/a b/../ü.jpg?q=1#top')).toBe('https://example.com/%C3%BC.jpg?q=1')
    for (const refused of [
      'http://example.com/',
      'https://127.1/',
      'https://user:secret@example.com/',
      'https://example.com:22/',
    ])
      expect(() => fetcher.check(refused)).toThrow(SluiceError)
    expect(resolve).not.toHaveBeenCalled()
  })

  test('is refused when it comes compressed', async () => {
    inside.answer = (_request, response) =>
      void response.writeHead(200, { 'content-encoding': 'gzip' }).end(gzipSync(Buffer.alloc(1_000_000)))
    expect((await failure(excepting().fetch(url('/'), never))).code).toBe('url_unreachable')
  })

  test('is refused when it says that it is too large, and read no further when it turns out to be', async () => {
    inside.answer = (_request, response) => void response.writeHead(200, { 'content-length': '11' }).end('12345678901')
    expect((await failure(excepting({ fileBytesMax: 10 }).fetch(url('/'), never))).code).toBe('file_too_large')
    const closed = Promise.withResolvers<void>()
    inside.answer = (_request, response) => {
      response.on('close', closed.resolve)
      const pour = () => {
        while (response.write(Buffer.alloc(64 * 1024)));
        response.once('drain', pour)
      }
      pour()
    }
    const endless = await excepting({ fileBytesMax: 1_000_000 }).fetch(url('/'), never)
    expect((await failure(Array.fromAsync(endless.bytes))).code).toBe('file_too_large')
    await closed.promise
  })

  test('is unreachable when it breaks off', async () => {
    inside.answer = (_request, response) => {
      response.writeHead(200, { 'content-length': '100' }).write('some', () => response.destroy())
    }
    const cut = await excepting().fetch(url('/'), never)
    expect((await failure(Array.fromAsync(cut.bytes))).code).toBe('source_unavailable')
  })

  test.each([
    ['before its headers', () => undefined],
    ['in its body', (response: http.ServerResponse) => void response.write('some')],
  ])('is unreachable when its server falls silent %s', async (_where, answer) => {
    inside.answer = (_request, response) => answer(response)
    const reading = excepting({ fetchMsMax: 200 })
      .fetch(url('/'), never)
      .then(({ bytes }) => Array.fromAsync(bytes))
    expect((await failure(reading)).code).toBe('source_unavailable')
  })

  test('is unreachable when nobody listens, and nothing is said of who does not', async () => {
    const { port } = inside
    await inside[Symbol.asyncDispose]()
    const error = await failure(fetcherWith({ exceptions: [`127.0.0.1:${port}`] }).fetch(`http://127.0.0.1:${port}/`, never))
    expect(error.code).toBe('source_unavailable')
    expect(error.message).not.toMatch(/ECONN|127\.0|undici/)
  })

  test('is let go of when the caller is: before, while the name is looked up, and in the body', async () => {
    const gone = new SluiceError('request_aborted')
    await expect(excepting().fetch(url('/'), AbortSignal.abort(gone))).rejects.toBe(gone)

    const stop = new AbortController()
    const resolve = () => {
      stop.abort(gone)
      return new Promise<never>(() => undefined)
    }
    await expect(fetcherWith({ resolve }).fetch('https://silent.example/', stop.signal)).rejects.toBe(gone)

    const later = new AbortController()
    const closed = Promise.withResolvers<void>()
    inside.answer = (_request, response) => {
      response.on('close', closed.resolve)
      response.write('some')
    }
    const { bytes } = await excepting().fetch(url('/'), later.signal)
    const reading = Array.fromAsync(bytes)
    later.abort(gone)
    await expect(reading).rejects.toBe(gone)
    await closed.promise
  })

  test('is fetched beside many others', async () => {
    inside.answer = ({ url: path }, response) => void response.end(path)
    const fetcher = excepting()
    const paths = Array.from({ length: 50 }, (_, index) => `/${index}`)
    const texts = await Promise.all(paths.map(async (path) => textOf(await fetcher.fetch(url(path), never))))
    expect(texts).toEqual(paths)
  })
})
