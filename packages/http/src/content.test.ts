import { createHash } from 'node:crypto'
import { existsSync, readFileSync } from 'node:fs'
import { connect } from 'node:net'
import { fileURLToPath } from 'node:url'
import { parse } from 'content-disposition'
import Fastify, { type FastifyInstance } from 'fastify'
import { afterEach, describe, expect, it, vi } from 'vitest'
import { type Digest, SluiceError } from '@sluice/core'
import { type BlobContent, rangeOf, sendBlob } from './content.ts'

const CONTENT = Buffer.from(Array.from({ length: 1000 }, (_, index) => index % 251))
const DIGEST = createHash('sha256').update(CONTENT).digest('hex') as Digest
const TAG = `"${DIGEST}"`
const STRINGS = fileURLToPath(new URL('../../../../shared/corpora/strings/blns.json', import.meta.url))

const BLOB: BlobContent = {
  name: 'café "1".png',
  mediaType: 'image/png',
  bytes: CONTENT.length,
  digest: DIGEST,
  disposition: 'inline',
  async open(range) {
    return (async function* () {
      const end = range ? range.end + 1 : CONTENT.length
      for (let at = range?.start ?? 0; at < end; at += 300) yield CONTENT.subarray(at, Math.min(at + 300, end))
    })()
  },
}

const servers: FastifyInstance[] = []
afterEach(async () => {
  for (const server of servers.splice(0)) await server.close()
})

async function serve(blob: BlobContent): Promise<string> {
  const app = Fastify({ forceCloseConnections: true })
  servers.push(app)
  app.setErrorHandler((error, _request, reply) =>
    SluiceError.is(error) ? reply.code(error.status).send({ code: error.code }) : reply.code(500).send({ code: String(error) }),
  )
  app.get('/blob', (_request, reply) => sendBlob(reply, blob))
  return `${await app.listen({ port: 0, host: '127.0.0.1' })}/blob`
}

async function get(headers: Record<string, string> = {}, { blob = BLOB, method = 'GET' } = {}) {
  const response = await fetch(await serve(blob), { method, headers })
  return { status: response.status, headers: response.headers, body: Buffer.from(await response.arrayBuffer()) }
}

describe('sendBlob', () => {
  it('sends the bytes as what they are and as nothing else', async () => {
    const { status, headers, body } = await get()
    expect(status).toBe(200)
    expect(body).toEqual(CONTENT)
    expect(Object.fromEntries(headers)).toMatchObject({
      'content-type': 'image/png',
      'content-length': '1000',
      'accept-ranges': 'bytes',
      etag: TAG,
      'cache-control': 'private, max-age=31536000, immutable',
      'x-content-type-options': 'nosniff',
      'content-security-policy': "sandbox; default-src 'none'",
      'cross-origin-resource-policy': 'same-site',
      'content-disposition': 'inline; filename="caf? \\"1\\".png"; filename*=UTF-8\'\'caf%C3%A9%20%221%22.png',
    })
  })

  it('answers HEAD as it answers GET, without the body and without opening the blob', async () => {
    const whole = await get()
    const { status, headers, body } = await get(
      { range: 'bytes=0-1' },
      { method: 'HEAD', blob: { ...BLOB, open: async () => null } },
    )
    expect(status).toBe(200)
    expect(body.length).toBe(0)
    const names = ['content-type', 'content-length', 'accept-ranges', 'etag', 'cache-control', 'content-disposition']
    for (const name of names) expect(headers.get(name)).toBe(whole.headers.get(name))
  })

  it.each([TAG, `W/${TAG}`, `"x", ${TAG}`, '*'])('answers 304 to If-None-Match: %s', async (tag) => {
    for (const method of ['GET', 'HEAD']) {
      const { status, headers, body } = await get({ 'if-none-match': tag, range: 'bytes=0-1' }, { method })
      expect(status).toBe(304)
      expect(headers.get('etag')).toBe(TAG)
      expect(headers.get('cache-control')).toContain('immutable')
      expect(body.length).toBe(0)
    }
  })

  it.each(['"x"', DIGEST, '', 'garbage'])('answers 200 to If-None-Match: %s', async (tag) => {
    expect((await get({ 'if-none-match': tag })).status).toBe(200)
  })

  it.each([
    ['bytes=0-0', 0, 0],
    ['bytes=10-19', 10, 19],
    ['bytes=990-', 990, 999],
    ['bytes=990-5000', 990, 999],
    ['bytes=-10', 990, 999],
    ['bytes=-5000', 0, 999],
    ['Bytes= 5-6', 5, 6],
  ])('sends the part for Range: %s', async (range, start, end) => {
    for (const condition of [{}, { 'if-range': TAG }]) {
      const { status, headers, body } = await get({ range, ...condition })
      expect(status).toBe(206)
      expect(headers.get('content-range')).toBe(`bytes ${start}-${end}/1000`)
      expect(headers.get('content-length')).toBe(`${end - start + 1}`)
      expect(body).toEqual(CONTENT.subarray(start, end + 1))
    }
  })

  it.each(['bytes=0-1,5-6', 'bytes=5-2', 'bytes=a-b', 'bytes=-', 'bytes', 'lines=0-1', 'bytes=1-2-3', ''])(
    'sends the whole for Range: %s',
    async (range) => {
      const { status, body } = await get({ range })
      expect(status).toBe(200)
      expect(body).toEqual(CONTENT)
    },
  )

  it.each([`W/${TAG}`, '"x"', 'Wed, 21 Oct 2015 07:28:00 GMT'])(
    'sends the whole when If-Range: %s does not match',
    async (tag) => {
      expect((await get({ range: 'bytes=0-1', 'if-range': tag })).status).toBe(200)
    },
  )

  it.each(['bytes=1000-', 'bytes=99999999999999999999-', 'bytes=-0'])(
    'refuses Range: %s, and lets nobody keep the refusal',
    async (range) => {
      const { status, headers, body } = await get({ range })
      expect(status).toBe(416)
      expect(headers.get('content-range')).toBe('bytes */1000')
      expect(headers.get('cache-control')).toBeNull()
      expect(headers.get('etag')).toBeNull()
      expect(JSON.parse(body.toString())).toEqual({ code: 'range_unsatisfiable' })
    },
  )

  it('finds no satisfiable range in nothing', () => {
    expect(rangeOf('bytes=0-', 0)).toBe('unsatisfiable')
    expect(rangeOf('bytes=-1', 0)).toBe('unsatisfiable')
    expect(rangeOf(undefined, 0)).toBeNull()
  })

  it('says that it is our fault when the store has lost the blob or fails, and lets nobody keep that', async () => {
    const failing = () => Promise.reject(new SluiceError('service_unavailable'))
    for (const [open, code] of [[async () => null, 'internal_error'] as const, [failing, 'service_unavailable'] as const]) {
      const { headers, body } = await get({ range: 'bytes=0-1' }, { blob: { ...BLOB, open } })
      expect(JSON.parse(body.toString())).toEqual({ code })
      expect(headers.get('cache-control')).toBeNull()
      expect(headers.get('content-range')).toBeNull()
      expect(headers.get('content-type')).toContain('application/json')
    }
  })

  it('breaks the connection when the store fails half-way, so that nobody takes the part for the whole', async () => {
    const open = async () =>
      (async function* () {
        yield CONTENT.subarray(0, 500)
        throw new SluiceError('service_unavailable')
      })()
    await expect(get({}, { blob: { ...BLOB, open } })).rejects.toThrow(/terminated|fetch failed/)
  })

  it('stops reading the store when the client goes away', async () => {
    let state = 'idle'
    let signal: AbortSignal | null = null
    const url = new URL(
      await serve({
        ...BLOB,
        bytes: 2 ** 40,
        async open(_range, given) {
          signal = given
          return (async function* () {
            try {
              state = 'reading'
              for (;;) yield Buffer.alloc(65_536)
            } finally {
              state = 'stopped'
            }
          })()
        },
      }),
    )
    const socket = connect(Number(url.port), url.hostname)
    socket.write('GET /blob HTTP/1.1\r\nHost: x\r\n\r\n')
    await vi.waitFor(() => expect(state).toBe('reading'))
    socket.destroy()
    await vi.waitFor(() => expect(state).toBe('stopped'))
    expect(signal).toMatchObject({ aborted: true })
  })

  it('names a file without a name after its type, and offers it for saving', async () => {
    const { headers } = await get({}, { blob: { ...BLOB, name: null, mediaType: 'image/jpeg', disposition: 'attachment' } })
    expect(headers.get('content-disposition')).toBe('attachment; filename="image.jpg"')
  })

  it.each([
    'a\r\nSet-Cookie: x=1.png',
    'half \ud800 a pair',
    '"; filename=evil.html',
    '%41%0d%0a.png',
    '\u0000\u007f',
    '‮gnp.exe',
    'x'.repeat(5000),
  ])('carries the file name %j in one header', async (name) => {
    const { status, headers } = await get({}, { blob: { ...BLOB, name } })
    expect(status).toBe(200)
    expect(headers.get('set-cookie')).toBeNull()
    expect(parse(headers.get('content-disposition') ?? '')).toMatchObject({
      type: 'inline',
      parameters: { filename: name.toWellFormed() },
    })
  })
})

describe.skipIf(!existsSync(STRINGS))('naughty file names', () => {
  it('all arrive as they are', async () => {
    const names = (JSON.parse(readFileSync(STRINGS, 'utf8')) as string[]).filter((name) => name !== '')
    expect(names.length).toBeGreaterThan(100)
    let name = ''
    const app = Fastify()
    servers.push(app)
    app.get('/blob', (_request, reply) => sendBlob(reply, { ...BLOB, name }))
    const url = `${await app.listen({ port: 0, host: '127.0.0.1' })}/blob`
    for (name of names) {
      const response = await fetch(url, { method: 'HEAD' })
      expect(response.status).toBe(200)
      expect(parse(response.headers.get('content-disposition') ?? '').parameters['filename']).toBe(name.toWellFormed())
    }
  })
})
