/** What the tests of Elastic Path's API have in common: tokens with their ids, files to speak of, products of any owner. */
import { randomUUID } from 'node:crypto'
import postgres from 'postgres'
import { expect } from 'vitest'
import { hashToken } from '@sluice/core'
import { drawSample } from '@sluice/images/samples'
import { type Answer, answerOf, formOf, type Json } from '../api.ts'
import type { Stack } from '../stack.ts'

export interface Shop {
  readonly call: (method: string, path: string, body?: object, headers?: Record<string, string>) => Promise<Answer>
  /** A file of its own, by its id. */
  newFile(fileName?: string): Promise<string>
  /** A product, by its id. */
  newProduct(attributes?: object, meta?: object): Promise<string>
  /** The id of the stack's own token: what its clients give as `client_id`. */
  clientId(): Promise<string>
  mainOf(product: string): Promise<string | null>
  filesOf(product: string): Promise<readonly string[]>
}

let drawn = 0

export function draw(): Promise<Buffer> {
  return drawSample({ seed: (drawn += 1), width: 24, height: 16, format: 'png' })
}

export function openShop(stack: Stack): Shop {
  const call: Shop['call'] = (...request) => stack.api.call(...request)
  const relation = async (product: string, name: string): Promise<Json> => {
    const { status, body } = await call('GET', `/pcm/products/${product}/relationships/${name}`)
    expect([status, body]).toEqual([200, body])
    return body
  }
  return {
    call,
    async newFile(fileName = 'photo.png') {
      const answer = await answerOf(await stack.api.send('POST', '/v2/files', { body: formOf(await draw(), { fileName }) }))
      expect([answer.status, answer.body]).toEqual([201, answer.body])
      return answer.body['data'].id
    },
    async newProduct(attributes = {}, meta) {
      const data = { type: 'product', attributes: { name: 'A product', ...attributes }, ...(meta && { meta }) }
      const { status, body } = await call('POST', '/pcm/products', { data })
      expect([status, body]).toEqual([201, body])
      return body['data'].id
    },
    async clientId() {
      const [token] = await query<{ id: string }>(stack, (sql) => sql`select id from tokens order by number limit 1`)
      return token?.id ?? ''
    },
    mainOf: async (product) => (await relation(product, 'main_image'))['data']?.id ?? null,
    filesOf: async (product) => (await relation(product, 'files'))['data'].map(({ id }: Json) => id),
  }
}

/** A token of that role, by its secret: no API makes one. */
export async function addToken(stack: Stack, role: string): Promise<string> {
  const secret = randomUUID()
  const token = { id: randomUUID(), name: role, role, sha256: hashToken(secret), prefix: 'x' }
  await query(
    stack,
    (sql) =>
      sql`insert into tokens ${sql({ ...token, tenant_id: sql`(select id from tenants where name = 'default')` } as never)}`,
  )
  return secret
}

/** For what no API tells or does. */
export async function query<Row>(stack: Stack, ask: (sql: postgres.Sql) => PromiseLike<Iterable<unknown>>): Promise<Row[]> {
  const sql = postgres(stack.databaseUrl, { max: 1 })
  try {
    return [...(await ask(sql))] as Row[]
  } finally {
    await sql.end()
  }
}

/** Asks while nobody can change the product; when that many ingests are waiting for it, does what is to be done meanwhile, and lets go. */
export async function whileLocked<Result>(
  stack: Stack,
  product: string,
  ingests: number,
  ask: () => readonly Promise<Result>[],
  meanwhile: () => void = () => undefined,
): Promise<readonly Result[]> {
  const sql = postgres(stack.databaseUrl, { max: 2 })
  try {
    const asked = await sql.begin(async (transaction) => {
      await transaction`select from products where id = ${product} for no key update`
      const results = Promise.allSettled(ask())
      const waiting = () => sql`select count(*)::int as n from ingests where product_id = ${product} and state = 'running'`
      await expect.poll(waiting, { timeout: 20_000 }).toMatchObject([{ n: ingests }])
      meanwhile()
      return { results }
    })
    return (await asked.results).map((result) => {
      if (result.status === 'rejected') throw result.reason
      return result.value
    })
  } finally {
    await sql.end()
  }
}
