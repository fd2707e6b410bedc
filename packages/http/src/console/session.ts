import { randomBytes } from 'node:crypto'
import cookie from '@fastify/cookie'
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify'
import { type Caller, type Database, isUuid, type TokenId } from '@sluice/core'

const SESSION_MS_MAX = 12 * 60 * 60 * 1000

export interface Sessions {
  open(reply: FastifyReply, caller: Caller): void
  /** Null when there is no session, or its time is over, or its token is no longer an admin's or valid at all. */
  find(request: FastifyRequest): Promise<Caller | null>
  close(reply: FastifyReply): void
}

/**
 * A session is a token's id and an end, in a cookie that is signed with a secret of this process: a restart ends all
 * sessions. The token is asked for again at each request, so revoking it ends its sessions at once.
 */
export async function openSessions(app: FastifyInstance, database: Database, isHttps: boolean): Promise<Sessions> {
  await app.register(cookie, { secret: randomBytes(32) })
  // Browsers accept the prefix only from https, for the whole host and from the host itself (RFC 6265bis §4.1.3.2).
  const name = isHttps ? '__Host-sluice_console' : 'sluice_console'
  const attributes = { path: '/', httpOnly: true, sameSite: 'strict', secure: isHttps } as const
  return {
    open(reply, { tokenId }) {
      const session = `${tokenId}_${Date.now() + SESSION_MS_MAX}`
      void reply.setCookie(name, session, { ...attributes, signed: true, maxAge: SESSION_MS_MAX / 1000 })
    },
    async find(request) {
      const tokenId = readSession(request, name)
      const caller = tokenId && (await database.tokens.findActive(tokenId))
      return caller?.role === 'admin' ? caller : null
    },
    close(reply) {
      void reply.clearCookie(name, attributes)
    },
  }
}

/** The end is inside what is signed: a browser may keep a cookie for as long as it likes. */
function readSession(request: FastifyRequest, name: string): TokenId | null {
  const { value } = request.unsignCookie(request.cookies[name] ?? '')
  const [tokenId = '', end] = value?.split('_') ?? []
  return isUuid(tokenId) && Number(end) > Date.now() ? (tokenId as TokenId) : null
}
