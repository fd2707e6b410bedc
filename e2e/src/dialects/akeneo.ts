/** What the tests of Akeneo's API have in common: a catalogue, tokens with their ids and secrets, and forms by hand. */
import { randomUUID } from 'node:crypto'
import postgres from 'postgres'
import { expect } from 'vitest'
import { hashToken } from '@sluice/core'
import { drawSample } from '@sluice/images/samples'
import { type Answer, answerOf, type Json } from '../api.ts'
import type { Stack } from '../stack.ts'

export const MEDIA_FILES = '/api/rest/v1/media-files'
export const TOKEN = '/api/oauth/v1/token'

export interface Credentials {
  readonly id: string
  readonly name: string
  readonly secret: string
}

export interface Pim {
  readonly writer: Credentials
  readonly reader: Credentials
  /** Of another tenant. */
  readonly stranger: Credentials
  newProduct(fields?: object): Promise<Bearer>
  /** Sends a form that names the value and brings the file. */
  post(value: object, file?: File | null, headers?: Record<string, string>): Promise<Answer>
  /** The code of a media file that was taken. */
  created(value: object, file: File): Promise<string>
  get(path: string, headers?: Record<string, string>): Promise<Answer>
  imagesOf(product: Bearer): Promise<readonly Json[]>
  countFiles(): Promise<number>
}

interface Bearer {
  readonly sku: string
  readonly path: string
}

let made = 0

export const nextName = (): string => `pim-${(made += 1)}`

export const draw = (format: 'png' | 'jpeg' | 'webp' | 'gif' = 'png'): Promise<Buffer> =>
  drawSample({ seed: (made += 1), width: 24, height: 16, format })

export const fileOf = (bytes: Uint8Array | string, name = 'akeneo.png', type = 'image/png'): File =>
  new File([typeof bytes === 'string' ? bytes : new Uint8Array(bytes)], name, { type })

export const valueOf = (
  { sku }: { readonly sku: string },
  attribute: string,
  scope: string | null = null,
  locale: string | null = null,
) => ({
  identifier: sku,
  attribute,
  scope,
  locale,
})

export async function openPim(stack: Stack): Promise<Pim> {
  await describeCatalogue(stack)
  const [writer, reader, stranger] = await addTokens(stack)
  const countFiles = async () => (await stack.api.call('GET', `${MEDIA_FILES}?with_count=true`)).body['items_count'] as number
  const post: Pim['post'] = async (value, file = null, headers = {}) => {
    const body = new FormData()
    body.set('product', JSON.stringify(value))
    if (file) body.set('file', file)
    return answerOf(await stack.api.send('POST', MEDIA_FILES, { body, headers }))
  }
  return {
    writer,
    reader,
    stranger,
    post,
    countFiles,
    async newProduct(fields = {}) {
      const sku = nextName()
      const { status, body } = await stack.api.call('POST', '/v1/products', { sku, ...fields })
      expect([status, body]).toEqual([201, body])
      return { sku, path: `/v1/products/${body['id']}` }
    },
    async created(value, file) {
      const answer = await post(value, file)
      expect([answer.status, answer.body]).toEqual([201, { text: '' }])
      return codeIn(answer.headers)
    },
    get: (path, headers) => stack.api.call('GET', path, undefined, headers),
    imagesOf: async ({ path }) => (await stack.api.call('GET', `${path}/images`)).body['images'],
  }
}

/** Status and body together, so that a failure shows both. */
export const said = ({ status, body }: Answer) => [status, body]

export const refusal = (code: number, message: string) => [code, { code, message }]

/** `value` names the attribute as it stands in the errors. */
export function violations({ attribute, locale, scope }: Json, ...messages: readonly string[]) {
  const errors = messages.map((message) => ({ property: 'values', message, attribute, locale, scope }))
  return [422, { code: 422, message: 'Validation failed.', errors }]
}

/** As Akeneo's PHP client finds it. */
export function codeIn(headers: Headers): string {
  return /\/api\/rest\/v1\/media-files\/(?<code>.*)$/.exec(headers.get('location') ?? '')?.groups?.['code'] ?? ''
}

async function describeCatalogue({ api }: Stack): Promise<void> {
  const IMAGES = ['jpg', 'gif', 'png']
  const catalogue: Readonly<Record<string, object>> = {
    '/v1/channels/ecommerce': { locales: ['en_US', 'fr_FR'] },
    '/v1/channels/tablet': { locales: ['de_DE'] },
    '/v1/attributes/an_image': { allowed_extensions: IMAGES },
    '/v1/attributes/anything': {},
    '/v1/attributes/packshot': { role: 'image' },
    '/v1/attributes/thumb': { role: 'thumbnail' },
    '/v1/attributes/small': { allowed_extensions: IMAGES, file_bytes_max: 200 },
    '/v1/attributes/scoped': { scopable: true, role: 'image' },
    '/v1/attributes/localized': { localizable: true, role: 'image' },
    '/v1/attributes/both': { scopable: true, localizable: true },
  }
  for (const [path, body] of Object.entries(catalogue)) {
    const answer = await api.call('PUT', path, body)
    expect([path, answer.status < 300, answer.body]).toEqual([path, true, answer.body])
  }
}

async function addTokens(stack: Stack): Promise<readonly [Credentials, Credentials, Credentials]> {
  const sql = postgres(stack.databaseUrl, { max: 1 })
  try {
    const [own] = await sql`select id from tenants where name = 'default'`
    const [other] = await sql`insert into tenants (id, name) values (${randomUUID()}, 'other') returning id`
    const add = async (tenant: unknown, role: string): Promise<Credentials> => {
      const token = { id: randomUUID(), name: `${role} of ${role}s`, secret: randomUUID() }
      await sql`insert into tokens ${sql({ id: token.id, tenant_id: tenant as string, name: token.name, role, sha256: hashToken(token.secret), prefix: 'x' })}`
      return token
    }
    return [await add(own?.['id'], 'writer'), await add(own?.['id'], 'reader'), await add(other?.['id'], 'admin')]
  } finally {
    await sql.end()
  }
}
