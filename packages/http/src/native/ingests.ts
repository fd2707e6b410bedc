import { Readable } from 'node:stream'
import type { FastifyInstance } from 'fastify'
import { type Ingest, type IngestId, INGEST_STATES, SluiceError, watchIngest, whyWaiting } from '@sluice/core'
import { Type, type Static } from 'typebox'
import { callerOf } from '../authenticate.ts'
import type { NativeOptions } from './index.ts'
import { filterFields, filterOf, ingestId, IngestParams, type IngestRequest } from './ingest-filter.ts'
import * as schemas from './schemas.ts'
import { replayableView, timelineView, waitView } from './views.ts'

type World = NativeOptions['world']

export async function ingestRoutes(app: FastifyInstance, { world, closing }: NativeOptions): Promise<void> {
  const { database, limits } = world

  const Query = Type.Object(
    {
      state: Type.Optional(Type.Array(Type.Enum([...INGEST_STATES]))),
      ...filterFields,
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
      const { state, before = null, limit = 50 } = request.query
      const filter = { ...filterOf(request.query), ...(state && { states: state }) }
      const found = await database.ingests.list(callerOf(request).tenantId, filter, {
        before: before as IngestId | null,
        limit: limit + 1,
      })
      const items = found.slice(0, limit)
      const last = items.at(-1)
      return {
        items: items.map((ingest) => replayableView(ingest, world)),
        next: found.length > limit && last ? nextPage(request.url, last.id) : null,
      }
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
    async (request: IngestRequest) => withTimeline(world, await findIngest(world, request)),
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
      const ingest = await findIngest(world, request)
      const gone = new AbortController()
      reply.raw.once('close', () => gone.abort())
      const signal = AbortSignal.any([gone.signal, closing, AbortSignal.timeout(limits.eventsMsMax)])
      void reply.type('text/event-stream').header('cache-control', 'no-store').header('x-accel-buffering', 'no')
      return reply.send(Readable.from(eventsOf(world, ingest, signal)))
    },
  )
}

/** One event for each change that can be seen; the retry line tells clients how soon to come back after a cut. */
async function* eventsOf(world: World, { tenantId, id }: Ingest, signal: AbortSignal): AsyncIterable<string> {
  yield 'retry: 2000\n\n'
  let last = ''
  for await (const ingest of watchIngest(world.database, tenantId, id, signal)) {
    if (!ingest) return
    const data = JSON.stringify(await withTimeline(world, ingest))
    if (data !== last) yield `event: ingest\nid: ${ingest.updatedAt.getTime()}\ndata: ${data}\n\n`
    last = data
  }
}

async function withTimeline(world: World, ingest: Ingest) {
  const timeline = await world.database.ingests.timeline(ingest.tenantId, ingest.id)
  const wait = whyWaiting(ingest, world.now(), world.limits)
  return { ...replayableView(ingest, world), waiting: wait && waitView(wait), timeline: timeline.map(timelineView) }
}

/** Throws `ingest_unknown`, for another tenant's ingest as well. */
async function findIngest({ database }: World, request: IngestRequest): Promise<Ingest> {
  const ingest = await database.ingests.find(callerOf(request).tenantId, ingestId(request))
  if (!ingest) throw new SluiceError('ingest_unknown')
  return ingest
}

/** The same query, from where this page ended. */
export function nextPage(url: string, last: string, parameter = 'before'): string {
  const [path = '', query = ''] = url.split('?', 2)
  const parameters = new URLSearchParams(query)
  parameters.set(parameter, last)
  return `${path}?${parameters.toString()}`
}
