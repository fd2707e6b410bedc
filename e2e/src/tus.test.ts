/** Resumable uploads by tus, with its own client: docs/uploads.md. */
import { createConnection, createServer, type Socket } from 'node:net'
import { afterEach, describe, expect, test, vi } from 'vitest'
import { drawSample } from '@sluice/images/samples'
import * as tus from 'tus-js-client'
import type { Json } from './api.ts'
import { environment, up } from './sluice-process.ts'
import { openStack, RUNNABLE, type Stack } from './stack.ts'

/** Parts of 64 KiB, so that an image of some hundred KiB comes in several. */
const SMALL_PARTS = { SLUICE_LIMIT_UPLOAD_PART_BYTES_MAX: String(64 * 1024) }

const draw = (seed: number) => drawSample({ seed, width: 700, height: 500, format: 'png' })

interface Sent {
  readonly id: string
  readonly offsets: readonly number[]
  readonly retries: number
}

type Options = Partial<tus.UploadOptions> & { readonly endpoint: string; readonly token: string }

/** Uploads as a client does, and tells how it went. */
function send(bytes: Uint8Array, { token, ...options }: Options): Promise<Sent> {
  return new Promise((resolve, reject) => {
    const offsets: number[] = []
    let retries = 0
    const upload = new tus.Upload(Buffer.from(bytes), {
      headers: { authorization: `Bearer ${token}` },
      retryDelays: [50, 100, 200, 400, 800, 1600, 3200],
      onShouldRetry: () => {
        retries += 1
        return true
      },
      onAfterResponse: (request, response) => {
        if (request.getMethod() === 'HEAD') offsets.push(Number(response.getHeader('Upload-Offset')))
      },
      onError: reject,
      onSuccess: () => resolve({ id: upload.url?.split('/').at(-1) ?? '', offsets, retries }),
      ...options,
    })
    upload.start()
  })
}

/** Lets bytes through to a server, and cuts the connections when so many have come. */
async function openCutter(port: () => number, cutAfter: readonly number[]) {
  const cuts = [...cutAfter]
  const sockets = new Set<Socket>()
  let seen = 0
  const server = createServer((client) => {
    const upstream = createConnection(port(), '127.0.0.1')
    for (const [socket, other] of [[client, upstream] as const, [upstream, client] as const]) {
      sockets.add(socket)
      socket.on('error', () => undefined)
      socket.on('close', () => {
        sockets.delete(socket)
        other.destroy()
      })
    }
    client.on('data', (chunk) => {
      seen += chunk.length
      if (seen > (cuts[0] ?? Infinity)) {
        cuts.shift()
        client.destroy()
        upstream.destroy()
      }
    })
    client.pipe(upstream).pipe(client)
  })
  await new Promise<void>((listening) => server.listen(0, '127.0.0.1', listening))
  const address = server.address()
  const own = typeof address === 'object' && address ? address.port : 0
  return {
    url: `http://127.0.0.1:${own}`,
    seen: () => seen,
    async [Symbol.asyncDispose]() {
      for (const socket of sockets) socket.destroy()
      server.close()
    },
  }
}

describe.for(RUNNABLE)('a resumable upload (%s)', (wiring) => {
  let stack: Stack | null = null
  afterEach(async () => {
    await stack?.[Symbol.asyncDispose]()
    stack = null
  })
  const open = async (more: Record<string, string> = {}) => (stack = await openStack(wiring, { ...SMALL_PARTS, ...more }))

  test('becomes an image on its product, in one piece or in many', async () => {
    const { api, token } = await open()
    const product = await api.newProduct()
    const metadata = { filename: 'Vörn.png', filetype: 'image/png', product: product.split('/').at(-1) ?? '', label: 'Front' }
    const endpoint = `${api.url}/v1/tus`
    const ways = [{}, { chunkSize: 50_000 }, { uploadDataDuringCreation: true }]
    for (const [index, way] of ways.entries()) {
      const { id } = await send(await draw(index), { endpoint, token, metadata, ...way })
      const ingest = await api.finished(`/v1/ingests/${id}`)
      expect(ingest).toMatchObject({ state: 'committed', attempts: 1, file_name: 'Vörn.png' })
    }
    const { body } = await api.call('GET', `${product}/images`)
    const sizes = await Promise.all(ways.map(async (_, index) => (await draw(index)).length))
    expect(body['images'].map(({ label, file }: Json) => [label, file.bytes])).toEqual(sizes.map((size) => ['Front', size]))
  })

  test('goes on after killed connections from where it was, and nothing is sent a second time but what was on its way', async () => {
    const { api, token } = await open()
    const bytes = await draw(7)
    await using cutter = await openCutter(() => Number(new URL(api.url).port), [200_000, 500_000])
    const { id, offsets, retries } = await send(bytes, {
      endpoint: `${cutter.url}/v1/tus`,
      token,
      metadata: {},
      chunkSize: 300_000,
    })
    expect(retries).toBe(2)
    expect(offsets).toHaveLength(2)
    expect(offsets[0]).toBeGreaterThanOrEqual(64 * 1024)
    expect(offsets[1]).toBeGreaterThan(offsets[0] ?? 0)
    expect(await api.finished(`/v1/ingests/${id}`)).toMatchObject({ state: 'committed', bytes: bytes.length })
  })
})

describe('a resumable upload, on the wire', () => {
  const PROTOCOL = { 'tus-resumable': '1.0.0' }
  const OFFSET = { ...PROTOCOL, 'content-type': 'application/offset+octet-stream' }

  test('keeps to the protocol: options, expiry, offsets, lengths, termination', async () => {
    await using stack = await openStack('embedded', SMALL_PARTS)
    const { api } = stack
    const ask = (...given: Parameters<typeof api.send>) => api.send(...given)
    const options = await ask('OPTIONS', '/v1/tus')
    expect(options.headers.get('tus-extension')?.split(',')).toEqual([
      'creation',
      'creation-with-upload',
      'expiration',
      'termination',
    ])
    expect(options.headers.get('tus-max-size')).toBe(String(50 * 1024 * 1024))
    const bytes = await draw(3)
    const made = await ask('POST', '/v1/tus', { headers: { ...PROTOCOL, 'upload-length': String(bytes.length) } })
    expect([made.status, made.headers.get('upload-expires')]).toEqual([201, expect.stringContaining('GMT')])
    const location = made.headers.get('location') ?? ''
    expect(location.startsWith(`${stack.api.url}/v1/tus/`)).toBe(true)
    const patch = (offset: number, body: Uint8Array) =>
      ask('PATCH', location, { headers: { ...OFFSET, 'upload-offset': String(offset) }, body: Buffer.from(body) })
    expect((await patch(5, bytes.subarray(0, 10))).status).toBe(409)
    expect((await patch(0, Buffer.concat([bytes, bytes]))).status).toBe(413)
    expect((await patch(0, bytes.subarray(0, 10))).headers.get('upload-offset')).toBe('10')
    expect((await patch(0, bytes.subarray(0, 10))).status).toBe(409)
    const head = await ask('HEAD', location, { headers: PROTOCOL })
    expect([head.headers.get('upload-offset'), head.headers.get('upload-length')]).toEqual(['10', String(bytes.length)])
    expect((await ask('DELETE', location, { headers: PROTOCOL })).status).toBe(204)
    expect((await ask('HEAD', location, { headers: PROTOCOL })).status).toBe(410)
    expect((await patch(10, bytes.subarray(10))).status).toBe(410)
    expect((await ask('GET', location)).status).toBe(405)
  })

  test('is refused before a byte is sent when it cannot come to anything', async () => {
    await using stack = await openStack('embedded')
    const text = (value: string) => Buffer.from(value).toString('base64')
    const create = async (length: number, metadata = '', token?: string | null) => {
      const headers = { ...PROTOCOL, 'upload-length': String(length), ...(metadata && { 'upload-metadata': metadata }) }
      const answer = await stack.api.send('POST', '/v1/tus', { headers, ...(token !== undefined && { token }) })
      const body = await answer.text()
      return [answer.status, body.startsWith('{') ? (JSON.parse(body) as Json)['code'] : null]
    }
    expect(await create(10, '', null)).toEqual([401, 'token_missing'])
    expect(await create(10, '', 'wrong')).toEqual([401, 'token_invalid'])
    for (const method of ['OPTIONS', 'HEAD', 'PATCH', 'DELETE']) {
      const answer = await stack.api.send(method, `/v1/tus/${crypto.randomUUID()}`, { headers: PROTOCOL, token: null })
      expect([method, answer.status]).toEqual([method, 401])
    }
    expect(await create(50 * 1024 * 1024 + 1)).toEqual([413, null])
    expect(await create(0)).toEqual([422, 'file_empty'])
    expect(await create(10, `product ${text('sku:nobody')}`)).toEqual([404, 'product_unknown'])
    expect(await create(10, `filetype ${text('text/html')}`)).toEqual([415, 'media_type_unsupported'])
    expect(await create(10, `colour ${text('red')}`)).toEqual([400, 'request_invalid'])
    expect(await create(10, `sha256 ${text('abc')}`)).toEqual([400, 'request_invalid'])
  })
})

test('a resumable upload goes on at another intake when its own was killed', async () => {
  const token = 'tus-token-of-some-length'
  const variables = { ...(await environment()), ...SMALL_PARTS, SLUICE_BOOTSTRAP_TOKEN: token }
  const first = await up(variables, '--no-demo')
  const bytes = await draw(11)
  await using cutter = await openCutter(() => Number(new URL(first.api.url).port), [])
  const sending = send(bytes, {
    endpoint: `${cutter.url}/v1/tus`,
    token,
    metadata: { filename: 'front.png' },
    chunkSize: 70_000,
    retryDelays: Array.from({ length: 100 }, () => 300),
  })
  await vi.waitFor(() => expect(cutter.seen()).toBeGreaterThan(150_000), { timeout: 30_000, interval: 1 })
  first.process.child.kill('SIGKILL')
  await first.process.exit()
  const second = await up(variables, '--no-demo')
  const { id, offsets } = await sending
  expect(offsets.at(-1)).toBeGreaterThan(0)
  expect(await second.api.finished(`/v1/ingests/${id}`)).toMatchObject({ state: 'committed', bytes: bytes.length })
})
