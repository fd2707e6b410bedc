import type { FastifyInstance } from 'fastify'
import { type IngestId, replayFailed, replayIngest, type Replays, replayThese, SluiceError } from '@sluice/core'
import { Type, type Static } from 'typebox'
import { callerOf } from '../authenticate.ts'
import type { NativeOptions } from './index.ts'
import { filterFields, filterOf, ingestId, IngestParams, type IngestRequest } from './ingest-filter.ts'
import * as schemas from './schemas.ts'
import { ingestView } from './views.ts'

/** A second try for what was given up: of one, of those that are named, or of all that a filter lets through. */
export async function ingestReplayRoutes(app: FastifyInstance, { world }: NativeOptions): Promise<void> {
  const { limits } = world
  const Ask = Type.Object(
    {
      ids: Type.Optional(
        Type.Array(Type.String({ format: 'uuid' }), {
          maxItems: limits.replayMax,
          description: 'These, and no filter beside them.',
        }),
      ),
      ...filterFields,
      dry_run: Type.Optional(Type.Boolean({ description: 'Only say what would be done.', default: false })),
      before: Type.Optional(Type.String({ format: 'uuid', description: 'The `next` of the answer before.' })),
      limit: Type.Optional(Type.Integer({ minimum: 1, maximum: limits.replayMax, default: REPLAYED_BY_DEFAULT })),
    },
    { additionalProperties: false },
  )

  app.post(
    '/ingests/:ingest/replay',
    {
      config: { access: 'writer' },
      schema: {
        tags: ['Ingests'],
        summary: 'Try a failed ingest again',
        params: IngestParams,
        response: { 202: schemas.Ingest, ...schemas.problems(400, 404, 409, 410, 413, 415) },
      },
    },
    async (request: IngestRequest, reply) => {
      const ingest = ingestView(await replayIngest(world, callerOf(request).tenantId, ingestId(request)))
      return reply.code(202).header('location', ingest.links.self).send(ingest)
    },
  )

  app.post<{ Body: Static<typeof Ask> }>(
    '/ingests/replay',
    {
      config: { access: 'writer' },
      schema: {
        tags: ['Ingests'],
        summary: 'Try failed ingests again',
        description:
          'All that have failed, those of them that the filter lets through, or those that are named; what is not failed is not replayed. Newest first, `limit` at a time: repeat it with `before` while there is a `next`. To repeat it otherwise is harmless: what was replayed is not failed any more.',
        body: Ask,
        response: { 200: ReplayAnswer, 202: ReplayAnswer, ...schemas.problems(400, 413, 415) },
      },
    },
    async (request, reply) => {
      const { tenantId } = callerOf(request)
      const { ids, dry_run: isDryRun = false, before = null, limit = REPLAYED_BY_DEFAULT, ...filter } = request.body
      if (ids) checkAlone({ ...filter, before })
      const replays = ids
        ? await replayThese(world, tenantId, ids.map(idOf), isDryRun)
        : await replayFailed(world, tenantId, {
            filter: filterOf(filter),
            before: before === null ? null : idOf(before),
            limit,
            isDryRun,
          })
      return reply.code(isDryRun ? 200 : 202).send(replaysView(replays))
    },
  )
}

const REPLAYED_BY_DEFAULT = 100

const ReplayAnswer = Type.Object(
  {
    matched: Type.Integer({ description: 'Those that were looked at.' }),
    replayed: Type.Integer({ description: '0 in a dry run.' }),
    refused: Type.Array(
      Type.Object({
        id: Type.String({ format: 'uuid' }),
        code: Type.String({ description: 'Stable; meant for programs.' }),
        detail: Type.String({ description: 'Why, and what to do.' }),
      }),
    ),
    next: schemas.nullable(Type.String({ format: 'uuid', description: 'To go on: the `before` of the next request.' })),
  },
  { title: 'Replays' },
)

function replaysView({ matched, replayed, refused, next }: Replays): Static<typeof ReplayAnswer> {
  return { matched, replayed: replayed.length, refused: [...refused], next }
}

const idOf = (id: string) => id.toLowerCase() as IngestId

/** Ids together with a filter could mean two things, and one of them replays too much. */
function checkAlone(others: Readonly<Record<string, unknown>>): void {
  const [field] = Object.entries(others).find(([, value]) => value !== undefined && value !== null) ?? []
  if (field === undefined) return
  const message = 'must not be given together with ids'
  throw new SluiceError('request_invalid', `${field} ${message}.`, { details: { errors: [{ field, message }] } })
}
