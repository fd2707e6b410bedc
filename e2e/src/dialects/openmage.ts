/** What the tests of OpenMage's API have in common: a shop with two store views, requests in its formats, tokens of every kind. */
import { randomUUID } from 'node:crypto'
import postgres from 'postgres'
import { expect } from 'vitest'
import { hashToken } from '@sluice/core'
import { drawSample } from '@sluice/images/samples'
import { type Answer, answerOf, type Json } from '../api.ts'
import { openStack, type Stack } from '../stack.ts'

/** The image of the documentation's own examples: declared as JPEG there, and a PNG of 40 × 40. */
export const SEED_IMAGE =
  'iVBORw0KGgoAAAANSUhEUgAAACgAAAAoCAYAAACM/rhtAAAAGXRFWHRTb2Z0d2FyZQBBZG9iZSBJbWFnZVJlYWR5ccllPAAAAWtJREFUeNpi/P//P8NgBkwM' +
  'gxyMOnDUgTDAyMhIDNYF4vNA/B+IDwCxHLoakgEoFxODiQRXQUYi4e3k2gfDjMRajsP3zED8F8pmA+JvUDEYeArEMugOpFcanA/Ef6A0CPwC4uNoag5SnAjJ' +
  'jGI2tKhkg4rLAfFGIH4IxEuBWIjSKKYkDfZCHddLiwChVhokK8YGohwEZYy3aBmEKmDEhOCgreomo+VmZHxsMEQxIc2MAx3FO/DI3RxMmQTZkI9ALDCaSUYd' +
  'OOrAIeRAPzQ+PxCHUM2FFDb5paGNBPRa5C20bUhxc4sSB4JaLnvxVHWHsbVu6OnACjyOg+HqgXKgGRD/JMKBoD6LDb0dyAPE94hwHAw/hGYcujlwEQmOg+EV' +
  '9HJgLBmOg+FMWjsQVKR8psCBoDSrQqoDSSmoG6Hpj1wA6ju30LI9+BBX4UsC+Ai0T4BWVd1EIL5PgeO+APECmoXgaGtm1IE0AgABBgAJAICuV8dAUAAAAABJ' +
  'RU5ErkJggg=='

export const SECRET_KEY = 'a-secret-key-for-tests-that-is-long-enough'

export interface Sent {
  readonly body?: string | object
  readonly type?: string
  readonly accept?: string
  /** Null for a guest. */
  readonly authorization?: string | null
  readonly headers?: Record<string, string>
}

export interface Shop extends AsyncDisposable {
  readonly stack: Stack
  /** In JSON, unless it says otherwise. */
  send(method: string, path: string, sent?: Sent): Promise<Answer>
  /** The path of its images. */
  newProduct(fields?: object): Promise<string>
  /** Brings a new image, and gives its number. */
  addImage(images: string, fields?: object): Promise<number>
  listOf(images: string, sent?: Sent): Promise<Json[]>
  /** What stands in the Authorization header for our own tokens. */
  addToken(role: 'admin' | 'writer' | 'reader', more?: object): Promise<{ id: string; bearer: string }>
}

/** The store views 1 `english` and 2 `french` of the website `base`, and 3 `german` of `other`. */
export async function openShop(environment: Record<string, string> = {}): Promise<Shop> {
  const stack = await openStack('embedded', { SLUICE_SECRET_KEY: SECRET_KEY, SLUICE_GUEST_TENANT: 'default', ...environment })
  for (const [code, website] of [
    ['english', 'base'],
    ['french', 'base'],
    ['german', 'other'],
  ])
    await stack.api.call('PUT', `/v1/stores/${code}`, { name: code, website })

  const send: Shop['send'] = async (method, path, { body, type, accept, authorization, headers } = {}) => {
    const asked = authorization === undefined ? `Bearer ${stack.token}` : authorization
    const answer = await stack.api.send(method, path, {
      token: null,
      headers: {
        ...(asked !== null && { authorization: asked }),
        ...(body !== undefined && { 'content-type': type ?? 'application/json' }),
        accept: accept ?? 'application/json',
        ...headers,
      },
      ...(body !== undefined && { body: typeof body === 'string' ? body : JSON.stringify(body) }),
    })
    return answerOf(answer)
  }
  return {
    stack,
    send,
    async newProduct(fields = {}) {
      const { status, headers } = await stack.api.call('POST', '/v1/products', { sku: randomUUID(), status: 'live', ...fields })
      expect(status).toBe(201)
      const { body } = await stack.api.call('GET', headers.get('location') ?? '')
      return `/api/rest/products/${body['number']}/images`
    },
    async addImage(images, fields = {}) {
      const answer = await send('POST', images, { body: { ...(await newImage()), ...fields } })
      expect([answer.status, answer.body]).toEqual([200, answer.body])
      return Number(answer.headers.get('location')?.split('/').at(-1))
    },
    async listOf(images, sent) {
      const { status, body } = await send('GET', images, sent)
      expect([status, body]).toEqual([200, body])
      return body as unknown as Json[]
    },
    async addToken(role, more = {}) {
      const sql = postgres(stack.databaseUrl, { max: 1 })
      const [id, secret] = [randomUUID(), randomUUID()]
      try {
        const [own] = await sql`select id from tenants where name = 'default'`
        const row = { id, tenant_id: own?.['id'] as string, name: role, role, sha256: hashToken(secret), prefix: 'x', ...more }
        await sql`insert into tokens ${sql(row)}`
      } finally {
        await sql.end()
      }
      return { id, bearer: `Bearer ${secret}` }
    },
    [Symbol.asyncDispose]: () => stack[Symbol.asyncDispose](),
  }
}

let drawn = 0

/** The required fields, with an image that nobody has sent before. */
export async function newImage(): Promise<{ file_mime_type: string; file_content: string }> {
  const image = await drawSample({ seed: (drawn += 1), width: 24, height: 16, format: 'png' })
  return { file_mime_type: 'image/png', file_content: image.toString('base64') }
}

/** An error as JSON has it. */
export function errors(...messages: readonly (readonly [code: number, message: string])[]): object {
  return { messages: { error: messages.map(([code, message]) => ({ code, message })) } }
}
