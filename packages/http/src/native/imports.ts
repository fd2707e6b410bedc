import { Readable } from 'node:stream'
import { setTimeout as sleep } from 'node:timers/promises'
import type { FastifyInstance, FastifyRequest, FastifySchema } from 'fastify'
import {
  type Digest,
  essenceOf,
  type FileId,
  type Import,
  IMPORT_PRODUCT_STATES,
  type ImportId,
  type ImportRow,
  type IntakeWorld,
  isUuid,
  planImport,
  ROW_ACTIONS,
  ROW_STATES,
  type RowFilter,
  SluiceError,
} from '@sluice/core'
import { Type, type Static } from 'typebox'
import { callerOf } from '../authenticate.ts'
import { requestBytes } from '../bodies/request-bytes.ts'
import { refuseContentEncoding } from '../bodies/content-encoding.ts'
import { compileValidator } from '../validation.ts'
import { takeRows } from './import-intake.ts'
import { csvLines, jsonLines } from './import-lines.ts'
import * as shapes from './import-schemas.ts'
import { countsView, importHeadView, importPath, importProductView, importRowView, importView } from './import-views.ts'
import type { NativeOptions } from './index.ts'
import { nextPage } from './ingests.ts'
import * as schemas from './schemas.ts'

type ImportRequest = FastifyRequest<{ Params: Static<typeof shapes.ImportParams> }>

const tags = ['Imports']

export async function importRoutes(app: FastifyInstance, options: NativeOptions): Promise<void> {
  headRoutes(app, options)
  controlRoutes(app, options)
  readRoutes(app, options)
  eventRoute(app, options)
  await app.register(rowsRoute, options)
}

function importId({ params }: ImportRequest): ImportId {
  if (!isUuid(params.import)) throw new SluiceError('import_unknown')
  return params.import.toLowerCase() as ImportId
}

/** Throws `import_unknown`, for another tenant's import as well. */
async function findImport({ database }: Pick<IntakeWorld, 'database'>, request: ImportRequest): Promise<Import> {
  const given = await database.imports.find(callerOf(request).tenantId, importId(request))
  if (!given) throw new SluiceError('import_unknown')
  return given
}

async function wholeView({ database, now }: Pick<IntakeWorld, 'database' | 'now'>, given: Import) {
  return importView(given, await database.imports.progress(given.tenantId, given.id), now())
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

// ── Rows, plan, products ────────────────────────────────────────────────────────────────────────────────────────────

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

// ── Rows coming in ──────────────────────────────────────────────────────────────────────────────────────────────────

const JSON_LINES: ReadonlySet<string> = new Set([
  'application/x-ndjson',
  'application/ndjson',
  'application/jsonl',
  'application/json-lines',
])
const CSV = 'text/csv'

async function rowsRoute(app: FastifyInstance, { world }: NativeOptions): Promise<void> {
  const { limits } = world
  app.removeAllContentTypeParsers()
  app.addContentTypeParser('*', (_request, _payload, done) => done(null))
  app.post<{ Params: Static<typeof shapes.ImportParams>; Querystring: Static<typeof shapes.RowsQuery> }>(
    '/imports/:import/rows',
    {
      config: { access: 'writer' },
      // The stream is limited row by row while it is read.
      bodyLimit: Number.MAX_SAFE_INTEGER,
      validatorCompiler: (route) => (route.httpPart === 'body' ? () => true : compileValidator(route)),
      schema: {
        tags,
        summary: 'Add rows to an import',
        description:
          'JSON Lines or CSV, as a page or as a whole manifest of any length: it is read as a stream. Rows are known by their lines: a page that is sent twice is once. A row at fault is kept with what is wrong with it, and does not hold up the others.',
        params: shapes.ImportParams,
        querystring: shapes.RowsQuery,
        body: {
          content: {
            'application/x-ndjson': { schema: shapes.rowBody(limits) },
            'text/csv': { schema: Type.String() },
          },
        },
        response: { 200: shapes.RowsReceived, ...schemas.problems(400, 404, 408, 409, 413, 415, 507) },
      },
    },
    async (request) => {
      const { id, state } = await findImport(world, request)
      if (state !== 'open' && state !== 'planned') throw new SluiceError('import_busy', `The import is ${state}.`)
      const signal = AbortSignal.timeout(limits.requestMsMax)
      const { received, added, invalid, last_line, errors } = await takeRows(
        world,
        callerOf(request),
        id,
        linesOf(request, request.query.first_line ?? null, signal, world),
        signal,
      )
      return { received, added, known: received - added, invalid, last_line, errors }
    },
  )
}

function linesOf(
  request: FastifyRequest,
  firstLine: number | null,
  signal: AbortSignal,
  { limits }: Pick<IntakeWorld, 'limits'>,
) {
  refuseContentEncoding(request.headers)
  const type = essenceOf(request.headers['content-type'])
  const bytes = requestBytes(request.raw, signal)
  if (type !== null && JSON_LINES.has(type)) return jsonLines(bytes, firstLine ?? 1, limits)
  if (type === CSV) return csvLines(bytes, firstLine, limits)
  throw new SluiceError('content_type_unsupported', 'Send rows as application/x-ndjson or as text/csv.')
}
