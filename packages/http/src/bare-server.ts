import Fastify, { type FastifyBaseLogger, type FastifyInstance, LogController } from 'fastify'
import { type Limits, SluiceError } from '@sluice/core'
import { discardRest } from './bodies/request-bytes.ts'
import { answerClientError } from './client-errors.ts'
import { pathOf } from './host.ts'
import { handleError } from './problem.ts'
import { compileValidator } from './validation.ts'

export type ErrorHandler = typeof handleError

/** Of every answer that does not say otherwise: it is what it says it is, is no page, and no other site may show it. */
const HEADERS = {
  'x-content-type-options': 'nosniff',
  'content-security-policy': "default-src 'none'; frame-ancestors 'none'",
  'cross-origin-resource-policy': 'same-origin',
  'referrer-policy': 'no-referrer',
}

interface BareOptions {
  readonly onError?: ErrorHandler
  /** Addresses and networks. What they say of who asks is believed: `X-Forwarded-For`, and that it came by https. */
  readonly trustedProxies?: readonly string[]
}

const SILENCE_MARGIN_MS = 1_000

/** Fastify with timeouts (its own defaults are none), bounds, our errors, and nothing else. */
export function bareServer(
  limits: Limits,
  logger: FastifyBaseLogger,
  { onError = handleError, trustedProxies = [] }: BareOptions = {},
): FastifyInstance {
  const app = Fastify({
    loggerInstance: logger,
    logController: new LogController({ disableRequestLogging: true }),
    bodyLimit: limits.envelopeBytesMax,
    trustProxy: trustedProxies.length > 0 && [...trustedProxies],
    requestTimeout: limits.requestMsMax,
    // A client that asks for an image and does not read it holds a file or a connection to the store. Who follows events may hear
    // nothing for long.
    connectionTimeout: Math.max(limits.eventsMsMax, limits.waitMsMax) + SILENCE_MARGIN_MS,
    keepAliveTimeout: 10_000,
    // Node looks for late requests only every 30 s by default, whatever the timeouts say.
    http: { connectionsCheckingInterval: 1_000, headersTimeout: 10_000 },
    routerOptions: { maxParamLength: 1_024, ignoreTrailingSlash: true },
    forceCloseConnections: 'idle',
    rewriteUrl: ({ url = '/' }) => pathOf(url),
    clientErrorHandler: answerClientError,
    frameworkErrors: (error, request, reply) => void onError(error, request, reply),
  })
  // What comes beyond is closed at once, before it costs more than that.
  app.server.maxConnections = limits.connectionsMax
  app.decorateRequest('caller', null)
  app.setValidatorCompiler(compileValidator)
  app.setErrorHandler(onError)
  app.setNotFoundHandler((request, reply) => onError(new SluiceError('route_unknown'), request, reply))
  app.addHook('onSend', async (_request, reply) => {
    for (const [name, value] of Object.entries(HEADERS)) if (!reply.hasHeader(name)) void reply.header(name, value)
  })
  // Many clients read the answer only when they have sent everything, so what is left of a refused upload is read and dropped.
  app.addHook('onResponse', async (request) => discardRest(request.raw, limits.fileBytesMax))
  return app
}
