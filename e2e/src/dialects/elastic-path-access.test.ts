/** Who may ask Elastic Path's API for what. */
import { randomUUID } from 'node:crypto'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { answerOf } from '../api.ts'
import { openStack, type Stack } from '../stack.ts'
import { addToken, openShop, type Shop } from './elastic-path.ts'
import { as, errorOf, fileOf, mainImage } from './elastic-path-words.ts'

let stack: Stack
let shop: Shop
let reader: string

beforeAll(async () => {
  stack = await openStack('embedded')
  shop = openShop(stack)
  reader = await addToken(stack, 'reader')
})
afterAll(async () => stack?.[Symbol.asyncDispose]())

describe('POST /oauth/access_token', () => {
  const ask = async (fields: Record<string, string>, type = 'application/x-www-form-urlencoded') =>
    answerOf(
      await stack.api.send('POST', '/oauth/access_token', {
        token: null,
        headers: { 'content-type': type },
        body: type === 'application/json' ? JSON.stringify(fields) : new URLSearchParams(fields).toString(),
      }),
    )

  test('gives a short-lived token for the id and the secret of one of ours, from a form or from JSON', async () => {
    const credentials = { grant_type: 'client_credentials', client_id: await shop.clientId(), client_secret: stack.token }
    for (const type of ['application/x-www-form-urlencoded', 'application/json']) {
      const { status, headers, body } = await ask(credentials, type)
      expect([status, headers.get('cache-control')]).toEqual([200, 'no-store'])
      expect(body).toEqual({
        access_token: expect.any(String),
        token_type: 'Bearer',
        expires_in: 3600,
        expires: expect.any(Number),
        identifier: 'client_credentials',
      })
      const product = await shop.newProduct()
      expect((await shop.call('GET', mainImage(product), undefined, as(body['access_token']))).status).toBe(200)
      // What was issued buys nothing: it would never end.
      expect((await ask({ ...credentials, client_secret: body['access_token'] })).status).toBe(401)
    }
  })

  test('refuses who is no client', async () => {
    const client_id = await shop.clientId()
    const right = { grant_type: 'client_credentials', client_id, client_secret: stack.token }
    const unauthorized = { status: 401, title: 'Unauthorized' }
    expect(errorOf(await ask({ ...right, client_secret: 'wrong' }))).toEqual(unauthorized)
    expect(errorOf(await ask({ ...right, client_id: randomUUID() }))).toEqual(unauthorized)
    const bad = (detail: string) => ({ status: 400, title: 'Bad Request', detail })
    expect(errorOf(await ask({ grant_type: 'implicit', client_id }))).toEqual(
      bad('The grant type implicit is not offered: send client_credentials with client_id and client_secret'),
    )
    expect(errorOf(await ask({ ...right, grant_type: 'password' }))).toEqual(bad('grant_type: Must be "client_credentials".'))
    expect(errorOf(await ask({ grant_type: 'client_credentials', client_id }))).toEqual(bad('client_secret can not be empty'))
    expect(errorOf(await ask({}))).toEqual(bad('grant_type can not be empty'))
  })

  test('slows down who guesses', async () => {
    const guess = { grant_type: 'client_credentials', client_id: randomUUID(), client_secret: 'guess' }
    let answer = await ask(guess)
    for (let n = 0; n < 40 && answer.status === 401; n++) answer = await ask(guess)
    expect(errorOf(answer)).toEqual({ status: 429, title: 'Too Many Requests' })
    expect(Number(answer.headers.get('retry-after'))).toBeGreaterThan(0)
  })
})

describe('who asks', () => {
  const UNABLE = { status: 401, title: 'Unable to validate access token' }

  test('is told when the token is missing or unknown', async () => {
    const product = await shop.newProduct()
    for (const path of [mainImage(product), '/v2/files', '/pcm/products']) {
      expect(errorOf(await answerOf(await stack.api.send('GET', path, { token: null })))).toEqual(UNABLE)
      expect(errorOf(await answerOf(await stack.api.send('GET', path, { token: 'unknown' })))).toEqual(UNABLE)
    }
  })

  test('changes nothing with the token of a reader', async () => {
    const product = await shop.newProduct()
    const file = await shop.newFile()
    const detail = expect.stringContaining('needs a token with the role writer')
    const forbidden = { status: '403', title: 'Forbidden', detail }
    expect((await shop.call('GET', mainImage(product), undefined, as(reader))).status).toBe(200)
    expect(errorOf(await shop.call('POST', mainImage(product), fileOf(file), as(reader)))).toEqual(forbidden)
    expect(errorOf(await shop.call('DELETE', `/v2/files/${file}`, undefined, as(reader)))).toEqual({
      status: 403,
      title: 'Permission denied',
      detail,
    })
    expect((await shop.call('GET', `/v2/files/${file}`)).status).toBe(200)
  })
})
