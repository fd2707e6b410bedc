import type { FastifyInstance, FastifyRequest } from 'fastify'
import {
  type HookFault,
  type HookMapping,
  type HookSource,
  type HookSourceId,
  type HookVerifier,
  isUuid,
  mappingFaults,
  previewEvent,
  sealSecret,
  SluiceError,
} from '@sluice/core'
import { Type, type Static } from 'typebox'
import { callerOf } from '../authenticate.ts'
import { publicUrl } from '../dialect.ts'
import { rawBody, takeRawBodies } from '../hooks/raw-bodies.ts'
import { keptHeaders, secretFault } from '../hooks/verify.ts'
import type { NativeOptions } from './index.ts'
import * as hooks from './hook-schemas.ts'
import { dryRunView, hookSourcePath, hookSourceView } from './hook-views.ts'
import * as schemas from './schemas.ts'

export const SourceParams = Type.Object({ source: Type.String({ description: 'The id of the source' }) })

type SourceRequest = FastifyRequest<{ Params: Static<typeof SourceParams> }>

/** Who may send events, and what they mean. */
export async function hookSourceRoutes(app: FastifyInstance, { world }: NativeOptions): Promise<void> {
  const { database, limits, newId, secretKey } = world
  const fields = hooks.sourceFields(limits)
  const { enabled, ...needed } = fields
  const NewSource = Type.Object({ ...needed, enabled: Type.Optional(enabled) }, { additionalProperties: false })
  const Change = Type.Partial(Type.Object(fields), { additionalProperties: false, minProperties: 1 })
  const tags = ['Webhooks in']
  const view = (request: FastifyRequest, source: HookSource) => hookSourceView(source, publicUrl(request, world))

  app.post<{ Body: Static<typeof NewSource> }>(
    '/hook-sources',
    {
      config: { access: 'admin' },
      schema: {
        tags,
        summary: 'Define a source of events',
        body: NewSource,
        response: { 201: hooks.HookSource, ...schemas.problems(400, 413, 415, 422) },
      },
    },
    async (request, reply) => {
      const { tenantId, tokenId } = callerOf(request)
      const { name, secrets } = request.body
      const id = newId() as HookSourceId
      const verifier = verifierOf(request.body.verifier)
      const mapping = request.body.mapping as HookMapping
      check(verifier, mapping, secrets)
      const sealed = secrets.map((secret) => sealSecret(secretKey, id, secret))
      const given = { id, tenantId, tokenId, name, verifier, secrets: sealed, mapping, enabled: request.body.enabled ?? true }
      const source = await database.hooks.createSource(given, limits.hookSourcesMax)
      return reply.code(201).header('location', hookSourcePath(id)).send(view(request, source))
    },
  )

  app.get(
    '/hook-sources',
    {
      config: { access: 'reader' },
      schema: {
        tags,
        summary: 'List the sources of events, newest first',
        response: { 200: Type.Object({ items: Type.Array(hooks.HookSource) }), ...schemas.problems() },
      },
    },
    async (request) => ({
      items: (await database.hooks.listSources(callerOf(request).tenantId)).map((source) => view(request, source)),
    }),
  )

  app.get(
    '/hook-sources/:source',
    {
      config: { access: 'reader' },
      schema: {
        tags,
        summary: 'Read a source of events',
        params: SourceParams,
        response: { 200: hooks.HookSource, ...schemas.problems(404) },
      },
    },
    async (request: SourceRequest) => view(request, await findSource(world, request)),
  )

  app.patch<{ Params: Static<typeof SourceParams>; Body: Static<typeof Change> }>(
    '/hook-sources/:source',
    {
      config: { access: 'admin' },
      schema: {
        tags,
        summary: 'Change a source of events',
        description: 'Only what is given changes. Events that are in quarantine stay there until they are received again.',
        params: SourceParams,
        body: Change,
        response: { 200: hooks.HookSource, ...schemas.problems(400, 404, 413, 415) },
      },
    },
    async (request) => {
      const source = await findSource(world, request)
      const { verifier: givenVerifier, mapping: givenMapping, secrets, ...rest } = request.body
      const verifier = givenVerifier ? verifierOf(givenVerifier) : source.verifier
      const mapping = givenMapping ? (givenMapping as HookMapping) : source.mapping
      check(verifier, mapping, secrets ?? [])
      const sealed = secrets && { secrets: secrets.map((secret) => sealSecret(secretKey, source.id, secret)) }
      return view(
        request,
        await database.hooks.updateSource(source.tenantId, source.id, { ...rest, verifier, mapping, ...sealed }),
      )
    },
  )

  app.delete(
    '/hook-sources/:source',
    {
      config: { access: 'admin' },
      schema: {
        tags,
        summary: 'Remove a source, with its events',
        description: 'What they have brought stays.',
        params: SourceParams,
        response: { 204: Type.Null(), ...schemas.problems(400, 404, 415) },
      },
    },
    async (request: SourceRequest, reply) => {
      const { tenantId, id } = await findSource(world, request)
      await database.hooks.removeSource(tenantId, id)
      return reply.code(204).send()
    },
  )

  await app.register(dryRunRoute, { world })
}

async function dryRunRoute(app: FastifyInstance, { world }: Pick<NativeOptions, 'world'>): Promise<void> {
  const { limits } = world
  takeRawBodies(app)
  app.post<{ Params: Static<typeof SourceParams> }>(
    '/hook-sources/:source/dry-run',
    {
      config: { access: 'admin' },
      bodyLimit: limits.hookBodyBytesMax,
      schema: {
        tags: ['Webhooks in'],
        summary: 'Show what an event would do, without doing it',
        description: 'The body is the event as the sender would send it, unsigned; so are the headers that the mapping asks for.',
        params: SourceParams,
        response: { 200: hooks.DryRun, ...schemas.problems(400, 404, 413, 415) },
      },
    },
    async (request) => {
      const source = await findSource(world, request)
      const event = { headers: keptHeaders(request.headers, limits), body: rawBody(request) }
      return dryRunView(await previewEvent(world, source, event))
    },
  )
}

/** Throws `hook_source_unknown`, for another tenant's source as well. */
export async function findSource({ database }: NativeOptions['world'], request: SourceRequest): Promise<HookSource> {
  const { source: id } = request.params
  const source = isUuid(id) ? await database.hooks.findSource(callerOf(request).tenantId, id.toLowerCase() as HookSourceId) : null
  if (!source) throw new SluiceError('hook_source_unknown')
  return source
}

function verifierOf(given: Static<typeof hooks.Verifier>): HookVerifier {
  if (given.kind !== 'hmac') return given
  const timestampHeader = given.timestamp_header?.toLowerCase() ?? null
  return {
    kind: 'hmac',
    header: given.header.toLowerCase(),
    algorithm: given.algorithm ?? 'sha256',
    encoding: given.encoding ?? 'hex',
    prefix: given.prefix ?? '',
    timestampHeader,
    signed: given.signed ?? (timestampHeader === null ? '{body}' : '{timestamp}.{body}'),
    idHeader: given.id_header?.toLowerCase() ?? null,
  }
}

/** Throws `request_invalid` with all that is wrong, by field. */
function check(verifier: HookVerifier, mapping: HookMapping, secrets: readonly string[]): void {
  const errors: HookFault[] = mappingFaults(mapping).map(({ field, message }) => ({ field: `mapping.${field}`, message }))
  for (const [index, secret] of secrets.entries()) {
    const message = secretFault(verifier, secret)
    if (message !== null) errors.push({ field: `secrets.${index}`, message })
  }
  if (verifier.kind === 'hmac') {
    const { signed, timestampHeader } = verifier
    if (signed.split('{body}').length !== 2) errors.push({ field: 'verifier.signed', message: 'must have {body} in it, once' })
    // A time that is not signed can be changed by whoever repeats an event.
    if (signed.includes('{timestamp}') !== (timestampHeader !== null)) {
      errors.push({
        field: 'verifier.signed',
        message: 'must have {timestamp} in it if, and only if, there is a timestamp_header',
      })
    }
  }
  const [first] = errors
  if (first) throw new SluiceError('request_invalid', `${first.field} ${first.message}.`, { details: { errors } })
}
