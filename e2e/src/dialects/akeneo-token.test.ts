/** Akeneo's token endpoint. */
import postgres from 'postgres'
import { beforeEach, describe, expect, test } from 'vitest'
import { type Answer, answerOf, type Json } from '../api.ts'
import { openStack, type Stack } from '../stack.ts'
import { type Credentials, MEDIA_FILES, openPim, type Pim, refusal, said, TOKEN } from './akeneo.ts'

let stack: Stack
let pim: Pim

/** Guesses are counted by address, so each test has a server of its own. */
beforeEach(async () => {
  stack = await openStack('embedded')
  pim = await openPim(stack)
  return () => stack[Symbol.asyncDispose]()
})

const basic = ({ id, secret }: Pick<Credentials, 'id' | 'secret'>) => `Basic ${Buffer.from(`${id}:${secret}`).toString('base64')}`
const password = ({ name, secret }: Credentials) => ({ grant_type: 'password', username: name, password: secret })
const refresh = (token: string) => ({ grant_type: 'refresh_token', refresh_token: token })

async function ask(fields: Json | string, authorization: string | null, type = 'application/json'): Promise<Answer> {
  const isForm = type === 'application/x-www-form-urlencoded'
  const body = typeof fields === 'string' ? fields : isForm ? new URLSearchParams(fields).toString() : JSON.stringify(fields)
  const headers = { 'content-type': type, ...(authorization === null ? {} : { authorization }) }
  return answerOf(await stack.api.send('POST', TOKEN, { token: null, body, headers }))
}

async function granted(fields: Json, authorization: string, type?: string): Promise<Json> {
  const answer = await ask(fields, authorization, type)
  expect([answer.status, answer.body]).toEqual([200, answer.body])
  return answer.body
}

const statusWith = async (token: string, method = 'GET') =>
  (await stack.api.send(method, MEDIA_FILES, { token, ...(method === 'POST' && { headers: { 'content-type': 'x/y' } }) })).status

const CLIENT = 'Parameter "client_id" is missing or does not match any client, or secret is invalid'
const MISSING = 'Parameter "grant_type", "username" or "password" is missing, empty or invalid'
const USER = 'No user found for the given username and password'
const REFRESH = 'Refresh token is invalid or has expired'

describe('a token', () => {
  test.each(['application/json', 'application/x-www-form-urlencoded', 'application/json; charset=utf-8'])(
    'is granted for a client and a user, asked for as %s',
    async (type) => {
      const answer = await ask(password(pim.writer), basic(pim.reader), type)
      expect([answer.status, answer.headers.get('cache-control'), answer.headers.get('pragma')]).toEqual([
        200,
        'no-store',
        'no-cache',
      ])
      const { access_token, refresh_token } = answer.body
      expect(JSON.stringify(answer.body)).toBe(
        JSON.stringify({ access_token, expires_in: 3600, token_type: 'bearer', scope: null, refresh_token }),
      )
      expect(access_token).not.toBe(refresh_token)
      expect(await statusWith(access_token)).toBe(200)
    },
  )

  test('may be asked for with the client in the body', async () => {
    const { id, secret } = pim.writer
    expect((await ask({ ...password(pim.writer), client_id: id, client_secret: secret }, null)).status).toBe(200)
  })

  test('acts as the user, and not as the client', async () => {
    const asReader = await granted(password(pim.reader), basic(pim.writer))
    expect(await statusWith(asReader['access_token'], 'POST')).toBe(403)
    const asWriter = await granted(password(pim.writer), basic(pim.reader))
    expect(await statusWith(asWriter['access_token'], 'POST')).toBe(415)
  })

  test('is renewed with its refresh token, once', async () => {
    const first = await granted(password(pim.writer), basic(pim.writer))
    const second = await granted(refresh(first['refresh_token']), basic(pim.writer))
    expect(await statusWith(second['access_token'])).toBe(200)
    expect(said(await ask(refresh(first['refresh_token']), basic(pim.writer)))).toEqual(refusal(422, REFRESH))
    const answers = await Promise.all(Array.from({ length: 8 }, () => ask(refresh(second['refresh_token']), basic(pim.writer))))
    const refused = answers.filter(({ status }) => status !== 200)
    expect(refused.map(said)).toEqual(Array.from({ length: 7 }, () => refusal(422, REFRESH)))
  })

  test('ends with the token that it acts as', async () => {
    const { access_token, refresh_token } = await granted(password(pim.reader), basic(pim.writer))
    const sql = postgres(stack.databaseUrl, { max: 1 })
    await sql`update tokens set revoked_at = now() where id = ${pim.reader.id}`
    await sql.end()
    expect(await statusWith(access_token)).toBe(401)
    expect(said(await ask(refresh(refresh_token), basic(pim.writer)))).toEqual(refusal(422, REFRESH))
    expect(said(await ask(password(pim.reader), basic(pim.writer)))).toEqual(refusal(422, USER))
    expect(said(await ask(password(pim.writer), basic(pim.reader)))).toEqual(refusal(422, CLIENT))
  })
})

describe('a refusal', () => {
  test('422 for a client that is missing, unknown or of another secret', async () => {
    const { id, secret } = pim.writer
    const authorizations = [
      null,
      'Basic',
      'Basic ***',
      `Bearer ${secret}`,
      basic({ id, secret: pim.reader.secret }),
      basic({ id: pim.reader.id, secret }),
      basic({ id: 'x', secret }),
      basic({ id, secret: '' }),
      basic({ id: '', secret: '' }),
      basic({ id: `${id}\0`, secret: `${secret}\0` }),
    ]
    for (const authorization of authorizations)
      expect(said(await ask(password(pim.writer), authorization))).toEqual(refusal(422, CLIENT))
  })

  test('422 for a user that is unknown, of another password, or of another tenant', async () => {
    const { name, secret } = pim.reader
    const users = [
      { name: 'nobody', secret },
      { name, secret: 'wrong' },
      { name, secret: pim.writer.secret },
      { name: `${name}\0`, secret },
      pim.stranger,
    ]
    for (const user of users)
      expect(said(await ask(password({ id: '', ...user }), basic(pim.writer)))).toEqual(refusal(422, USER))
  })

  test('422 for what was issued in place of a secret: a token that could renew itself would never end', async () => {
    const { access_token, refresh_token } = await granted(password(pim.writer), basic(pim.writer))
    for (const secret of [access_token, refresh_token]) {
      expect(said(await ask(password(pim.writer), basic({ id: pim.writer.id, secret })))).toEqual(refusal(422, CLIENT))
      expect(said(await ask(password({ ...pim.writer, secret }), basic(pim.writer)))).toEqual(refusal(422, USER))
    }
    expect(said(await ask(refresh(access_token), basic(pim.writer)))).toEqual(refusal(422, REFRESH))
    expect(await statusWith(refresh_token)).toBe(401)
  })

  test("422 for another tenant's refresh token", async () => {
    const { refresh_token } = await granted(password(pim.stranger), basic(pim.stranger))
    expect(said(await ask(refresh(refresh_token), basic(pim.writer)))).toEqual(refusal(422, REFRESH))
  })

  test('422 for a grant that is missing or not known, and for one without its parameters', async () => {
    const client = basic(pim.writer)
    for (const body of ['', '{}', '[]', 'null', '"password"', '{"grant_type":7}', '{"grant_type":""}'])
      expect(said(await ask(body, client))).toEqual(refusal(422, MISSING))
    for (const left of ['username', 'password'])
      expect(said(await ask({ ...password(pim.writer), [left]: '' }, client))).toEqual(refusal(422, MISSING))
    expect(said(await ask(refresh(''), client))).toEqual(
      refusal(422, 'Parameter "grant_type" or "refresh_token" is missing or empty'),
    )
    for (const grant_type of ['client_credentials', 'implicit', '\0'])
      expect(said(await ask({ ...password(pim.writer), grant_type }, client))).toEqual(
        refusal(422, 'This grant type is not authorized for this client'),
      )
  })

  test('400 for what is no JSON, 413 for more than 300 bytes, 415 for another type', async () => {
    const client = basic(pim.writer)
    for (const body of ['{', '{"grant_type"', '\u0000', '{"__proto__":{}}'])
      expect(said(await ask(body, client))).toEqual(refusal(400, 'Invalid json message received'))
    const long = await ask({ ...password(pim.writer), more: 'x'.repeat(300) }, client)
    expect(said(long)).toEqual(refusal(413, 'The request is too large'))
    expect(said(await ask('<x/>', client, 'application/xml'))).toEqual(
      refusal(
        415,
        '"application/xml" in "Content-Type" header is not valid. Only "application/json" or "application/x-www-form-urlencoded" are allowed.',
      ),
    )
  })

  test('429 for who keeps guessing, and for good credentials from the same address as well', async () => {
    const statuses = new Set<number>()
    for (let n = 0; n < 30; n++)
      statuses.add((await ask(password(pim.writer), basic({ id: pim.writer.id, secret: `${n}` }))).status)
    expect([...statuses]).toEqual([422])
    const answer = await ask(password(pim.writer), basic(pim.writer))
    const waitSeconds = Number(answer.headers.get('retry-after'))
    expect(said(answer)).toEqual(refusal(429, `Too many requests. Try again in ${waitSeconds} seconds.`))
    expect(waitSeconds).toBeGreaterThan(0)
    expect(waitSeconds).toBeLessThanOrEqual(60)
    expect(await statusWith(pim.writer.secret)).toBe(200)
  })
})

test('what is secret stands in no log', async () => {
  const { access_token, refresh_token } = await granted(password(pim.writer), basic(pim.reader))
  await ask(password({ ...pim.writer, name: 'x' }), basic(pim.reader))
  for (const secret of [access_token, refresh_token, pim.writer.secret, pim.reader.secret])
    expect(stack.log()).not.toContain(secret)
})
