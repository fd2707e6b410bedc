/** What is told of an import: its rows, its plan, its products, how far it is. */
import { Readable } from 'node:stream'
import { setTimeout as sleep } from 'node:timers/promises'
import type { FastifyInstance } from 'fastify'
import {
  type Digest,
  type FileId,
  type Import,
  IMPORT_PRODUCT_STATES,
  type ImportRow,
  type IntakeWorld,
  ROW_ACTIONS,
  ROW_STATES,
  type RowFilter,
  SluiceError,
} from '@sluice/core'
import { Type, type Static } from 'typebox'
import { callerOf } from '../authenticate.ts'
import { findImport, type ImportRequest, wholeView } from './find-import.ts'
import * as shapes from './import-schemas.ts'
import { countsView, importProductView, importRowView } from './import-views.ts'
import type { NativeOptions } from './index.ts'
import { nextPage } from './ingests.ts'
import * as schemas from './schemas.ts'

const tags = ['Imports']

export async function importReadRoutes(app: FastifyInstance, options: NativeOptions): Promise<void> {
  readRoutes(app, options)
  eventRoute(app, options)
}

function readRoutes(app: FastifyInstance, { world }: NativeOptions): void {
  const { database, limits } = world
  const { imports } = database
  const page = {
    after: Type.Optional(Type.Integer({ description: 'The last line of the page before.' })),
    limit: Type.Optional(Type.Integer({ minimum: 1, maximum: limits.importPageRowsMax, default: 100 })),
  }
  const Rows = Type.Object(
    {
      state: Type.Optional(Type.Array(Type.Enum([...ROW_STATES]))),
      action: Type.Optional(Type.Array(Type.Enum([...ROW_ACTIONS]))),
      ...page,
    },
    { additionalProperties: false },
  )
  const Products = Type.Object(
    { state: Type.Optional(Type.Array(Type.Enum([...IMPORT_PRODUCT_STATES]))), ...page },
    { additionalProperties: false },
  )

  const pageOfRows = async (request: ImportRequest & { query: Static<typeof Rows> }, given: Import) => {
    const { state, action, after = null, limit = 100 } = request.query
    const filter: RowFilter = { ...(state && { states: state }), ...(action && { actions: action }) }
    const found = await imports.listRows(given.tenantId, given.id, filter, { after, limit: limit + 1 })
    const items = found.slice(0, limit)
    const last = items.at(-1)
    const next = found.length > limit && last ? nextPage(request.url, String(last.line), 'after') : null
    return { items: items.map(importRowView), next }
  }

  app.get<{ Params: Static<typeof shapes.ImportParams>; Querystring: Static<typeof Rows> }>(
    '/imports/:import/rows',
    {
      config: { access: 'reader' },
      schema: {
        tags,
        summary: 'List the rows of an import, in the order of their lines',
        params: shapes.ImportParams,
        querystring: Rows,
        response: { 200: shapes.ImportRowPage, ...schemas.problems(400, 404) },
      },
    },
    async (request) => pageOfRows(request, await findImport(world, request)),
  )

  app.get<{ Params: Static<typeof shapes.ImportParams>; Querystring: Static<typeof Rows> }>(
    '/imports/:import/plan',
    {
      config: { access: 'reader' },
      schema: {
        tags,
        summary: 'Read the plan of an import',
        params: shapes.ImportParams,
        querystring: Rows,
        response: { 200: shapes.ImportPlanPage, ...schemas.problems(400, 404, 409) },
      },
    },
    async (request) => {
      const given = await findImport(world, request)
      if (given.planHash === null) throw new SluiceError('import_busy', 'The import has no plan of its rows as they are.')
      const counts = countsView(await imports.progress(given.tenantId, given.id))
      return { plan_hash: given.planHash, counts, ...(await pageOfRows(request, given)) }
    },
  )

  app.get<{ Params: Static<typeof shapes.ImportParams>; Querystring: Static<typeof Products> }>(
    '/imports/:import/products',
    {
      config: { access: 'reader' },
      schema: {
        tags,
        summary: 'List the products of an import, and what undoing came to',
        params: shapes.ImportParams,
        querystring: Products,
        response: { 200: shapes.ImportProductPage, ...schemas.problems(400, 404) },
      },
    },
    async (request) => {
      const { tenantId, id } = await findImport(world, request)
      const { state = IMPORT_PRODUCT_STATES, after = null, limit = 100 } = request.query
      const found = await imports.listProducts(tenantId, id, state, { after, limit: limit + 1 })
      const items = found.slice(0, limit)
      const last = items.at(-1)
      const next = found.length > limit && last ? nextPage(request.url, String(last.firstLine), 'after') : null
      return { items: items.map(importProductView), next }
    },
  )

  app.get(
    '/imports/:import/report',
    {
      config: { access: 'reader' },
      schema: {
        tags,
        summary: 'Read all rows of an import as JSON Lines',
        params: shapes.ImportParams,
        response: {
          200: {
            description: 'One row of `…/rows` in each line',
            content: { 'application/x-ndjson': { schema: Type.Unknown() } },
          },
          ...schemas.problems(404),
        },
      },
    },
    async (request: ImportRequest, reply) => {
      const given = await findImport(world, request)
      return reply.type('application/x-ndjson').send(Readable.from(reportOf(world, given)))
    },
  )

  const Check = shapes.checkBody(limits)
  app.post<{ Body: Static<typeof Check> }>(
    '/files/check',
    {
      config: { access: 'writer' },
      schema: {
        tags: ['Files'],
        summary: 'Ask which bytes are here already',
        description:
          'A file whose bytes are here need not be sent: an image can be made of its `file_id`, a row of an import of its digest.',
        body: Check,
        response: { 200: shapes.Checked, ...schemas.problems(400, 413, 415) },
      },
    },
    async (request) => {
      const digests = request.body.digests as Digest[]
      const known: ReadonlyMap<Digest, FileId> = await database.files.findByDigests(callerOf(request).tenantId, digests)
      return { files: Object.fromEntries(digests.map((digest) => [digest, known.get(digest) ?? null])) }
    },
  )
}

/** Page after page, so that an import of any size takes the same memory. */
async function* reportOf({ database, limits }: Pick<IntakeWorld, 'database' | 'limits'>, given: Import): AsyncGenerator<string> {
  for (let after: number | null = null; ;) {
    const page = { after, limit: limits.importPageRowsMax }
    const rows: readonly ImportRow[] = await database.imports.listRows(given.tenantId, given.id, {}, page)
    const last = rows.at(-1)
    if (!last) return
    yield rows.map((row) => `${JSON.stringify(importRowView(row))}\n`).join('')
    after = last.line
  }
}

// ── Progress ────────────────────────────────────────────────────────────────────────────────────────────────────────

function eventRoute(app: FastifyInstance, { world, closing }: NativeOptions): void {
  app.get(
    '/imports/:import/events',
    {
      config: { access: 'reader' },
      schema: {
        tags,
        summary: 'Follow an import',
        description:
          'Server-sent events: one `import` event for each change that can be seen, once per second at most; the stream ends when the import has come to rest.',
        params: shapes.ImportParams,
        response: {
          200: { description: 'Events', content: { 'text/event-stream': { schema: Type.Unknown() } } },
          ...schemas.problems(404),
        },
      },
    },
    async (request: ImportRequest, reply) => {
      const given = await findImport(world, request)
      const gone = new AbortController()
      reply.raw.once('close', () => gone.abort())
      const signal = AbortSignal.any([gone.signal, closing, AbortSignal.timeout(world.limits.eventsMsMax)])
      void reply.type('text/event-stream').header('cache-control', 'no-store').header('x-accel-buffering', 'no')
      return reply.send(Readable.from(eventsOf(world, given, signal)))
    },
  )
}

const LOOK_MS = 1_000
const AT_REST: ReadonlySet<Import['state']> = new Set(['open', 'planned', 'stopped', 'finished', 'undone'])

async function* eventsOf(world: IntakeWorld, { tenantId, id }: Import, signal: AbortSignal): AsyncIterable<string> {
  yield 'retry: 2000\n\n'
  let last = ''
  while (!signal.aborted) {
    const given = await world.database.imports.find(tenantId, id)
    if (!given) return
    const { rows_per_second: rate, ...seen } = await wholeView(world, given)
    const data = JSON.stringify(seen)
    if (data !== last) yield `event: import\ndata: ${JSON.stringify({ ...seen, rows_per_second: rate })}\n\n`
    last = data
    if (AT_REST.has(given.state)) return
    await sleep(LOOK_MS, undefined, { signal }).catch(() => undefined)
  }
}
