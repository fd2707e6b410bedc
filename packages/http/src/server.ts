import Fastify, { type FastifyBaseLogger, type FastifyInstance } from 'fastify'
import { type IntakeWorld, type Limits, SluiceError } from '@sluice/core'
import { nativeApi } from './native/index.ts'
import { handleError, sendProblem } from './problem.ts'

export interface ServerOptions {
  readonly world: IntakeWorld
  readonly logger: FastifyBaseLogger
}

/** How long a client may go on sending a body that was answered already, so that it can read the answer first. */
const LINGER_MS = 1_000

/** The public server: the native API, and nothing that only operators may see. */
export async function buildServer({ world, logger }: ServerOptions): Promise<FastifyInstance> {
  const app = bareServer(world.limits, logger)
  await app.register(nativeApi, { world })
  return app
}

/** Fastify with timeouts (its own defaults are none), bounds, our errors, and nothing else. */
export function bareServer(limits: Limits, logger: FastifyBaseLogger): FastifyInstance {
  const app = Fastify({
    loggerInstance: logger,
    disableRequestLogging: true,
    bodyLimit: limits.envelopeBytesMax,
    requestTimeout: limits.requestMsMax,
    keepAliveTimeout: 10_000,
    // Node looks for late requests only every 30 s by default, whatever the timeouts say.
    http: { connectionsCheckingInterval: 1_000, headersTimeout: 10_000 },
    routerOptions: { maxParamLength: 1_024, ignoreTrailingSlash: true },
    forceCloseConnections: 'idle',
    frameworkErrors: (error, request, reply) => void handleError(error, request, reply),
  })
  app.decorateRequest('caller', null)
  app.setErrorHandler(handleError)
  app.setNotFoundHandler((_request, reply) => sendProblem(reply, new SluiceError('route_unknown')))
  app.addHook('onSend', async (request, reply) => {
    void reply.header('x-content-type-options', 'nosniff')
    // What is left of a refused upload is not read: the connection ends once the client has had time for the answer.
    if (!request.raw.complete && hasBody(request.headers)) void reply.header('connection', 'close')
  })
  app.addHook('onResponse', async (request) => {
    if (!request.raw.complete && hasBody(request.headers)) setTimeout(() => request.raw.destroy(), LINGER_MS).unref()
  })
  return app
}

function hasBody(headers: Record<string, unknown>): boolean {
  return headers['transfer-encoding'] !== undefined || (headers['content-length'] ?? '0') !== '0'
}
