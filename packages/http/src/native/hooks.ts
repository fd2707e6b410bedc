import type { FastifyInstance, FastifyRequest } from 'fastify'
import { type HookEventId, type HookSource, type HookSourceId, isUuid, openSecret, SluiceError } from '@sluice/core'
import { Type, type Static } from 'typebox'
import { refuseContentEncoding } from '../bodies/content-encoding.ts'
import { rawBody, takeRawBodies } from '../hooks/raw-bodies.ts'
import { keptHeaders, verifyRequest } from '../hooks/verify.ts'
import type { NativeOptions } from './index.ts'
import { HookReceipt } from './hook-schemas.ts'
import * as schemas from './schemas.ts'

const Params = Type.Object({ source: Type.String({ description: 'The id of the source' }) })

/**
 * Where events arrive. The signature is the permission. All that is done before the answer is to check it and to keep the event,
 * which is one insert: however much waits to be processed, a sender does not wait for it.
 */
export async function hookRoutes(app: FastifyInstance, { world }: NativeOptions): Promise<void> {
  const { database, limits, observer } = world
  takeRawBodies(app)

  app.post<{ Params: Static<typeof Params> }>(
    '/hooks/:source',
    {
      config: { access: 'public' },
      bodyLimit: limits.hookBodyBytesMax,
      schema: {
        tags: ['Webhooks in'],
        summary: 'Receive an event',
        description: 'For senders. Answered as soon as the event is kept; the same event again is known, and changes nothing.',
        security: [],
        params: Params,
        response: { 200: HookReceipt, ...schemas.problems(400, 404, 413, 415) },
      },
    },
    async (request) => {
      refuseContentEncoding(request.headers)
      const source = await findSource(request.params.source)
      const body = rawBody(request)
      const secrets = clearSecrets(source, request)
      const options = { secrets, now: world.now(), skewMs: limits.hookSkewMsMax }
      const verified = verifyRequest(source.verifier, { headers: request.headers, body }, options)
      const event = {
        ...verified,
        id: world.newId() as HookEventId,
        tenantId: source.tenantId,
        sourceId: source.id,
        headers: keptHeaders(request.headers, limits),
        body,
      }
      const isNew = await database.hooks.receive(event)
      observer.observe({ kind: 'hook.received', sourceId: source.id, isNew })
      return { status: isNew ? 'received' : 'known' }
    },
  )

  async function findSource(id: string): Promise<HookSource> {
    const source = isUuid(id) ? await database.hooks.findSourceByAddress(id.toLowerCase() as HookSourceId) : null
    if (!source) throw new SluiceError('hook_source_unknown')
    return source
  }

  function clearSecrets({ id, secrets }: HookSource, request: FastifyRequest): readonly string[] {
    const opened = secrets.map((sealed) => openSecret(world.secretKey, id, sealed)).filter((secret) => secret !== null)
    if (opened.length < secrets.length) {
      request.log.error({ source: id }, 'a secret cannot be opened: it was sealed under another SLUICE_SECRET_KEY')
    }
    return opened
  }
}
