/** What a dialect is: a foreign API over the same core, in a folder of its own and in the list of `dialects.ts`. */
import type { FastifyError, FastifyInstance, FastifyReply, FastifyRequest } from 'fastify'
import type { Caller, ErrorCode, IntakeWorld, SluiceError } from '@sluice/core'
import { guardRoutes } from './authenticate.ts'
import { asSluiceError, retryAfterOf } from './problem.ts'

export { publicUrl } from './host.ts'

export interface DialectContext {
  readonly world: IntakeWorld
  /** Aborted when the server stops: nobody is kept waiting for what may come after it. */
  readonly closing: AbortSignal
}

/** `Wire` is an error as that API says it. */
interface DialectDefinition<Wire> {
  readonly name: string
  /** The addresses that are the dialect's, each with all that lies below it. */
  readonly prefixes: readonly string[]
  /** Who asks; throws where that API would refuse. Not asked for routes whose access is `public`. */
  readonly identify: (request: FastifyRequest, world: IntakeWorld) => Promise<Caller>
  /** Its routes, with whole addresses; each says in `config.access` who may call it. */
  readonly routes: (app: FastifyInstance, context: DialectContext) => Promise<void> | void
  /** How the API says each of our errors: a code that is missing does not compile. */
  readonly errors: Readonly<Record<ErrorCode, Wire | ((error: SluiceError, request: FastifyRequest) => Wire)>>
  readonly sendError: (reply: FastifyReply, wire: Wire) => FastifyReply
}

/** An error that only this API knows, thrown as it is to be said. */
export class WireFault<Wire> extends Error {
  override readonly name = 'WireFault'
  readonly wire: Wire

  constructor(wire: Wire, options?: { cause?: unknown }) {
    super('a fault of the request, in the words of a dialect', options)
    this.wire = wire
  }
}

export interface Dialect {
  readonly name: string
  readonly prefixes: readonly string[]
  readonly errors: Readonly<Record<ErrorCode, unknown>>
  /** Adds the routes, behind their guard. */
  readonly register: (app: FastifyInstance, context: DialectContext) => Promise<void>
  /** Says any error in the words of the dialect. Errors of 500 and above are logged; the caller learns nothing of their cause. */
  readonly answerError: (error: FastifyError | Error, request: FastifyRequest, reply: FastifyReply) => FastifyReply
}

export function defineDialect<Wire extends object>(dialect: DialectDefinition<Wire>): Dialect {
  const { name, prefixes, errors, identify, routes, sendError } = dialect
  return {
    name,
    prefixes,
    errors,
    async register(app, context) {
      guardRoutes(app, (request) => identify(request, context.world))
      await routes(app, context)
    },
    answerError(error, request, reply) {
      if (error instanceof WireFault) return sendError(reply, error.wire as Wire)
      const ours = asSluiceError(error)
      if (ours.status >= 500) request.log.error({ err: ours.cause ?? ours, code: ours.code }, 'request failed')
      const retryAfter = retryAfterOf(ours)
      if (retryAfter !== null && !reply.hasHeader('retry-after')) void reply.header('retry-after', retryAfter)
      const entry = errors[ours.code]
      return sendError(reply, typeof entry === 'function' ? entry(ours, request) : entry)
    },
  }
}

/** The dialect at an address; undefined is the native API. */
export function dialectAt(dialects: readonly Dialect[], url: string): Dialect | undefined {
  const path = url.split(/[?#]/, 1)[0] ?? ''
  const isBelow = (prefix: string) => path === prefix || path.startsWith(`${prefix}/`)
  return dialects.find(({ prefixes }) => prefixes.some(isBelow))
}

/** For routes whose handlers read the body themselves, as a stream: Fastify parses nothing in this scope and holds nothing. */
export function streamBodies(app: FastifyInstance): void {
  app.removeAllContentTypeParsers()
  app.addContentTypeParser('*', (_request, _payload, done) => done(null))
}

/** The options of a route whose body is a stream: it is limited while it is read, with and without a Content-Length. */
export const STREAMED = { bodyLimit: Number.MAX_SAFE_INTEGER } as const
