import type { FastifyInstance, FastifySchema } from 'fastify'
import { type Import, type ImportId, planImport } from '@sluice/core'
import { Type, type Static } from 'typebox'
import { callerOf } from '../authenticate.ts'
import { findImport, type ImportRequest, wholeView } from './find-import.ts'
import { importReadRoutes } from './import-reads.ts'
import { importRowsRoute } from './import-rows-route.ts'
import * as shapes from './import-schemas.ts'
import { importHeadView, importPath } from './import-views.ts'
import type { NativeOptions } from './index.ts'
import { nextPage } from './ingests.ts'
import * as schemas from './schemas.ts'

const tags = ['Imports']

export async function importRoutes(app: FastifyInstance, options: NativeOptions): Promise<void> {
  headRoutes(app, options)
  controlRoutes(app, options)
  await importReadRoutes(app, options)
  await app.register(importRowsRoute, options)
}

// ── Heads ───────────────────────────────────────────────────────────────────────────────────────────────────────────

function headRoutes(app: FastifyInstance, { world }: NativeOptions): void {
  const { database, limits, newId } = world
  const NewImport = shapes.newImport(limits)
  const Listed = Type.Object(
    {
      before: Type.Optional(Type.String({ format: 'uuid', description: 'The last id of the page before.' })),
      limit: Type.Optional(Type.Integer({ minimum: 1, maximum: limits.pageItemsMax, default: 50 })),
    },
    { additionalProperties: false },
  )

  app.post<{ Body: Static<typeof NewImport> }>(
    '/imports',
    {
      config: { access: 'writer' },
      schema: {
        tags,
        summary: 'Open an import',
        description: 'Then add rows, look at the plan if you like, and apply it.',
        body: NewImport,
        response: { 201: shapes.Import, ...schemas.problems(400, 413, 415, 422) },
      },
    },
    async (request, reply) => {
      const { tenantId, tokenId } = callerOf(request)
      const { name = '', mode = 'add', on_error: onError = 'skip', create_products: createProducts = false } = request.body
      const parkMs = (request.body.park_seconds ?? 0) * 1000
      const made = await database.imports.create(
        { id: newId() as ImportId, tenantId, tokenId, name, mode, onError, createProducts, parkMs },
        limits.importsOpenMax,
      )
      return reply
        .code(201)
        .header('location', importPath(made.id))
        .send(await wholeView(world, made))
    },
  )

  app.get<{ Querystring: Static<typeof Listed> }>(
    '/imports',
    {
      config: { access: 'reader' },
      schema: {
        tags,
        summary: 'List imports, newest first',
        querystring: Listed,
        response: { 200: shapes.ImportPage, ...schemas.problems(400) },
      },
    },
    async (request) => {
      const { before = null, limit = 50 } = request.query
      const page = { before: before as ImportId | null, limit: limit + 1 }
      const found = await database.imports.list(callerOf(request).tenantId, page)
      const items = found.slice(0, limit)
      const last = items.at(-1)
      return { items: items.map(importHeadView), next: found.length > limit && last ? nextPage(request.url, last.id) : null }
    },
  )

  app.get(
    '/imports/:import',
    {
      config: { access: 'reader' },
      schema: {
        tags,
        summary: 'Read an import: how far it is',
        params: shapes.ImportParams,
        response: { 200: shapes.Import, ...schemas.problems(404) },
      },
    },
    async (request: ImportRequest) => wholeView(world, await findImport(world, request)),
  )
}

// ── What is done with it ────────────────────────────────────────────────────────────────────────────────────────────

/** What bodies may say, each only to its route. */
type Asked = Static<typeof shapes.ApplyBody> & Static<typeof shapes.UndoBody>

function controlRoutes(app: FastifyInstance, { world }: NativeOptions): void {
  const { imports } = world.database

  const act = (name: string, schema: FastifySchema, perform: (given: Import, body: Asked) => Promise<Import>, status = 200) =>
    app.post(
      `/imports/:import/${name}`,
      {
        config: { access: 'writer' },
        schema: {
          tags,
          params: shapes.ImportParams,
          ...schema,
          response: { [status]: shapes.Import, ...schemas.problems(400, 404, 409, 412, 413, 415) },
        },
      },
      async (request: ImportRequest, reply) => {
        // The schema has checked that the body is one, where there is any.
        const done = await perform(await findImport(world, request), request.body ?? {})
        return reply.code(status).send(await wholeView(world, done))
      },
    )

  act(
    'plan',
    {
      summary: 'Plan an import',
      description:
        'Says for each row what would become of it, and touches no product. The answer has the hash of the plan, `GET …/plan` has its rows. It can be planned anew until it is applied.',
    },
    async (given) => planImport(world, given.tenantId, given),
  )
  act(
    'apply',
    { summary: 'Apply an import', body: schemas.nullable(shapes.ApplyBody) },
    async (given, body) => {
      const hash = body.plan_hash ?? null
      const isOpen = given.state === 'open' || given.state === 'planned'
      if (hash === null && isOpen) await planImport(world, given.tenantId, given)
      return imports.apply(given.tenantId, given.id, hash)
    },
    202,
  )
  act(
    'stop',
    { summary: 'Stop an import', description: 'What is under way is waited for, nothing more is begun.' },
    (given) => imports.stop(given.tenantId, given.id),
    202,
  )
  act(
    'resume',
    { summary: 'Go on with an import that was stopped', description: 'Rows that have failed stay as they are.' },
    (given) => imports.resume(given.tenantId, given.id),
    202,
  )
  act(
    'undo',
    {
      summary: 'Undo an import that is finished or stopped',
      description:
        'Order, labels, roles and relations become what they were before: what was attached leaves, what was detached comes back with its id and name. Products that others have changed since are left and reported, unless `force` is true.',
      body: schemas.nullable(shapes.UndoBody),
    },
    (given, body) => imports.undo(given.tenantId, given.id, body.force ?? false),
    202,
  )
}
