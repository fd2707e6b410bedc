import { Readable } from 'node:stream'
import type { FastifyInstance, FastifyRequest } from 'fastify'
import {
  type Database,
  type Ingest,
  type IngestFilter,
  type IngestId,
  INGEST_STATES,
  isUuid,
  type ProductRef,
  SluiceError,
  watchIngest,
} from '@sluice/core'
import { Type, type Static } from 'typebox'
import { callerOf } from '../authenticate.ts'
import type { NativeOptions } from './index.ts'
import { productRef } from './products.ts'
import * as schemas from './schemas.ts'
import { ingestView, timelineView } from './views.ts'

const IngestParams = Type.Object({ ingest: Type.String({ description: 'The id of the ingest' }) })

type IngestRequest = FastifyRequest<{ Params: Static<typeof IngestParams> }>

export async function ingestRoutes(app: FastifyInstance, { world, closing }: NativeOptions): Promise<void> {
  const { database, limits } = world

  const Query = Type.Object(
    {
      state: Type.Optional(Type.Array(Type.Enum([...INGEST_STATES]))),
      product: Type.Optional(Type.String({ description: 'UUID, integer id, `sku:<sku>`, or `model:<code>`' })),
      from: Type.Optional(Type.String({ format: 'date-time' })),
      to: Type.Optional(Type.String({ format: 'date-time' })),
      q: Type.Optional(
        Type.String({
          maxLength: 255,
          description: 'Part of a file name, label, image name or error; or a whole id, SKU or digest.',
        }),
      ),
      before: Type.Optional(Type.String({ format: 'uuid', description: 'The last id of the page before.' })),
      limit: Type.Optional(Type.Integer({ minimum: 1, maximum: limits.pageItemsMax, default: 50 })),
    },
    { additionalProperties: false },
  )

  app.get<{ Querystring: Static<typeof Query> }>(
    '/ingests',
    {
      config: { access: 'reader' },
      schema: {
        tags: ['Ingests'],
        summary: 'List ingests, newest first',
        querystring: Query,
        response: { 200: schemas.IngestPage, ...schemas.problems(400) },
      },
    },
    async (request) => {
      const { before = null, limit = 50 } = request.query
      const found = await database.ingests.list(callerOf(request).tenantId, filterOf(request.query), {
        before: before as IngestId | null,
        limit: limit + 1,
      })
      const items = found.slice(0, limit)
      const last = items.at(-1)
      return { items: items.map(ingestView), next: found.length > limit && last ? nextPage(request.url, last.id) : null }
    },
  )

  app.get(
    '/ingests/:ingest',
    {
      config: { access: 'reader' },
      schema: {
        tags: ['Ingests'],
        summary: 'Read an ingest and its timeline',
        params: IngestParams,
        response: { 200: schemas.IngestWithTimeline, ...schemas.problems(404) },
      },
    },
    async (request: IngestRequest) => withTimeline(database, await findIngest(database, request)),
  )

  app.post(
    '/ingests/:ingest/replay',
    {
      config: { access: 'writer' },
      schema: {
        tags: ['Ingests'],
        summary: 'Try a failed ingest again',
        params: IngestParams,
        response: { 202: schemas.Ingest, ...schemas.problems(400, 404, 409, 413, 415) },
      },
    },
    async (request: IngestRequest, reply) => {
      const ingest = ingestView(await database.ingests.replay(callerOf(request).tenantId, ingestId(request)))
      return reply.code(202).header('location', ingest.links.self).send(ingest)
    },
  )

  app.get(
    '/ingests/:ingest/events',
    {
      config: { access: 'reader' },
      schema: {
        tags: ['Ingests'],
        summary: 'Follow an ingest until it ends',
        description:
          'Server-sent events: one `ingest` event with the ingest and its timeline for each change; the stream closes after the last.',
        params: IngestParams,
        response: {
          200: { description: 'Events', content: { 'text/event-stream': { schema: Type.Unknown() } } },
          ...schemas.problems(404),
        },
      },
    },
    async (request: IngestRequest, reply) => {
      const ingest = await findIngest(database, request)
      const gone = new AbortController()
      reply.raw.once('close', () => gone.abort())
      const signal = AbortSignal.any([gone.signal, closing, AbortSignal.timeout(limits.eventsMsMax)])
      void reply.type('text/event-stream').header('cache-control', 'no-store').header('x-accel-buffering', 'no')
      return reply.send(Readable.from(eventsOf(database, ingest, signal)))
    },
  )
}

/** One event for each change that can be seen; the retry line tells clients how soon to come back after a cut. */
async function* eventsOf(database: Database, { tenantId, id }: Ingest, signal: AbortSignal): AsyncIterable<string> {
  yield 'retry: 2000\n\n'
  let last = ''
  for await (const ingest of watchIngest(database, tenantId, id, signal)) {
    if (!ingest) return
    const data = JSON.stringify(await withTimeline(database, ingest))
    if (data !== last) yield `event: ingest\nid: ${ingest.updatedAt.getTime()}\ndata: ${data}\n\n`
    last = data
  }
}

async function withTimeline(database: Database, ingest: Ingest) {
  const timeline = await database.ingests.timeline(ingest.tenantId, ingest.id)
  return { ...ingestView(ingest), timeline: timeline.map(timelineView) }
}

/** Throws `ingest_unknown`, for another tenant's ingest as well. */
async function findIngest(database: Database, request: IngestRequest): Promise<Ingest> {
  const ingest = await database.ingests.find(callerOf(request).tenantId, ingestId(request))
  if (!ingest) throw new SluiceError('ingest_unknown')
  return ingest
}

function ingestId(request: IngestRequest): IngestId {
  const { ingest } = request.params
  if (!isUuid(ingest)) throw new SluiceError('ingest_unknown')
  return ingest.toLowerCase() as IngestId
}

function filterOf({
  state,
  product,
  from,
  to,
  q,
}: {
  state?: IngestFilter['states']
  product?: string
  from?: string
  to?: string
  q?: string
}): IngestFilter {
  return {
    ...(state && { states: state }),
    ...(product !== undefined && { product: productFilter(product) }),
    ...(from !== undefined && { createdFrom: instant('from', from) }),
    ...(to !== undefined && { createdTo: instant('to', to) }),
    ...(q !== undefined && q !== '' && { text: q }),
  }
}

/** A product that nobody has is a filter that finds nothing; text that can name no product is a mistake. */
function productFilter(text: string): ProductRef {
  try {
    return productRef(text)
  } catch (cause) {
    throw fieldInvalid('product', 'must be a UUID, an integer id, sku:<sku>, or model:<code>', cause)
  }
}

/** RFC 3339 has leap seconds, which `Date` does not know, and offsets that lead out of the years that PostgreSQL and ISO 8601 share. */
export function instant(field: string, text: string): Date {
  const date = new Date(text)
  const year = date.getUTCFullYear()
  if (year >= 1 && year <= 9999) return date
  throw fieldInvalid(field, 'must be a time in the years 1 to 9999, without a leap second')
}

function fieldInvalid(field: string, message: string, cause?: unknown): SluiceError {
  return new SluiceError('request_invalid', `${field} ${message}.`, { details: { errors: [{ field, message }] }, cause })
}

/** The same query, from where this page ended. */
export function nextPage(url: string, last: string, parameter = 'before'): string {
  const [path = '', query = ''] = url.split('?', 2)
  const parameters = new URLSearchParams(query)
  parameters.set(parameter, last)
  return `${path}?${parameters.toString()}`
}
