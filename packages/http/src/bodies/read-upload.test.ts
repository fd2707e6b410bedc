import { createServer, type IncomingMessage, type Server } from 'node:http'
import { type AddressInfo, connect } from 'node:net'
import { once } from 'node:events'
import { afterEach, describe, expect, it, vi } from 'vitest'
import { SluiceError } from '@sluice/core'
import { readUpload } from './read-upload.ts'
import type { StageBytes } from './staging.ts'
import { FORM, type Kept, LIMITS, memoryStage, read } from './testing.ts'

const MULTIPART = { 'content-type': 'multipart/form-data; boundary=b' }
const OPENED = '--b\r\nContent-Disposition: form-data; name="file"; filename="x"\r\n\r\nBYTES'
const BEGINNINGS = [
  ['multipart', MULTIPART, OPENED],
  ['JSON', { 'content-type': 'application/json' }, '{"file":{"base64":"QUJD'],
  ['raw', { 'content-type': 'image/png' }, 'BYTES'],
] as const

describe('readUpload', () => {
  it('takes the body itself for the file, with its declared type', async () => {
    const { body } = await read([Buffer.from('BYTES')], { 'content-type': 'Image/JPG; q=1' })
    expect(body).toMatchObject({
      staged: { declaredType: 'image/jpeg', fileName: null, content: Buffer.from('BYTES') },
      fields: {},
    })
    expect((await read([Buffer.alloc(LIMITS.fileBytesMax + 1)], { 'content-type': 'image/png' })).code).toBe('file_too_large')
  })

  it.each([
    'text/plain',
    'multipart/form-datax; boundary=b',
    'multipart/mixed; boundary=b',
    'application/jsonp',
    '',
    'application/octet-stream',
  ])('refuses the Content-Type %j and says which it takes', async (type) => {
    const { code, error } = await read([Buffer.from('x')], type === '' ? {} : { 'content-type': type })
    expect(code).toBe('content_type_unsupported')
    expect(SluiceError.is(error) && error.details).toEqual({ accepted: ['multipart/form-data', 'application/json', 'image/*'] })
  })

  it('takes only what the form says', async () => {
    const none = { filePart: null, base64: null, raw: false }
    for (const [, headers] of BEGINNINGS) {
      expect((await read([Buffer.from('x')], headers, { form: none })).code).toBe('content_type_unsupported')
    }
  })

  it('refuses a body that is encoded', async () => {
    for (const coding of ['gzip', 'br', 'identity, gzip']) {
      expect((await read([Buffer.from('x')], { 'content-type': 'image/png', 'content-encoding': coding })).code).toBe(
        'content_type_unsupported',
      )
    }
    expect((await read([Buffer.from('x')], { 'content-type': 'image/png', 'content-encoding': 'identity' })).code).toBeNull()
  })

  it.each(BEGINNINGS)('refuses a %s body by its Content-Length before it reads a byte of it', async (_, headers) => {
    const { code, ledger } = await read([Buffer.from('x')], { ...headers, 'content-length': '1000000' })
    expect(code).toBe('file_too_large')
    expect(ledger).toEqual({ staged: 0, discarded: 0, failed: 0 })
  })

  it.each(BEGINNINGS)('stops a %s body that stands still when the signal is aborted', async (_, headers, beginning) => {
    const stop = new AbortController()
    const silent = (async function* () {
      yield Buffer.from(beginning)
      stop.abort(new DOMException('late', 'TimeoutError'))
      await new Promise(() => {})
    })()
    const { code, ledger } = await read(silent, headers, { signal: stop.signal })
    expect(code).toBe('request_timeout')
    expect(ledger.staged).toBe(0)
    expect(ledger.failed).toBe(1)
  })

  it.each(BEGINNINGS)(
    'reports the fault of the store when it fails in the middle of a %s body',
    async (_, headers, beginning) => {
      const silent = (async function* () {
        yield Buffer.from(beginning)
        await new Promise(() => {})
      })()
      const stage: StageBytes<Kept> = async (bytes) => {
        for await (const _chunk of bytes) throw new SluiceError('storage_full')
        throw new Error('there were no bytes')
      }
      expect((await read(silent, headers, { stage })).code).toBe('storage_full')
    },
  )

  it.each(BEGINNINGS)('reports the fault of the client when the store wraps it, for a %s body', async (_, headers, beginning) => {
    const broken = (async function* () {
      yield Buffer.from(beginning)
      throw new Error('aborted')
    })()
    const stage: StageBytes<Kept> = async (bytes) => {
      try {
        for await (const _chunk of bytes) await Promise.resolve()
      } catch (cause) {
        throw new SluiceError('service_unavailable', undefined, { cause })
      }
      throw new Error('the bytes ended')
    }
    expect((await read(broken, headers, { stage })).code).toBe('request_aborted')
  })
})

describe('readUpload on a server', () => {
  const servers: Server[] = []
  afterEach(() => {
    for (const server of servers.splice(0)) {
      server.closeAllConnections()
      server.close()
    }
  })

  async function serve(limits = LIMITS) {
    const { stage, ledger } = memoryStage(limits.fileBytesMax)
    const codes: string[] = []
    const server = createServer((request: IncomingMessage, response) => {
      const answer = (status: number, text: string) => {
        codes.push(text)
        response.writeHead(status).end(text)
      }
      void readUpload(request, { stage, limits, signal: new AbortController().signal, form: FORM }).then(
        ({ staged }) => answer(200, `${staged?.content.length}`),
        (error: unknown) =>
          answer(SluiceError.is(error) ? error.status : 500, SluiceError.is(error) ? error.code : String(error)),
      )
    })
    servers.push(server.listen(0, '127.0.0.1'))
    await once(server, 'listening')
    return { port: (server.address() as AddressInfo).port, ledger, codes }
  }

  function post(
    port: number,
    headers: Record<string, string>,
    body: FormData | string | Uint8Array<ArrayBuffer>,
  ): Promise<Response> {
    return fetch(`http://127.0.0.1:${port}/`, { method: 'POST', headers, body })
  }

  it('takes what fetch sends', async () => {
    const { port } = await serve()
    const form = new FormData()
    form.append('file', new Blob([Buffer.alloc(50_000)]))
    form.append('label', 'x')
    expect(await (await post(port, {}, form)).text()).toBe('50000')
    const base64 = JSON.stringify({ file: { base64: Buffer.alloc(50_000).toString('base64') } })
    expect(await (await post(port, { 'content-type': 'application/json' }, base64)).text()).toBe('50000')
    expect(await (await post(port, { 'content-type': 'image/png' }, Buffer.alloc(50_000))).text()).toBe('50000')
  })

  it('lets a client that is still sending read why it was refused, and keeps the connection', async () => {
    const { port } = await serve({ ...LIMITS, fileBytesMax: 1 << 20 })
    const socket = connect(port, '127.0.0.1')
    const answers: string[] = []
    socket.setEncoding('utf8').on('data', (text: string) => answers.push(text))
    socket.write(`POST / HTTP/1.1\r\nHost: x\r\nContent-Type: image/png\r\nContent-Length: ${(1 << 20) + 1}\r\n\r\n`)
    await vi.waitFor(() => expect(answers.join('')).toContain('file_too_large'))
    socket.write(Buffer.alloc((1 << 20) + 1))
    socket.write('POST / HTTP/1.1\r\nHost: x\r\nContent-Type: image/png\r\nContent-Length: 5\r\n\r\nBYTES')
    await vi.waitFor(() => expect(answers.join('')).toContain('200 OK'))
    socket.destroy()
  })

  it('does not let a refused client send for ever', async () => {
    const { port } = await serve()
    const socket = connect(port, '127.0.0.1')
    let text = ''
    socket.setEncoding('utf8').on('data', (piece: string) => (text += piece))
    socket.on('error', () => undefined)
    const closed = new Promise((resolve) => socket.once('close', resolve))
    socket.write(`POST / HTTP/1.1\r\nHost: x\r\nContent-Type: image/png\r\nContent-Length: ${2 ** 40}\r\n\r\n`)
    await vi.waitFor(() => expect(text).toContain('413'))
    const flood = () => {
      if (!socket.destroyed) socket.write(Buffer.alloc(16_384), () => setImmediate(flood))
    }
    flood()
    await closed
    expect(socket.bytesWritten).toBeLessThan(64 * 2 ** 20)
  })

  it.each(BEGINNINGS)('keeps nothing of a %s body whose client goes away', async (_, headers, beginning) => {
    const { port, ledger, codes } = await serve()
    const socket = connect(port, '127.0.0.1')
    socket.write(
      `POST / HTTP/1.1\r\nHost: x\r\nContent-Type: ${headers['content-type']}\r\nContent-Length: 5000\r\n\r\n${beginning}`,
    )
    await once(socket, 'connect')
    await vi.waitFor(() => expect(socket.writableLength).toBe(0))
    socket.resetAndDestroy()
    await vi.waitFor(() => expect(codes).toEqual(['request_aborted']))
    expect(ledger.staged).toBe(0)
  })
})
