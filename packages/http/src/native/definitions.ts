import type { FastifyInstance } from 'fastify'
import { type ErrorCode, type Limits, SluiceError, type TenantId } from '@sluice/core'
import { Type, type Static, type TSchema } from 'typebox'
import { callerOf } from '../authenticate.ts'
import { CODE } from '../validation.ts'
import * as schemas from './schemas.ts'

/** What the catalogue defines under codes of the operator's choosing. */
export interface Definitions<Body, Item> {
  readonly url: string
  /** As in "Define an attribute". */
  readonly noun: string
  readonly plural: string
  readonly unknown: ErrorCode
  readonly body: TSchema
  readonly shown: TSchema
  readonly view: (item: Item) => unknown
  readonly list: (tenantId: TenantId) => Promise<readonly Item[]>
  readonly find: (tenantId: TenantId, code: string) => Promise<Item | null>
  readonly put: (tenantId: TenantId, code: string, body: Body) => Promise<Item>
  /** Null: once defined, it stays. */
  readonly remove: ((tenantId: TenantId, code: string) => Promise<void>) | null
}

const Known = Type.Object({ code: Type.String() })

/** Everybody reads them, administrators define them. */
export function definitionRoutes<Body, Item>(
  app: FastifyInstance,
  { codeLengthMax }: Pick<Limits, 'codeLengthMax'>,
  definitions: Definitions<Body, Item>,
): void {
  const Given = Type.Object({ code: Type.String({ maxLength: codeLengthMax, pattern: CODE }) })
  const { url, noun, plural, unknown, view, find, remove } = definitions
  const tags = ['Catalogue']

  app.get(
    url,
    {
      config: { access: 'reader' },
      schema: {
        tags,
        summary: `List the ${plural}`,
        response: { 200: Type.Object({ items: Type.Array(definitions.shown) }), ...schemas.problems() },
      },
    },
    async (request) => ({ items: (await definitions.list(callerOf(request).tenantId)).map(view) }),
  )

  app.get<{ Params: Static<typeof Known> }>(
    `${url}/:code`,
    {
      config: { access: 'reader' },
      schema: {
        tags,
        summary: `Read ${noun}`,
        params: Known,
        response: { 200: definitions.shown, ...schemas.problems(404) },
      },
    },
    async (request) => {
      const item = await find(callerOf(request).tenantId, request.params.code)
      if (item === null) throw new SluiceError(unknown)
      return view(item)
    },
  )

  app.put<{ Params: Static<typeof Given> }>(
    `${url}/:code`,
    {
      config: { access: 'admin' },
      schema: {
        tags,
        summary: `Define ${noun}, or define it anew`,
        params: Given,
        body: definitions.body,
        response: { 200: definitions.shown, ...schemas.problems(400, 413, 415, 422) },
      },
    },
    // The schema has checked that the body is one.
    async (request) => view(await definitions.put(callerOf(request).tenantId, request.params.code, request.body as Body)),
  )

  if (remove === null) return
  app.delete<{ Params: Static<typeof Known> }>(
    `${url}/:code`,
    {
      config: { access: 'admin' },
      schema: {
        tags,
        summary: `Remove ${noun}`,
        description: 'What was brought in under it stays.',
        params: Known,
        response: { 204: Type.Null(), ...schemas.problems(400, 415) },
      },
    },
    async (request, reply) => {
      await remove(callerOf(request).tenantId, request.params.code)
      return reply.code(204).send()
    },
  )
}
