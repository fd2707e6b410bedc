/** Who sees what of OpenMage's images, who may change them, and how a request is signed. */
import { createHmac, createSign, generateKeyPairSync } from 'node:crypto'
import OAuth from 'oauth-1.0a'
import postgres from 'postgres'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { oauth1Credentials, type TokenId } from '@sluice/core'
import { errors, newImage, openShop, SECRET_KEY, type Sent, type Shop } from './openmage.ts'

let shop: Shop
beforeAll(async () => {
  shop = await openShop()
})
afterAll(async () => shop?.[Symbol.asyncDispose]())

const GUEST: Sent = { authorization: null }

describe('the kinds of user', () => {
  test('a guest and a customer see what the shop shows, in the default store view', async () => {
    const images = await shop.newProduct()
    const shown = await shop.addImage(images, { label: 'a', types: ['image'], position: 1 })
    const hidden = await shop.addImage(images, { exclude: 1, position: 2 })
    await shop.send('PUT', `${images}/${shown}/store/1`, { body: { label: 'in the first store view' } })
    await shop.send('PUT', `${images}/${shown}/store/2`, { body: { label: 'in the second' } })
    await shop.send('PUT', `${images}/${hidden}/store/2`, { body: { exclude: 0 } })

    const customer = { authorization: (await shop.addToken('reader')).bearer }
    for (const user of [GUEST, customer]) {
      for (const path of [images, `${images}/store/0`, `${images}/store/1`]) {
        const list = await shop.listOf(path, user)
        expect(list).toMatchObject([{ id: shown, label: 'in the first store view', position: 1, types: ['image'] }])
        expect(Object.keys(list[0] ?? {})).toEqual(['id', 'label', 'position', 'url', 'types'])
        expect((await fetch(list[0]?.['url'])).status).toBe(200)
      }
      expect(await shop.listOf(`${images}/store/2`, user)).toMatchObject([{ label: 'in the second' }, { id: hidden }])
      expect(await shop.send('GET', `${images}/${shown}`, user)).toMatchObject({ status: 200, body: { id: shown } })
      for (const image of [hidden, 999_999, 'x'])
        expect(await shop.send('GET', `${images}/${image}`, user)).toMatchObject({
          status: 404,
          body: errors([404, 'Resource not found.']),
        })
    }
    for (const image of [999_999, 'x'])
      expect((await shop.send('GET', `${images}/${image}`)).body['messages'].error.at(-1).code).toBe(404)
    expect((await shop.send('GET', `${images}/999999`)).body).toEqual(errors([404, 'Product image not found']))
    expect(await shop.listOf(images)).toHaveLength(2)
  })

  test('a guest sees no product that is not live, or not in the default store view', async () => {
    for (const fields of [{ status: 'draft' }, { websites: ['other'] }]) {
      const images = await shop.newProduct(fields)
      expect(await shop.send('GET', images, GUEST)).toMatchObject({ status: 404, body: errors([404, 'Resource not found.']) })
      expect(await shop.listOf(images)).toEqual([])
    }
  })

  test('only an admin changes anything', async () => {
    const images = await shop.newProduct()
    const image = await shop.addImage(images)
    const customer = { authorization: (await shop.addToken('reader')).bearer }
    for (const user of [GUEST, customer])
      for (const scope of ['', '/store/1'])
        for (const [method, path] of [
          ['POST', `${images}${scope}`],
          ['PUT', `${images}/${image}${scope}`],
          ['DELETE', `${images}/${image}${scope}`],
        ] as const) {
          const answer = await shop.send(method, path, { ...user, ...(method !== 'DELETE' && { body: await newImage() }) })
          expect([method, path, answer.status, answer.body]).toEqual([method, path, 403, errors([403, 'Access denied'])])
        }
    const writer = { authorization: (await shop.addToken('writer')).bearer }
    expect((await shop.send('PUT', `${images}/${image}`, { ...writer, body: { label: 'a' } })).status).toBe(200)
  })

  test('nobody comes in without a token where no tenant has guests', async () => {
    await using closed = await openShop({ SLUICE_GUEST_TENANT: '' })
    expect(await closed.send('GET', await closed.newProduct(), GUEST)).toMatchObject({
      status: 403,
      body: errors([403, 'Access denied']),
    })
    await using mistaken = await openShop({ SLUICE_GUEST_TENANT: 'nobody' })
    expect((await mistaken.send('GET', await mistaken.newProduct(), GUEST)).status).toBe(403)
  })
})

describe('a signed request', () => {
  const { publicKey, privateKey } = generateKeyPairSync('rsa', {
    modulusLength: 2048,
    publicKeyEncoding: { type: 'spki', format: 'pem' },
    privateKeyEncoding: { type: 'pkcs8', format: 'pem' },
  })

  const HASHES: Record<string, OAuth.HashFunction> = {
    'HMAC-SHA1': (base, key) => createHmac('sha1', key).update(base).digest('base64'),
    'RSA-SHA1': (base) => createSign('RSA-SHA1').update(base).sign(privateKey, 'base64'),
    PLAINTEXT: (_base, key) => key,
  }

  /** As the client of another author signs. */
  function sign(id: string, method: string, url: string, { algorithm = 'HMAC-SHA1', ...more }: Record<string, string> = {}) {
    const { consumerKey, consumerSecret, token, tokenSecret } = oauth1Credentials(SECRET_KEY, id as TokenId)
    const hash_function = HASHES[algorithm] ?? (() => 'x')
    const client = new OAuth({
      consumer: { key: consumerKey, secret: consumerSecret },
      signature_method: algorithm,
      hash_function,
    })
    const { at, ...wrong } = more
    if (at !== undefined) client.getTimeStamp = () => Number(at)
    return { ...client.authorize({ url, method }, { key: token, secret: tokenSecret }), ...wrong }
  }

  /** Without the parameters of the query, which the client adds to its own. */
  const headerOf = (parameters: object) =>
    `OAuth ${Object.entries(parameters)
      .filter(([name]) => name.startsWith('oauth_'))
      .map(([name, value]) => `${name}="${encodeURIComponent(String(value))}"`)
      .join(', ')}`
  const problem = (code: string) => errors([401, `oauth_problem=${code}`])

  let id: string
  let images: string
  let url: string
  beforeAll(async () => {
    ;({ id } = await shop.addToken('writer', { public_key: publicKey }))
    images = await shop.newProduct()
    url = new URL(images, shop.stack.api.url).href
  })

  test.each(Object.keys(HASHES))('with %s is taken', async (algorithm) => {
    const post = { authorization: headerOf(sign(id, 'POST', url, { algorithm })), body: await newImage() }
    expect((await shop.send('POST', images, post)).status).toBe(200)
    const query = '?attrs=id%2Clabel&b=%C3%A4%20%2B%20%27%28%2A%29~&a=2&a=1&empty='
    const get = { authorization: headerOf(sign(id, 'GET', url + query, { algorithm })) }
    expect(Object.keys((await shop.listOf(images + query, get))[0] ?? {})).toEqual(['id', 'label'])
  })

  test('of a reader is one of a customer', async () => {
    const reader = await shop.addToken('reader')
    const authorization = headerOf(sign(reader.id, 'POST', url))
    expect((await shop.send('POST', images, { authorization, body: await newImage() })).status).toBe(403)
  })

  test('counts once, also when it comes many times at once', async () => {
    const authorization = headerOf(sign(id, 'GET', url))
    const answers = await Promise.all(Array.from({ length: 16 }, () => shop.send('GET', images, { authorization })))
    const refused = answers.filter(({ status }) => status !== 200)
    expect(refused).toHaveLength(answers.length - 1)
    for (const { status, body } of refused) expect([status, body]).toEqual([401, problem('nonce_used')])
  })

  test('is not used up by who cannot sign it', async () => {
    const signed = sign(id, 'GET', url)
    const forged = { ...signed, oauth_signature: signed.oauth_signature.replace(/^./, (first) => (first === 'A' ? 'B' : 'A')) }
    expect((await shop.send('GET', images, { authorization: headerOf(forged) })).body).toEqual(problem('signature_invalid'))
    expect((await shop.send('GET', images, { authorization: headerOf(signed) })).status).toBe(200)
  })

  const now = () => Math.floor(Date.now() / 1000)
  test.each<[string, () => object, string]>([
    ['another method', () => sign(id, 'POST', url), 'signature_invalid'],
    ['another address', () => sign(id, 'GET', `${url}/store/1`), 'signature_invalid'],
    ['another query', () => sign(id, 'GET', `${url}?attrs=id`), 'signature_invalid'],
    [
      'a plain secret that is wrong',
      () => sign(id, 'GET', url, { algorithm: 'PLAINTEXT', oauth_signature: 'a&b' }),
      'signature_invalid',
    ],
    [
      'an RSA signature that is none',
      () => sign(id, 'GET', url, { algorithm: 'RSA-SHA1', oauth_signature: 'x' }),
      'signature_invalid',
    ],
    ['another algorithm', () => sign(id, 'GET', url, { algorithm: 'HMAC-SHA256' }), 'signature_method_rejected'],
    ['a consumer that does not exist', () => sign(crypto.randomUUID(), 'GET', url), 'consumer_key_rejected'],
    ['a consumer that is none', () => ({ ...sign(id, 'GET', url), oauth_consumer_key: "' or 1=1" }), 'consumer_key_rejected'],
    ['another token', () => ({ ...sign(id, 'GET', url), oauth_token: 'x' }), 'token_rejected'],
    ['a time too long ago', () => sign(id, 'GET', url, { at: `${now() - 700}` }), 'timestamp_refused'],
    ['a time too far ahead', () => sign(id, 'GET', url, { at: `${now() + 700}` }), 'timestamp_refused'],
    ['a time that is none', () => ({ ...sign(id, 'GET', url), oauth_timestamp: 'NaN' }), 'timestamp_refused'],
    ['another version', () => ({ ...sign(id, 'GET', url), oauth_version: '2.0' }), 'version_rejected'],
    ['no nonce', () => ({ ...sign(id, 'GET', url), oauth_nonce: '' }), 'parameter_absent&oauth_parameters_absent=oauth_nonce'],
    [
      'a nonce with NUL',
      () => ({ ...sign(id, 'GET', url), oauth_nonce: 'a\0' }),
      'parameter_rejected&oauth_parameters_rejected=oauth_nonce',
    ],
    [
      'an endless nonce',
      () => ({ ...sign(id, 'GET', url), oauth_nonce: 'a'.repeat(300) }),
      'parameter_rejected&oauth_parameters_rejected=oauth_nonce',
    ],
  ])('is refused with %s', async (_what, parameters, code) => {
    const { status, headers, body } = await shop.send('GET', images, { authorization: headerOf(parameters()) })
    expect([status, body]).toEqual([401, problem(code)])
    expect(headers.get('www-authenticate')).toBe('OAuth')
  })

  test.each([
    'OAuth',
    'OAuth ',
    'OAuth x',
    'OAuth oauth_nonce="%"',
    'OAuth oauth_nonce="a", oauth_nonce="b"',
    'Bearer',
    'Bearer wrong',
    'Basic YTpi',
    'x',
  ])('or any other with the header %j is refused', async (authorization) => {
    const { status, body } = await shop.send('GET', images, { authorization })
    expect([status, body['messages'].error[0].message]).toEqual([401, expect.stringMatching(/^oauth_problem=/)])
  })

  test('is void with its token, and knows RSA only for a token with a key', async () => {
    const other = await shop.addToken('writer')
    const rsa = headerOf(sign(other.id, 'GET', url, { algorithm: 'RSA-SHA1' }))
    expect((await shop.send('GET', images, { authorization: rsa })).body).toEqual(problem('signature_method_rejected'))
    expect((await shop.send('GET', images, { authorization: headerOf(sign(other.id, 'GET', url)) })).status).toBe(200)
    const sql = postgres(shop.stack.databaseUrl, { max: 1 })
    await sql`update tokens set revoked_at = now() where id = ${other.id}`
    await sql.end()
    expect((await shop.send('GET', images, { authorization: headerOf(sign(other.id, 'GET', url)) })).body).toEqual(
      problem('consumer_key_rejected'),
    )
  })

  test('is signed for the address that clients know', async () => {
    await using behind = await openShop({ SLUICE_PUBLIC_URL: 'https://Shop.example:443' })
    const writer = await behind.addToken('writer')
    const path = await behind.newProduct()
    await behind.addImage(path)
    const authorization = headerOf(sign(writer.id, 'GET', `https://shop.example${path}`))
    expect((await behind.listOf(path, { authorization }))[0]?.['url']).toMatch(/^https:\/\/shop\.example\/media\//i)
    const inside = headerOf(sign(writer.id, 'GET', new URL(path, behind.stack.api.url).href))
    expect((await behind.send('GET', path, { authorization: inside })).body).toEqual(problem('signature_invalid'))
  })

  test('counts once, whichever of several intakes hears it', async () => {
    const shared = { SLUICE_PUBLIC_URL: 'https://shop.example' }
    await using one = await openShop(shared)
    await using other = await openShop({ ...shared, SLUICE_DATABASE_URL: one.stack.databaseUrl })
    const path = await one.newProduct()
    const { id: signer } = await one.addToken('reader')
    for (const options of [{}, { algorithm: 'PLAINTEXT' }] as const) {
      const authorization = headerOf(sign(signer, 'GET', `https://shop.example${path}`, options))
      const answers = await Promise.all([one, other, one, other].map((intake) => intake.send('GET', path, { authorization })))
      expect(answers.map(({ status }) => status).toSorted((a, b) => a - b)).toEqual([200, 401, 401, 401])
    }
  })
})
