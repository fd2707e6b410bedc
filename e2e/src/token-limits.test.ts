import { randomUUID } from 'node:crypto'
import { once } from 'node:events'
import { type ClientRequest, request } from 'node:http'
import postgres from 'postgres'
import { afterEach, describe, expect, test, vi } from 'vitest'
import { hashToken } from '@sluice/core'
import { answerOf } from './api.ts'
import { openStack, type Stack } from './stack.ts'

let stack: Stack | undefined
afterEach(async () => stack?.[Symbol.asyncDispose]())

async function open(limits: Record<string, string>): Promise<Stack> {
  stack = await openStack('embedded', { SLUICE_GUEST_TENANT: 'default', ...limits })
  return stack
}

/** A token that shares its limits with nobody. */
async function newToken({ databaseUrl }: Stack): Promise<string> {
  const sql = postgres(databaseUrl, { max: 1 })
  const secret = randomUUID()
  try {
    await sql`
      insert into tokens (id, tenant_id, name, role, sha256, prefix)
      select ${randomUUID()}, id, 'shop', 'writer', ${hashToken(secret)}, 'x' from tenants where name = 'default'`
  } finally {
    await sql.end()
  }
  return secret
}

/** How each API says it. */
const WORDS = [
  ['/v1/products/sku:nothing', { type: 'about:blank', status: 429, code: 'rate_exceeded' }],
  ['/v1/tus/nothing', { type: 'about:blank', status: 429, code: 'rate_exceeded' }],
  ['/api/rest/v1/media-files', { code: 429, message: expect.stringContaining('requests per second') }],
  ['/v2/files', { errors: [{ status: 429, title: 'Too Many Requests' }] }],
  ['/pcm/hierarchies', { errors: [{ status: 429, title: 'Too Many Requests' }] }],
  ['/api/products/1/images/', { detail: 'Request was throttled.' }],
  ['/api/rest/products/1/images', { messages: { error: [{ code: 429 }] } }],
] as const

describe('one token', () => {
  test('that sends too much is told so in the words of the API, while others do not notice', async () => {
    const { api, log, ...rest } = await open({
      SLUICE_LIMIT_TOKEN_REQUESTS_PER_SECOND: '1',
      SLUICE_LIMIT_TOKEN_REQUESTS_BURST: '1',
    })
    for (const [path, words] of WORDS) {
      const token = await newToken({ api, log, ...rest })
      const headers = { accept: 'application/json' }
      const ask = async () => answerOf(await api.send(path.includes('tus') ? 'PATCH' : 'GET', path, { token, headers }))
      // A slow machine may have let the first wait for longer than it takes to be let through again.
      const refused = await vi.waitFor(
        async () => {
          const answers = await Promise.all([ask(), ask(), ask(), ask()])
          const answer = answers.find(({ status }) => status === 429)
          if (!answer) throw new Error(`${path}: ${answers.map(({ status }) => status).join()}`)
          return answer
        },
        { timeout: 30_000 },
      )
      expect(refused.body).toMatchObject(words)
      expect(refused.headers.get('retry-after')).toBe('1')
    }
    const other = await newToken({ api, log, ...rest })
    expect((await api.send('GET', '/v1/ingests', { token: other })).status).toBe(200)
    expect(log()).toContain('request.limited')
  })

  test('has only so many requests answered at the same time, and room again when one is over', async () => {
    const { api, ...rest } = await open({ SLUICE_LIMIT_TOKEN_REQUESTS_AT_ONCE_MAX: '2' })
    const token = await newToken({ api, ...rest })
    const status = async () => (await answerOf(await api.send('GET', '/v1/ingests', { token }))).status
    // Uploads whose bodies do not come. Who is told to go on has been let in.
    const product = await api.newProduct()
    const hold = async (): Promise<ClientRequest> => {
      const announced = { 'content-type': 'image/png', 'content-length': '1000', expect: '100-continue' }
      const headers = { authorization: `Bearer ${token}`, ...announced }
      const upload = request(new URL(`${product}/images`, api.url), { method: 'POST', headers }).on('error', () => undefined)
      await once(upload, 'continue')
      return upload
    }
    const held = [await hold(), await hold()]
    const refused = await answerOf(await api.send('GET', '/v1/ingests', { token }))
    expect(refused.status).toBe(429)
    expect(refused.body).toMatchObject({ code: 'rate_exceeded', detail: expect.stringContaining('at the same time') })
    expect(refused.headers.get('retry-after')).toBe('1')
    for (const upload of held) upload.destroy()
    await vi.waitFor(async () => expect(await status()).toBe(200), { timeout: 30_000 })
  })

  test('is limited by nothing at first that a busy client meets', async () => {
    const { api } = await open({})
    for (let round = 0; round < 10; round++) {
      const answers = await Promise.all(Array.from({ length: 50 }, () => api.send('GET', '/v1/products/sku:nothing')))
      expect(new Set(answers.map(({ status }) => status))).toEqual(new Set([404]))
      await Promise.all(answers.map((answer) => answer.text()))
    }
  })

  test('shows when it was last used', async () => {
    const { api, databaseUrl, ...rest } = await open({})
    const token = await newToken({ api, databaseUrl, ...rest })
    const sql = postgres(databaseUrl, { max: 1 })
    try {
      const lastUsed = async () =>
        (await sql`select last_used_at as used, last_used_at <= now() as past from tokens where sha256 = ${hashToken(token)}`)[0]
      expect(await lastUsed()).toMatchObject({ used: null })
      await (await api.send('GET', '/v1/ingests', { token })).text()
      await vi.waitFor(async () => expect(await lastUsed()).toMatchObject({ used: expect.any(Date), past: true }), {
        timeout: 30_000,
      })
    } finally {
      await sql.end()
    }
  })
})
