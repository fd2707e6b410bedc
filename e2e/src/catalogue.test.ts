import { randomUUID } from 'node:crypto'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { createToken, defaultTenant } from '@sluice/runtime'
import { openDatabase } from '@sluice/database'
import type { Answer, Json } from './api.ts'
import { answerOf } from './api.ts'
import { openStack, type Stack } from './stack.ts'

let stack: Stack
let writer: string
beforeAll(async () => {
  stack = await openStack('embedded')
  await using database = await openDatabase({ url: stack.databaseUrl, poolMax: 1, applicationName: 'test' })
  const token = { name: 'writer', role: 'writer', expiresAt: null } as const
  writer = (await createToken(database, await defaultTenant(database), token)).secret
})
afterAll(async () => stack?.[Symbol.asyncDispose]())

const call = (method: string, path: string, body?: object) => stack.api.call(method, path, body)

async function callAsWriter(method: string, path: string, body: object): Promise<Answer> {
  const headers = { 'content-type': 'application/json' }
  return answerOf(await stack.api.send(method, path, { token: writer, headers, body: JSON.stringify(body) }))
}

const newSku = () => `sku-${randomUUID()}`

describe('products', () => {
  test('are plain unless it is said otherwise', async () => {
    const { body } = await call('POST', '/v1/products', { sku: newSku() })
    const plain = { kind: 'product', status: 'live', owner: 'store', websites: null, accepts_images: true, title: null }
    expect(body).toMatchObject(plain)
    expect((await call('GET', `/v1/products/${body['id']}`)).body).toEqual(body)
  })

  test('tell what was said of them', async () => {
    const given = { kind: 'product', status: 'draft', owner: 'organization', websites: ['eu'], accepts_images: false, title: 'A' }
    const { status, body } = await call('POST', '/v1/products', { sku: newSku(), ...given })
    expect(status).toBe(201)
    expect(body).toMatchObject(given)
  })

  test('and models may share a code, and each is found by its own', async () => {
    const code = newSku()
    const product = await call('POST', '/v1/products', { sku: code })
    const model = await call('POST', '/v1/products', { sku: code, kind: 'model' })
    expect((await call('GET', `/v1/products/sku:${code}`)).body).toEqual(product.body)
    expect((await call('GET', `/v1/products/model:${code}`)).body).toEqual(model.body)
    expect((await call('GET', `/v1/products/model:${code}/images`)).body).toEqual({ version: 1, images: [] })
    expect((await call('GET', `/v1/products/model:${newSku()}`)).status).toBe(404)
    expect((await call('POST', '/v1/products', { sku: code, kind: 'model' })).body['code']).toBe('sku_taken')
  })

  test('change in what is named', async () => {
    const { body: made } = await call('POST', '/v1/products', { sku: newSku(), title: 'Chair', websites: ['eu'] })
    const path = `/v1/products/sku:${made['sku']}`
    let expected: Json = made
    for (const change of [{ title: 'Stool', status: 'draft' }, { websites: null }, { accepts_images: false, title: null }]) {
      const { status, body } = await call('PATCH', path, change)
      expect(status).toBe(200)
      expected = Object.assign({}, expected, change, { updated_at: body['updated_at'] })
      expect(body).toEqual(expected)
      expect((await call('GET', path)).body).toEqual(expected)
    }
  })

  test('take no nonsense', async () => {
    const { body: made } = await call('POST', '/v1/products', { sku: newSku() })
    const nonsense = [
      {},
      { sku: 'new' },
      { kind: 'model' },
      { status: 'hidden' },
      { owner: 'me' },
      { websites: ['a b'] },
      { websites: ['a', 'a'] },
      { accepts_images: 'yes' },
      { title: 'a\0b' },
      { title: 7 },
      { extra: {} },
    ]
    for (const change of nonsense) {
      const { status, body } = await call('PATCH', `/v1/products/${made['id']}`, change)
      expect([change, status, body['code']]).toEqual([change, 400, 'request_invalid'])
    }
    expect((await call('PATCH', `/v1/products/${randomUUID()}`, { title: 'x' })).body['code']).toBe('product_unknown')
    expect((await call('GET', `/v1/products/${made['id']}`)).body).toEqual(made)
  })

  test('are given to the organization, and taken from it, by administrators only', async () => {
    const refused = await callAsWriter('POST', '/v1/products', { sku: newSku(), owner: 'organization' })
    expect([refused.status, refused.body['code']]).toEqual([403, 'access_forbidden'])
    const { status, body } = await callAsWriter('POST', '/v1/products', { sku: newSku() })
    expect([status, body['owner']]).toEqual([201, 'store'])
    const path = `/v1/products/${body['id']}`
    expect((await callAsWriter('PATCH', path, { title: 'x' })).status).toBe(200)
    expect((await callAsWriter('PATCH', path, { owner: 'organization' })).body['code']).toBe('access_forbidden')
    expect((await call('PATCH', path, { owner: 'organization' })).body['owner']).toBe('organization')
    expect((await callAsWriter('PATCH', path, { title: 'y', owner: 'store' })).body['code']).toBe('access_forbidden')
    for (const change of [{ title: 'y' }, { owner: 'organization', title: 'y' }]) {
      const answer = await call('PATCH', path, change)
      expect([answer.status, answer.body['code']]).toEqual([403, 'owned_by_organization'])
    }
    expect((await call('PATCH', path, { title: 'y', owner: 'store' })).body).toMatchObject({ title: 'y', owner: 'store' })
  })
})

describe('attributes, channels and store views', () => {
  const attribute = { allowed_extensions: ['jpg'], file_bytes_max: 5000, scopable: true, localizable: true, role: 'thumbnail' }
  const kinds = [
    [
      'attributes',
      attribute,
      { allowed_extensions: null, file_bytes_max: null, scopable: false, localizable: false, role: null },
    ],
    ['channels', { locales: ['en_US', 'fr_FR'] }, { locales: [] }],
  ] as const

  test.each(kinds)('%s are what was put last, until they are removed', async (kind, first, second) => {
    const code = `c-${randomUUID()}`
    const path = `/v1/${kind}/${code}`
    expect((await call('GET', path)).status).toBe(404)
    for (const body of [first, second]) {
      const put = await call('PUT', path, body)
      expect([put.status, put.body]).toEqual([200, { code, ...body }])
      expect((await call('GET', path)).body).toEqual({ code, ...body })
      expect((await call('GET', `/v1/${kind}`)).body['items']).toContainEqual({ code, ...body })
    }
    expect((await call('DELETE', path)).status).toBe(204)
    expect((await call('DELETE', path)).status).toBe(204)
    expect((await call('GET', path)).status).toBe(404)
  })

  test('an attribute allows everything unless it is said otherwise', async () => {
    const { body } = await call('PUT', '/v1/attributes/plain', {})
    expect(body).toEqual({ code: 'plain', ...kinds[0][2] })
  })

  test('an attribute has a role that images may have, or none', async () => {
    const { status, body } = await call('PUT', '/v1/attributes/odd', { role: 'hero' })
    expect([status, body['code']]).toEqual([422, 'role_unknown'])
    expect((await call('GET', '/v1/attributes/odd')).body['code']).toBe('attribute_unknown')
  })

  test('store views get a number and keep it', async () => {
    const german = (await call('PUT', '/v1/stores/german', { name: 'German', website: 'eu' })).body
    const french = (await call('PUT', '/v1/stores/french', { name: 'French', website: 'eu' })).body
    expect([german, french]).toMatchObject([{ code: 'german' }, { code: 'french', number: german['number'] + 1 }])
    const renamed = (await call('PUT', '/v1/stores/german', { name: 'Deutsch', website: 'de' })).body
    expect(renamed).toEqual({ number: german['number'], code: 'german', name: 'Deutsch', website: 'de' })
    expect((await call('GET', '/v1/stores/german')).body).toEqual(renamed)
    expect((await call('GET', '/v1/stores')).body['items']).toEqual(expect.arrayContaining([renamed, french]))
    expect((await call('GET', '/v1/stores/none')).body['code']).toBe('store_unknown')
    expect((await call('DELETE', '/v1/stores/german')).status).toBe(405)
  })

  test('take no nonsense', async () => {
    const nonsense = [
      ['/v1/attributes/a%20b', {}],
      [`/v1/attributes/${'a'.repeat(101)}`, {}],
      ['/v1/attributes/a%00b', {}],
      ['/v1/attributes/a', { allowed_extensions: ['.jpg'] }],
      ['/v1/attributes/a', { allowed_extensions: ['JPG'] }],
      ['/v1/attributes/a', { file_bytes_max: 0 }],
      ['/v1/attributes/a', { file_bytes_max: 1e300 }],
      ['/v1/attributes/a', { scopable: 'yes' }],
      ['/v1/attributes/a', { code: 'b' }],
      ['/v1/channels/a', {}],
      ['/v1/channels/a', { locales: 'en_US' }],
      ['/v1/channels/a', { locales: ['en US'] }],
      ['/v1/stores/a', { name: '', website: 'eu' }],
      ['/v1/stores/a', { name: 'A' }],
    ] as const
    for (const [path, body] of nonsense) {
      const answer = await call('PUT', path, body)
      expect([path, body, answer.status, answer.body['code']]).toEqual([path, body, 400, 'request_invalid'])
    }
    for (const path of ['/v1/attributes/a%00b', '/v1/channels/a%00b', '/v1/stores/a%00b']) {
      expect([path, (await call('GET', path)).status]).toEqual([path, 404])
    }
  })

  test('are defined and removed by administrators only', async () => {
    for (const [path, body] of [
      ['/v1/attributes/mine', {}],
      ['/v1/channels/mine', { locales: [] }],
      ['/v1/stores/mine', { name: 'Mine', website: 'eu' }],
    ] as const) {
      expect([path, (await callAsWriter('PUT', path, body)).status]).toEqual([path, 403])
      expect([path, (await call('GET', path)).status]).toEqual([path, 404])
    }
  })
})
