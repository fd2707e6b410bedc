/** What addresses in answers are made of, and what a request may call us. */
import { once } from 'node:events'
import { connect } from 'node:net'
import { text } from 'node:stream/consumers'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { drawSample } from '@sluice/images/samples'
import { openStack, type Stack } from '../stack.ts'

let stack: Stack
let product: number
beforeAll(async () => {
  stack = await openStack('embedded')
  const path = await stack.api.newProduct()
  await stack.api.addImage(path, await drawSample({ seed: 1, width: 24, height: 16, format: 'png' }))
  product = (await stack.api.call('GET', path)).body['number']
})
afterAll(async () => stack?.[Symbol.asyncDispose]())

interface Heard {
  readonly status: number
  readonly head: string
  readonly body: string
}

/** Writes the lines as they are: clients of HTTP would mend them. */
async function say({ api, token }: Stack, line: string, ...headers: readonly string[]): Promise<Heard> {
  const { hostname, port } = new URL(api.url)
  const socket = connect(Number(port), hostname)
  await once(socket, 'connect')
  socket.write(
    [line, `authorization: Bearer ${token}`, 'accept: application/json', 'connection: close', ...headers, '', ''].join('\r\n'),
  )
  const [head = '', body = ''] = (await text(socket)).split('\r\n\r\n', 2)
  return { status: Number(head.split(' ')[1]), head: head.toLowerCase(), body }
}

const LISTS = ['/v2/files', '/api/rest/v1/media-files', '/api/products/:p/images', '/api/rest/products/:p/images'] as const
const lists = () => LISTS.map((path) => path.replace(':p', String(product)))

describe('addresses in answers', () => {
  test('have the host that the client has called, and not what a proxy is said to have been called', async () => {
    for (const path of lists()) {
      for (const host of ['shop.example', 'shop_intake:8080', '[::1]:80', '10.0.0.1']) {
        const forwarded = ['x-forwarded-host: evil.example', 'x-forwarded-proto: https', 'forwarded: host=evil.example']
        const { status, body } = await say(stack, `GET ${path} HTTP/1.1`, `host: ${host}`, ...forwarded)
        expect([path, status]).toEqual([path, 200])
        expect(body).toContain(`http://${host}/`)
        expect(body).not.toContain('evil')
      }
    }
  })

  test('have SLUICE_PUBLIC_URL, whatever the client has called', async () => {
    await using own = await openStack('embedded', { SLUICE_PUBLIC_URL: 'https://images.example' })
    for (const host of ['host: evil.example', 'host: 127.0.0.1']) {
      const { status, body } = await say(own, 'GET /v2/files HTTP/1.1', host)
      expect([status, JSON.parse(body).links.self]).toEqual([
        200,
        'https://images.example/v2/files?page[offset]=0&page[limit]=25',
      ])
    }
    expect((await say(own, 'GET /v2/files HTTP/1.0')).status).toBe(200)
    expect((await say(own, 'GET /v2/files HTTP/1.1', 'host: no host')).status).toBe(400)
  })

  test('of images may be shown on pages of any site', async () => {
    const { body } = await say(stack, `GET /api/products/${product}/images HTTP/1.1`, 'host: 127.0.0.1')
    const { pathname } = new URL(JSON.parse(body).results[0].f)
    const { headers } = await stack.api.send('GET', pathname, { token: null })
    expect([headers.get('cross-origin-resource-policy'), headers.get('x-content-type-options')]).toEqual([
      'cross-origin',
      'nosniff',
    ])
  })
})

describe('a request', () => {
  const ABSURD = [
    '',
    'a b',
    '"><script>',
    'user@evil',
    'evil/path',
    'evil?',
    'x:99999',
    'x:',
    'x:abc',
    '[::1',
    '[zz]',
    'a,b',
    'ü',
  ]

  test.each(ABSURD)('is refused where it calls us "%s"', async (host) => {
    for (const path of lists()) {
      const { status, head, body } = await say(stack, `GET ${path} HTTP/1.1`, `host: ${host}`)
      expect([path, status]).toEqual([path, 400])
      // In the words of the dialect.
      expect(head).not.toContain('problem+json')
      expect(body).not.toContain('script')
    }
  })

  test('is refused where it calls us two things, or nothing', async () => {
    expect((await say(stack, 'GET /v2/files HTTP/1.1', 'host: a', 'host: b')).status).toBe(400)
    expect((await say(stack, 'GET /v2/files HTTP/1.0')).status).toBe(400)
  })

  test('may have a whole address where a path would do', async () => {
    for (const path of lists()) {
      const { status, body } = await say(stack, `GET http://other.example${path} HTTP/1.1`, 'host: shop.example')
      expect([path, status]).toEqual([path, 200])
      expect(body).not.toContain('other.example')
    }
    const unknown = await say(stack, 'GET http://other.example/v2/nothing HTTP/1.1', 'host: shop.example')
    expect(JSON.parse(unknown.body)).toEqual({ errors: [expect.objectContaining({ title: 'Resource Not Found' })] })
    expect((await say(stack, 'GET http://other.example HTTP/1.1', 'host: shop.example')).status).toBe(404)
  })
})
