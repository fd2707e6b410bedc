import { expect } from 'vitest'

export type Json = { readonly [key: string]: any }

export interface Answer {
  readonly status: number
  readonly headers: Headers
  readonly body: Json
}

/** What a client knows: an address, a token, and HTTP. */
export interface Api {
  readonly url: string
  send(method: string, path: string, init?: RequestInit & { token?: string | null }): Promise<Response>
  call(method: string, path: string, body?: object, headers?: Record<string, string>): Promise<Answer>
  /** A product of its own, by its address. */
  newProduct(): Promise<string>
  /** Brings an image by multipart and waits for the finished one. */
  addImage(product: string, image: Uint8Array, fields?: Record<string, string>, headers?: Record<string, string>): Promise<Answer>
  /** Follows an ingest until it is over. */
  finished(ingestPath: string): Promise<Json>
}

let products = 0

export function apiOf(url: string, token: string): Api {
  const send: Api['send'] = (method, path, { token: other, headers, ...init } = {}) => {
    const authorization = other === null ? {} : { authorization: `Bearer ${other ?? token}` }
    return fetch(new URL(path, url), { method, headers: { ...authorization, ...(headers as Record<string, string>) }, ...init })
  }
  const call: Api['call'] = async (method, path, body, headers = {}) => {
    const sent =
      body === undefined ? {} : { body: JSON.stringify(body), headers: { 'content-type': 'application/json', ...headers } }
    return answerOf(await send(method, path, { headers, ...sent }))
  }
  return {
    url,
    send,
    call,
    async newProduct() {
      products += 1
      const { status, headers } = await call('POST', '/v1/products', { sku: `sku-${process.pid}-${products}` })
      expect(status).toBe(201)
      return headers.get('location') ?? ''
    },
    async addImage(product, image, fields = {}, headers = {}) {
      const answer = await send('POST', `${product}/images`, {
        body: formOf(image, fields),
        headers: { prefer: 'wait=60', ...headers },
      })
      return answerOf(answer)
    },
    async finished(ingestPath) {
      // The stream of events ends when the ingest does.
      const events = await send('GET', `${ingestPath}/events`)
      expect(events.status).toBe(200)
      await events.text()
      return (await call('GET', ingestPath)).body
    },
  }
}

export async function answerOf(response: Response): Promise<Answer> {
  const text = await response.text()
  // An answer to HEAD is described, and has no body.
  const isJson = text !== '' && response.headers.get('content-type')?.includes('json')
  return { status: response.status, headers: response.headers, body: isJson ? (JSON.parse(text) as Json) : { text } }
}

/** A form as a browser sends it; `type` and `fileName` describe the file, the rest are fields. */
export function formOf(image: Uint8Array, { type, fileName, ...fields }: Record<string, string> = {}): FormData {
  const form = new FormData()
  for (const [name, value] of Object.entries(fields)) form.set(name, value)
  form.set('file', new Blob([Buffer.from(image)], { type: type ?? typeOf(image) }), fileName ?? 'photo.jpg')
  return form
}

/** By the first bytes: enough for images that tests have drawn. */
function typeOf(image: Uint8Array): string {
  const head = Buffer.from(image.subarray(0, 12)).toString('latin1')
  if (head.startsWith('\xff\xd8')) return 'image/jpeg'
  if (head.startsWith('\x89PNG')) return 'image/png'
  if (head.startsWith('GIF8')) return 'image/gif'
  if (head.startsWith('RIFF')) return 'image/webp'
  return 'image/avif'
}
