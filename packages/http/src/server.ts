import type { FastifyBaseLogger, FastifyInstance } from 'fastify'
import type { IntakeWorld } from '@sluice/core'
import { boundBodies } from './body-deadline.ts'
import { bareServer, type ErrorHandler } from './bare-server.ts'
import { nativeApi } from './native/index.ts'
import { type DialectContext, dialectAt } from './dialect.ts'
import { DIALECTS } from './dialects.ts'
import { refuseAbsurdHosts } from './host.ts'
import { mediaRoutes } from './media-links.ts'
import { handleError } from './problem.ts'
import { limitTokens } from './token-limit.ts'
import { refuseUnknownAddresses } from './unknown-addresses.ts'

export interface ServerOptions {
  readonly world: IntakeWorld
  readonly logger: FastifyBaseLogger
  readonly trustedProxies?: readonly string[]
}

/** The public server: the native API and the dialects, and nothing that only operators may see. */
export async function buildServer({ world, logger, trustedProxies = [] }: ServerOptions): Promise<FastifyInstance> {
  const onError: ErrorHandler = (error, request, reply) =>
    (dialectAt(DIALECTS, request.url)?.answerError ?? handleError)(error, request, reply)
  const app = bareServer(world.limits, logger, { onError, trustedProxies })
  refuseAbsurdHosts(app, world)
  refuseUnknownAddresses(app)
  limitTokens(app, world)
  boundBodies(app, world.limits)
  letAdmittedContinue(app)
  const closing = new AbortController()
  app.addHook('preClose', async () => closing.abort())
  const context: DialectContext = { world, closing: closing.signal }
  await app.register(nativeApi, context)
  for (const dialect of DIALECTS) await app.register((scope) => dialect.register(scope, context))
  mediaRoutes(app, world)
  return app
}

/**
 * Node tells every client that waits with its body to go on (`Expect: 100-continue`). Here only those are told who have passed all that
 * looks at the head of a request, so that the others need not send what is refused anyway.
 */
function letAdmittedContinue(app: FastifyInstance): void {
  app.server.on('checkContinue', (request, response) => app.server.emit('request', request, response))
  app.addHook('preParsing', async ({ headers }, reply) => {
    if (headers.expect?.toLowerCase() === '100-continue') reply.raw.writeContinue()
  })
}
