import type { FastifyInstance } from 'fastify'
import { HOOK_EVENT_STATES, type HookEventFilter, type HookEventId, isUuid, SluiceError } from '@sluice/core'
import { Type, type Static } from 'typebox'
import { findSource, SourceParams } from './hook-sources.ts'
import type { NativeOptions } from './index.ts'
import { instant } from './ingest-filter.ts'
import { nextPage } from './ingests.ts'
import * as hooks from './hook-schemas.ts'
import { hookEventView, hookEventWithBodyView } from './hook-views.ts'
import * as schemas from './schemas.ts'

const EventParams = Type.Object({ ...SourceParams.properties, event: Type.String({ description: 'The id of the event' }) })

const REDRIVEN_BY_ID_MAX = 1_000

/** What has arrived, and what became of it. */
export async function hookEventRoutes(app: FastifyInstance, { world }: NativeOptions): Promise<void> {
  const { database, limits } = world
  const tags = ['Webhooks in']
  const times = {
    from: Type.Optional(Type.String({ format: 'date-time' })),
    to: Type.Optional(Type.String({ format: 'date-time' })),
  }
  const Query = Type.Object(
    {
      state: Type.Optional(Type.Array(Type.Enum([...HOOK_EVENT_STATES]))),
      ...times,
      before: Type.Optional(Type.String({ format: 'uuid', description: 'The last id of the page before.' })),
      limit: Type.Optional(Type.Integer({ minimum: 1, maximum: limits.pageItemsMax, default: 50 })),
    },
    { additionalProperties: false },
  )
  const Redrive = Type.Object(
    { events: Type.Optional(Type.Array(Type.String({ format: 'uuid' }), { maxItems: REDRIVEN_BY_ID_MAX })), ...times },
    { additionalProperties: false },
  )

  app.get<{ Params: Static<typeof SourceParams>; Querystring: Static<typeof Query> }>(
    '/hook-sources/:source/events',
    {
      config: { access: 'reader' },
      schema: {
        tags,
        summary: 'List events, newest first',
        params: SourceParams,
        querystring: Query,
        response: { 200: hooks.HookEventPage, ...schemas.problems(400, 404) },
      },
    },
    async (request) => {
      const { tenantId, id } = await findSource(world, request)
      const { state, before = null, limit = 50 } = request.query
      const filter = { ...timesOf(request.query), ...(state && { states: state }) }
      const page = { before: before as HookEventId | null, limit: limit + 1 }
      const found = await database.hooks.listEvents(tenantId, id, filter, page)
      const items = found.slice(0, limit)
      const last = items.at(-1)
      return { items: items.map(hookEventView), next: found.length > limit && last ? nextPage(request.url, last.id) : null }
    },
  )

  app.get<{ Params: Static<typeof EventParams> }>(
    '/hook-sources/:source/events/:event',
    {
      config: { access: 'reader' },
      schema: {
        tags,
        summary: 'Read an event with its body',
        params: EventParams,
        response: { 200: hooks.HookEventWithBody, ...schemas.problems(404) },
      },
    },
    async (request) => {
      const { tenantId, id } = await findSource(world, request)
      const { event: eventId } = request.params
      const event = isUuid(eventId) ? await database.hooks.findEvent(tenantId, id, eventId.toLowerCase() as HookEventId) : null
      if (!event) throw new SluiceError('hook_event_unknown')
      return hookEventWithBodyView(event)
    },
  )

  app.post<{ Params: Static<typeof SourceParams>; Body: Static<typeof Redrive> }>(
    '/hook-sources/:source/redrive',
    {
      config: { access: 'admin' },
      schema: {
        tags,
        summary: 'Receive events of the quarantine again',
        description: `All of them, those of a time, or those that are named; ${limits.redriveMax} at most. What they have brought already is not brought again.`,
        params: SourceParams,
        body: Redrive,
        response: { 202: Type.Object({ events: Type.Integer() }), ...schemas.problems(400, 404, 413, 415) },
      },
    },
    async (request, reply) => {
      const { tenantId, id } = await findSource(world, request)
      const { events: ids } = request.body
      const filter = { ...timesOf(request.body), ...(ids && { ids: ids.map((each) => each.toLowerCase() as HookEventId) }) }
      const events = await database.hooks.redrive(tenantId, id, filter, limits.redriveMax)
      return reply.code(202).send({ events })
    },
  )
}

function timesOf({ from, to }: { readonly from?: string; readonly to?: string }): HookEventFilter {
  return {
    ...(from !== undefined && { receivedFrom: instant('from', from) }),
    ...(to !== undefined && { receivedTo: instant('to', to) }),
  }
}
