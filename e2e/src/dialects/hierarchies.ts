/** Short words for what the tests of hierarchies do over HTTP. */
import { randomUUID } from 'node:crypto'
import postgres from 'postgres'
import { expect } from 'vitest'
import { hashToken, type TokenRole } from '@sluice/core'
import { type Answer, answerOf, type Json } from '../api.ts'
import type { Stack } from '../stack.ts'

export interface NodeWish {
  readonly attributes?: object
  readonly meta?: object
  readonly parent?: string | null
}

export interface Child {
  readonly id: string
  readonly sortOrder?: number
}

export const TIME: unknown = expect.stringMatching(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/)
export const ABSENT = '00000000-0000-0000-0000-000000000000'

export function treeWords(stack: () => Stack) {
  let names = 0
  const call = (method: string, path: string, body?: object, headers?: Record<string, string>): Promise<Answer> =>
    stack().api.call(method, `/pcm/hierarchies${path}`, body, headers)

  /** The member `data` of an answer with this status. */
  async function data(status: number, answer: Promise<Answer>): Promise<Json> {
    const { body, ...given } = await answer
    expect([given.status, body]).toEqual([status, body])
    return body['data']
  }

  const nodeBody = (name: string, { attributes = {}, meta, parent }: NodeWish = {}) => ({
    data: {
      type: 'node',
      attributes: { name, ...attributes },
      ...(meta && { meta }),
      ...(parent && { relationships: { parent: { data: { type: 'node', id: parent } } } }),
    },
  })

  return {
    call,
    data,
    nodeBody,
    newHierarchy: async (attributes: object = {}): Promise<string> =>
      (await data(201, call('POST', '', { data: { type: 'hierarchy', attributes: { name: 'Shoes', ...attributes } } })))['id'],
    newNode: async (hierarchy: string, wish: NodeWish = {}, name = `node ${(names += 1)}`): Promise<string> =>
      (await data(201, call('POST', `/${hierarchy}/nodes`, nodeBody(name, wish))))['id'],
    node: (hierarchy: string, node: string): Promise<Json> => data(200, call('GET', `/${hierarchy}/nodes/${node}`)),
    /** Whole, from however many pages. */
    list: async (path: string, limit = 100): Promise<Json[]> => {
      const all: Json[] = []
      for (let offset = 0; ; offset += limit) {
        const { status, body } = await call('GET', `${path}?page[limit]=${limit}&page[offset]=${offset}`)
        expect(status).toBe(200)
        all.push(...body['data'])
        if (!body['links'].next) {
          expect(body['meta'].results.total).toBe(all.length)
          return all
        }
      }
    },
    /** A null parent is the root level. */
    adopt: (hierarchy: string, parent: string | null, children: readonly Child[]): Promise<Answer> =>
      call('POST', `/${hierarchy}${parent === null ? '' : `/nodes/${parent}`}/relationships/children`, {
        data: children.map(({ id, sortOrder }) => ({
          type: 'node',
          id,
          ...(sortOrder !== undefined && { meta: { sort_order: sortOrder } }),
        })),
      }),
  }
}

/** A status, a title, and perhaps a detail, in the envelope of this API. */
export function refused(status: number, title: string, rest: object = {}): object {
  return { status, body: { errors: [{ status: String(status), title, ...rest }] } }
}

export const NOT_FOUND = refused(404, 'Not Found')
export const OWNED = refused(403, 'Forbidden', { detail: 'entity owned by organization' })

export function failed(detail: string, missing?: readonly string[]): object {
  return refused(422, 'Failed Validation', { detail, ...(missing && { meta: { missing_ids: missing } }) })
}

export function idsOf(items: readonly Json[]): string[] {
  return items.map((item) => item['id'])
}

/** The answer without its headers. */
export function said({ status, body }: Answer): object {
  return { status, body }
}

export async function sendRaw(stack: Stack, method: string, path: string, body: string | Buffer): Promise<Answer> {
  const init = { headers: { 'content-type': 'application/json' }, body: typeof body === 'string' ? body : new Uint8Array(body) }
  return answerOf(await stack.api.send(method, `/pcm/hierarchies${path}`, init))
}

export async function newToken(stack: Stack, role: TokenRole): Promise<{ id: string; secret: string }> {
  const [id, secret] = [randomUUID(), randomUUID()]
  const sql = postgres(stack.databaseUrl, { max: 1 })
  try {
    await sql`
      insert into tokens (id, tenant_id, name, role, sha256, prefix)
      select ${id}, id, ${role}, ${role}, ${hashToken(secret)}, 'x' from tenants where name = 'default'`
    return { id, secret }
  } finally {
    await sql.end()
  }
}
