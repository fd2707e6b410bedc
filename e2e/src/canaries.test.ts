/** No secret is in any log, answer or row where it must not be, and no answer tells of the inside: by looking for secrets that can be recognised. */
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest'
import { oauth1Credentials, type TokenId } from '@sluice/core'
import { drawSample } from '@sluice/images/samples'
import type { Json } from './api.ts'
import { canary, type CanaryStack, openCanaries } from './canaries.ts'
import { openReceiver, type Receiver } from './receiver.ts'
import { RUNNABLE } from './stack.ts'

/** What a sender sent is kept as it came, for whoever looks into the inbox; an address must be kept until it was fetched. */
const KEPT = /of event|signature in an address/
const DEADLINE = { timeout: 60_000, interval: 100 }

describe.for(RUNNABLE)('secrets (%s)', (wiring) => {
  let stack: CanaryStack
  let receiver: Receiver
  let png: Buffer
  /** What was answered, with what was asked. */
  const answers: { readonly of: string; readonly text: string }[] = []
  const printed: string[] = []
  /** What nobody is ever told; what somebody is told once; and what may stand in a row as it is. */
  const never = new Map<string, string>()
  const once = new Map<string, string>()

  beforeAll(async () => {
    for (const stream of [process.stdout, process.stderr]) {
      const write = stream.write.bind(stream)
      vi.spyOn(stream, 'write').mockImplementation((chunk: string | Uint8Array, ...rest: unknown[]) => {
        printed.push(String(chunk))
        return write(chunk, ...(rest as []))
      })
    }
    png = await drawSample({ seed: 1, width: 24, height: 16, format: 'png' })
    receiver = await openReceiver()
    receiver.behave('/broken', (_, answer) => void answer.writeHead(500).end('no'))
    const soon = { SLUICE_LIMIT_WEBHOOK_RETRY_MS_MAX: '100', SLUICE_GUEST_TENANT: 'default', SLUICE_FETCH_ALLOW: receiver.host }
    stack = await openCanaries(wiring, soon)
    for (const [name, secret] of Object.entries(stack.secrets)) never.set(name, secret)
  })
  afterAll(async () => {
    vi.restoreAllMocks()
    await stack?.[Symbol.asyncDispose]()
    await receiver?.[Symbol.asyncDispose]()
  })

  function secret(kept: Map<string, string>, name: string, value = canary(name.replaceAll(' ', ''))): string {
    kept.set(name, value)
    return value
  }

  interface Asked extends Omit<RequestInit, 'headers'> {
    readonly headers?: Record<string, string>
    readonly origin?: string
  }

  async function ask(method: string, path: string, { origin = stack.url, headers = {}, ...init }: Asked = {}) {
    const authorization = headers['authorization'] ?? `Bearer ${stack.secrets['token']}`
    const answer = await fetch(new URL(path, origin), {
      method,
      redirect: 'manual',
      ...init,
      headers: { ...headers, ...(authorization && { authorization }) },
    })
    const text = await answer.text()
    const said = [...answer.headers].map(([name, value]) => `${name}: ${value}`).join('\n')
    answers.push({ of: `${method} ${path}`, text: `${answer.status}\n${said}\n\n${text}` })
    const isJson = answer.headers.get('content-type')?.includes('json') === true && text !== ''
    return { status: answer.status, headers: answer.headers, body: (isJson ? JSON.parse(text) : {}) as Json }
  }

  const json = (body: unknown, more: Record<string, string> = {}): Asked => ({
    body: JSON.stringify(body),
    headers: { 'content-type': 'application/json', ...more },
  })
  const form = (fields: Record<string, string>): Asked => ({ body: new URLSearchParams(fields) })
  async function made(method: string, path: string, asked?: Asked): Promise<Json> {
    const { status, body } = await ask(method, path, asked)
    expect([path, status < 300, body]).toEqual([path, true, body])
    return body
  }

  test('are given to where they belong', async () => {
    const { id: product } = await made('POST', '/v1/products', json({ sku: 'shirt' }))
    const image = await made('POST', `/v1/products/${product}/images`, {
      body: png,
      headers: { 'content-type': 'image/png', prefer: 'wait=60' },
    })
    expect(image['file'].media_type).toBe('image/png')
    const upload = await made('POST', '/v1/uploads', json({ bytes: png.length, media_type: 'image/png' }))
    const signature = new URL(upload['put'].url).searchParams.get('signature') ?? ''
    once.set('the signature of an upload', signature || (new URL(upload['put'].url).searchParams.get('X-Amz-Signature') ?? ''))
    const { 'content-length': _, ...headers } = upload['put'].headers
    await fetch(upload['put'].url, { method: 'PUT', body: new Uint8Array(png), headers })
    await made('POST', `/v1/uploads/${upload['id']}/complete`)
    const mapping = { product: { sku: '/sku' }, source: { url: '/url' } }
    const hook = { name: 'Shop', verifier: { kind: 's3' }, secrets: [secret(never, 'the secret of a source')], mapping }
    const { id: source } = await made('POST', '/v1/hook-sources', json(hook))
    for (const [index, token] of [hook.secrets[0], secret(never, 'a wrong secret of a source')].entries()) {
      const url = `https://user:${secret(never, `a password in the address of event ${index}`)}@example.com/a.png`
      await ask('POST', `/v1/hooks/${source}`, json({ sku: 'shirt', url }, { authorization: `Bearer ${token}` }))
    }
    const hooks = { url: receiver.url('/broken'), events: ['ingest.failed'] }
    const webhook = await made('POST', '/v1/webhooks', json(hooks))
    once.set('the secret of a webhook', webhook['secret'])
    await made('POST', `/v1/webhooks/${webhook['id']}/test`)
    await vi.waitFor(() => expect(receiver.received('/broken').length).toBeGreaterThan(0), DEADLINE)
  })

  test('are shown as they should be, and as they should not', async () => {
    const rows = await stack.rows()
    const tokenId = /tokens: \(([0-9a-f-]{36})/.exec(rows)?.[1] as TokenId
    const { consumerKey, consumerSecret, token, tokenSecret } = oauth1Credentials(stack.secrets['secretKey'] ?? '', tokenId)
    never.set('a consumer secret', consumerSecret)
    never.set('a token secret', tokenSecret)
    const signed = (signature: string) => {
      const now = Math.floor(Date.now() / 1_000)
      const fields = { oauth_consumer_key: consumerKey, oauth_token: token, oauth_signature_method: 'PLAINTEXT' }
      const all = { ...fields, oauth_signature: signature, oauth_timestamp: now, oauth_nonce: canary('nonce') }
      return `OAuth ${Object.entries(all)
        .map(([name, value]) => `${name}="${encodeURIComponent(value)}"`)
        .join(',')}`
    }
    const path = '/api/rest/products/1/images'
    const { status } = await ask('GET', path, { headers: { authorization: signed(`${consumerSecret}&${tokenSecret}`) } })
    expect(status).toBe(200)
    await ask('GET', path, { headers: { authorization: signed(secret(never, 'a wrong signature')) } })
    const client = { client_id: tokenId, client_secret: stack.secrets['token'] ?? '' }
    const issued = await made('POST', '/oauth/access_token', form({ grant_type: 'client_credentials', ...client }))
    once.set('an access token', issued['access_token'])
    const user = { grant_type: 'password', username: 'bootstrap', password: client.client_secret }
    const both = await made('POST', '/api/oauth/v1/token', json({ ...user, ...client }))
    once.set('another access token', both['access_token'])
    once.set('a refresh token', both['refresh_token'])
    for (const authorization of ['Bearer', 'Basic', 'Token', 'OAuth', 'Nothing']) {
      const wrong = secret(never, `a wrong token as ${authorization}`)
      for (const address of ['/v1/ingests', '/v2/files', '/api/rest/v1/media-files', path, '/api/products/1/images/'])
        await ask('GET', address, { headers: { authorization: `${authorization} ${wrong}` } })
    }
    await ask(
      'POST',
      '/oauth/access_token',
      form({ ...client, grant_type: 'client_credentials', client_secret: secret(never, 'a guess') }),
    )
    const guess = { ...user, ...client, password: secret(never, 'a wrong password') }
    await ask('POST', '/api/oauth/v1/token', json(guess))
    const origin = stack.consoleUrl
    const page = { origin: new URL(origin).origin, accept: 'text/html', authorization: '' }
    for (const typed of [client.client_secret, secret(never, 'a token typed wrongly')]) {
      const login = await ask('POST', '/login', { ...form({ token: typed }), headers: page, origin })
      const cookie = login.headers.getSetCookie()[0]?.split(';')[0]
      if (cookie) {
        once.set('a session', cookie.split('=')[1] ?? '')
        for (const address of ['/', '/queues/api/queues', '/metrics', '/nothing'])
          await ask('GET', address, { headers: { ...page, cookie }, origin })
      }
    }
  })

  test('in addresses to fetch or to send to are refused or kept for the worker', async () => {
    const password = secret(never, 'a password in an address')
    const url = `https://user:${password}@${receiver.host}/a.png`
    const { id: bulk } = await made('POST', '/v1/imports', json({}))
    const row = `${JSON.stringify({ sku: 'shirt', url })}\n`
    const asked: [string, Asked][] = [
      ['/v1/products/sku:shirt/images', json({ url }, { prefer: 'wait=30' })],
      ['/v1/files', json({ url }, { prefer: 'wait=30' })],
      ['/v1/webhooks', json({ url, events: ['ingest.failed'] })],
      ['/v2/files', form({ file_location: url })],
      [`/v1/imports/${bulk}/rows?first_line=1`, { body: row, headers: { 'content-type': 'application/x-ndjson' } }],
    ]
    for (const [path, given] of asked) await ask('POST', path, given)
    await ask('POST', `/v1/imports/${bulk}/plan`)
    for (const part of ['rows', 'plan', 'report']) await ask('GET', `/v1/imports/${bulk}/${part}`)
    // An address that is signed must be kept until it is fetched; whoever gave it may read it.
    const signed = `http://${receiver.host}/broken?X-Amz-Signature=${secret(once, 'the signature in an address')}`
    await ask('POST', '/v1/products/sku:shirt/images', json({ url: signed }))
    await vi.waitFor(() => expect(stack.log()).toContain('ingest.postponed'), DEADLINE)
  })

  const HOSTILE: readonly Asked[] = [
    {},
    { body: '{"sku": ', headers: { 'content-type': 'application/json' } },
    json({ sku: '\u0000', label: "'; drop table tokens; --", images: [1e308], data: { type: {} } }),
    { body: '<?xml version="1.0"?><!DOCTYPE a [<!ENTITY b "c">]><a>&b;</a>', headers: { 'content-type': 'text/xml' } },
    { body: 'no parts', headers: { 'content-type': 'multipart/form-data; boundary=x' } },
    { body: 'x', headers: { 'content-type': 'image/png' } },
  ]

  test(
    'are not told to whoever sends nonsense to any route, or asks while the database is away',
    { timeout: 300_000 },
    async () => {
      const values = ["'; select 1 --", '%00', '00000000-0000-7000-8000-000000000000', '99999999999999999999']
      const nonsense = async (asked: readonly Asked[], parameters: readonly string[]) => {
        for (const { method, url, origin } of stack.routes) {
          for (const value of url.includes(':') ? parameters : ['']) {
            const path = url.replace(/:\w+|\*/g, value.startsWith('%') ? value : encodeURIComponent(value))
            for (const given of method === 'GET' || method === 'HEAD' ? asked.slice(0, 1) : asked)
              await ask(method, `${path}?limit=x%27&before=x`, { ...given, origin }).catch(() => undefined)
          }
        }
      }
      await nonsense(HOSTILE, values.slice(0, 1))
      await nonsense(HOSTILE.slice(0, 1), values)
      const before = answers.length
      {
        await using _ = await stack.databaseDown()
        await nonsense([{}], values.slice(2, 3))
      }
      expect(answers.slice(before).filter(({ text }) => text.startsWith('503')).length).toBeGreaterThan(100)
      await vi.waitFor(async () => expect((await ask('GET', '/v1/ingests')).status).toBe(200), DEADLINE)
    },
  )

  test('are in no line of any log', () => {
    const log = stack.log()
    expect(log.split('\n').length).toBeGreaterThan(100)
    expect(log).toContain('"level":"error"')
    for (const [name, value] of [...never, ...once]) {
      expect([name, value.length > 15]).toEqual([name, true])
      for (const text of spellings(value)) {
        expect([name, lineWith(log, text)]).toEqual([name, null])
        expect([name, lineWith(printed.join(''), text)]).toEqual([name, null])
      }
    }
  })

  test('are in no answer but the one that gives them, and none tells of the inside', () => {
    for (const [name, value] of never) for (const { of, text } of answers) expect(text.includes(value) && [name, of]).toBe(false)
    // An address that was given is shown to whoever gave it.
    for (const [name, value] of [...once].filter(([of]) => !KEPT.test(of)))
      expect([name, answers.filter(({ text }) => text.includes(value)).length]).toEqual([name, 1])
    const inside =
      /\n\s+at .+:\d+|node_modules|\.ts:\d+|insert into |select .+ from |Failed query|violates|relation "|ECONN|postgres/i
    for (const { of, text } of answers.filter((answer) => !answer.of.includes('/docs') && !answer.of.includes('/queues')))
      expect([of, inside.exec(text)?.[0]]).toEqual([of, undefined])
  })

  test('are in no row as they are', async () => {
    const rows = await stack.rows()
    expect(rows).toContain('shirt')
    expect(rows).toMatch(/bull:|bullmq/)
    for (const [name, value] of [...never, ...once].filter(([of]) => !KEPT.test(of)))
      for (const text of spellings(value)) expect([name, lineWith(rows, text)]).toEqual([name, null])
  })
})

function spellings(value: string): readonly string[] {
  return [value, Buffer.from(value).toString('base64').slice(0, 20), Buffer.from(value).toString('hex')]
}

function lineWith(text: string, part: string): string | null {
  return text.split('\n').find((line) => line.includes(part)) ?? null
}
