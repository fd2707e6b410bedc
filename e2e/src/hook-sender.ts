/** A system that sends events, as Standard Webhooks describes it, and what it asks of Sluice afterwards. */
import { Webhook } from 'standardwebhooks'
import { expect, vi } from 'vitest'
import type { Json } from './api.ts'
import type { Stack } from './stack.ts'

export const SECRET = 'whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw'
export const OTHER = 'whsec_AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA'
const DEADLINE = { timeout: 90_000, interval: 50 }

/** An event tells a product and images in base64. */
export const MAPPING = {
  type: '/type',
  types: ['images.added'],
  each: '/images',
  product: { sku: { event: '/sku' } },
  source: { base64: '/content' },
  file_name: '/name',
  image: { label: '/label' },
}

export interface Sent {
  readonly body: string
  readonly headers: Record<string, string>
}

export function signed(document: object, { id = `msg_${crypto.randomUUID()}`, at = new Date(), secret = SECRET } = {}): Sent {
  const body = JSON.stringify(document)
  const signature = new Webhook(secret).sign(id, at, body)
  const timestamp = String(Math.floor(at.getTime() / 1000))
  return { body, headers: { 'webhook-id': id, 'webhook-timestamp': timestamp, 'webhook-signature': signature } }
}

export async function post(stack: Stack, url: string, { body, headers }: Sent): Promise<{ status: number; body: Json }> {
  const path = new URL(url).pathname
  const answer = await stack.api.send('POST', path, {
    token: null,
    body,
    headers: { 'content-type': 'application/json', ...headers },
  })
  return { status: answer.status, body: (await answer.json()) as Json }
}

export async function newSource(stack: Stack, change: object = {}): Promise<Json> {
  const given = { name: 'Sender', verifier: { kind: 'standard-webhooks' }, secrets: [SECRET], mapping: MAPPING, ...change }
  const { status, body } = await stack.api.call('POST', '/v1/hook-sources', given)
  expect([status, body]).toEqual([201, expect.objectContaining({ name: 'Sender' })])
  return body
}

export async function newProduct(stack: Stack): Promise<{ path: string; sku: string }> {
  const path = await stack.api.newProduct()
  return { path, sku: (await stack.api.call('GET', path)).body['sku'] }
}

export const labelsOf = async (stack: Stack, { path }: { path: string }): Promise<string[]> =>
  (await stack.api.call('GET', `${path}/images`)).body['images'].map(({ label }: Json) => label)

export const eventsOf = async (stack: Stack, source: Json, query = ''): Promise<Json[]> =>
  (await stack.api.call('GET', `${source['links'].events}?limit=100${query}`)).body['items']

/** Until nothing is left to do. */
export async function settled(stack: Stack, source: Json): Promise<void> {
  await vi.waitFor(async () => {
    expect(await eventsOf(stack, source, '&state=received')).toEqual([])
    const { body } = await stack.api.call('GET', '/v1/ingests?state=received&state=running')
    expect(body['items']).toEqual([])
  }, DEADLINE)
}

export function rawSigned(body: string): Sent {
  const [id, at] = [`msg_${crypto.randomUUID()}`, new Date()]
  const headers = { 'webhook-id': id, 'webhook-timestamp': String(Math.floor(at.getTime() / 1000)) }
  return { body, headers: { ...headers, 'webhook-signature': new Webhook(SECRET).sign(id, at, body) } }
}
