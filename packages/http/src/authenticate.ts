import type { FastifyInstance, FastifyRequest } from 'fastify'
import { type Caller, type Database, hashToken, SluiceError, type TokenId, type TokenRole } from '@sluice/core'

/** What a route asks of the token: `public` asks for none. A route that says nothing is not built. */
type Access = TokenRole | 'public'

declare module 'fastify' {
  interface FastifyContextConfig {
    access?: Access
    /** Says in words of a dialect that the method means nothing here: it is not one that is allowed. */
    isMissing?: boolean
  }
  interface FastifyRequest {
    caller: Caller | null
  }
}

/** The token of a guest: no uuid of a token is all zeros. */
export const NOBODY = '00000000-0000-0000-0000-000000000000' as TokenId

const RANK: Readonly<Record<TokenRole, number>> = { reader: 1, writer: 2, admin: 3 }

/** Throws `access_forbidden` when the role is below what is needed. */
export function requireRole(caller: Caller, needed: TokenRole): void {
  if (RANK[caller.role] < RANK[needed]) {
    throw new SluiceError('access_forbidden', `This needs a token with the role ${needed}; yours is a ${caller.role}.`)
  }
}

/** The caller behind `Authorization: <scheme> <token>`; the scheme's case does not matter (RFC 9110 §11.1). */
export async function authenticate(database: Database, authorization: string | undefined, scheme: string): Promise<Caller> {
  if (authorization === undefined) throw new SluiceError('token_missing', `Send the token as "Authorization: ${scheme} <token>".`)
  const [given, secret, ...rest] = authorization.trim().split(/\s+/)
  if (given?.toLowerCase() !== scheme.toLowerCase() || !secret || rest.length > 0) {
    throw new SluiceError('token_invalid', `The Authorization header must read "${scheme} <token>".`)
  }
  const caller = await database.tokens.authenticate(hashToken(secret))
  if (!caller) throw new SluiceError('token_invalid', 'The token is unknown, expired or revoked.')
  return caller
}

/** Denies by default: every route of the scope must declare its access, and is asked for it before its body is read. */
export function guardRoutes(app: FastifyInstance, identify: (request: FastifyRequest) => Promise<Caller>): void {
  app.addHook('onRoute', ({ config, method, url }) => {
    if (!config?.access) throw new Error(`${String(method)} ${url} does not declare who may call it`)
  })
  app.addHook('onRequest', async (request) => {
    const access = request.routeOptions.config.access
    if (access === 'public') return
    request.caller = await identify(request)
    requireRole(request.caller, access ?? 'admin')
  })
}

/** The caller of a guarded route. */
export function callerOf(request: FastifyRequest): Caller {
  if (!request.caller) throw new SluiceError('token_missing')
  return request.caller
}
