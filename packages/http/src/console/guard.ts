import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify'
import { type Caller, type Database, SluiceError } from '@sluice/core'
import { authenticate, requireRole } from '../authenticate.ts'
import { localPath } from './local-path.ts'
import { isSameOrigin } from './same-origin.ts'
import type { Sessions } from './session.ts'

export interface GuardOptions {
  readonly database: Database
  readonly sessions: Sessions
  /** As browsers know it, where a proxy changes the Host header. */
  readonly ownHost: string | null
  readonly sendError: (error: Error, request: FastifyRequest, reply: FastifyReply) => FastifyReply
}

/**
 * Everything but public routes asks for an admin: a session, or a token as `Authorization: Bearer`. Addresses that do not
 * exist ask as well. It throws nothing and answers itself, because a guarded plugin brings an error handler of its own.
 */
export function guardConsole(app: FastifyInstance, { database, sessions, ownHost, sendError }: GuardOptions): void {
  app.addHook('onRequest', async (request, reply) => {
    const refusal = await admit(request).catch((error: unknown) => (error instanceof Error ? error : new Error(String(error))))
    if (refusal === null) return
    if (SluiceError.is(refusal, 'token_missing') && wantsHtml(request)) void reply.redirect(loginPath(request), 303)
    else void sendError(refusal, request, reply)
    await reply
  })

  /** Null when the request may go on. */
  async function admit(request: FastifyRequest): Promise<SluiceError | null> {
    if (isWrite(request) && !hasBearer(request) && !isSameOrigin(request, ownHost)) {
      return new SluiceError('access_forbidden', 'This must be sent by a page of the console itself.')
    }
    if (request.routeOptions.config.access === 'public') return null
    request.caller = await findAdmin(request, database, sessions)
    if (!request.caller) return new SluiceError('token_missing', 'Log in, or send "Authorization: Bearer <token of an admin>".')
    return request.is404 ? new SluiceError('route_unknown') : null
  }
}

async function findAdmin(request: FastifyRequest, database: Database, sessions: Sessions): Promise<Caller | null> {
  if (!hasBearer(request)) return sessions.find(request)
  const caller = await authenticate(database, request.headers.authorization, 'Bearer')
  requireRole(caller, 'admin')
  return caller
}

/** A browser never adds this header by itself, so such a request cannot be forged by another site. */
function hasBearer(request: FastifyRequest): boolean {
  return /^bearer /i.test(request.headers.authorization ?? '')
}

function isWrite({ method }: FastifyRequest): boolean {
  return method !== 'GET' && method !== 'HEAD' && method !== 'OPTIONS'
}

export function wantsHtml({ headers }: FastifyRequest): boolean {
  return headers.accept?.includes('text/html') ?? false
}

/** Back to the page that was asked for, where it can be asked for again. */
function loginPath(request: FastifyRequest): string {
  const next = isWrite(request) ? '/' : localPath(request.url)
  return next === '/' ? '/login' : `/login?next=${encodeURIComponent(next)}`
}
