/** Where rows come in. */
import type { FastifyInstance, FastifyRequest } from 'fastify'
import { essenceOf, type IntakeWorld, SluiceError } from '@sluice/core'
import { Type, type Static } from 'typebox'
import { callerOf } from '../authenticate.ts'
import { refuseContentEncoding } from '../bodies/content-encoding.ts'
import { requestBytes } from '../bodies/request-bytes.ts'
import { deadlineOf } from '../body-deadline.ts'
import { compileValidator } from '../validation.ts'
import { findImport } from './find-import.ts'
import { takeRows } from './import-intake.ts'
import { csvLines, jsonLines } from './import-lines.ts'
import * as shapes from './import-schemas.ts'
import type { NativeOptions } from './index.ts'
import * as schemas from './schemas.ts'

const JSON_LINES: ReadonlySet<string> = new Set([
  'application/x-ndjson',
  'application/ndjson',
  'application/jsonl',
  'application/json-lines',
])
const CSV = 'text/csv'

export async function importRowsRoute(app: FastifyInstance, { world }: NativeOptions): Promise<void> {
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
        tags: ['Imports'],
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
      const signal = deadlineOf(request)
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
