import formbody from '@fastify/formbody'
import rateLimit from '@fastify/rate-limit'
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify'
import { type Caller, type Database, hashToken } from '@sluice/core'
import { type Html, html } from './html.ts'
import { sendPage } from './layout.ts'
import { localPath } from './local-path.ts'
import type { Sessions } from './session.ts'

/** Per address (an IPv6 client is its /64 network). A token cannot be guessed at any rate; this keeps guessing cheap for us. */
const ATTEMPTS = { max: 10, timeWindow: 60_000, cache: 10_000 } as const

export async function loginRoutes(
  app: FastifyInstance,
  { database, sessions }: { database: Database; sessions: Sessions },
): Promise<void> {
  await app.register(formbody, { bodyLimit: 4_096 })
  await app.register(rateLimit, { global: false, ...ATTEMPTS })
  const countAttempt = app.createRateLimit()

  app.get('/login', { config: { access: 'public' } }, async (request, reply) => {
    return sendLogin(request, reply, { status: 200, problem: null, next: fieldOf(request.query, 'next') })
  })

  app.post('/login', { config: { access: 'public' } }, async (request, reply) => {
    const next = fieldOf(request.body, 'next')
    const attempts = await countAttempt(request)
    if (!attempts.isAllowed && attempts.isExceeded) {
      void reply.header('retry-after', attempts.ttlInSeconds)
      const problem = `Too many attempts. Try again in ${attempts.ttlInSeconds} seconds.`
      return sendLogin(request, reply, { status: 429, problem, next })
    }
    const caller = await database.tokens.authenticate(hashToken(fieldOf(request.body, 'token').trim()))
    if (caller?.role !== 'admin') {
      request.log.warn({ address: request.ip, tokenId: caller?.tokenId }, 'console login refused')
      return sendLogin(request, reply, { ...refusalOf(caller), next })
    }
    sessions.open(reply, caller)
    request.log.info({ address: request.ip, tokenId: caller.tokenId }, 'console login')
    return reply.redirect(localPath(next), 303)
  })

  app.post('/logout', async (_request, reply) => {
    sessions.close(reply)
    return reply.redirect('/login', 303)
  })
}

function refusalOf(caller: Caller | null): { status: number; problem: string } {
  return caller
    ? { status: 403, problem: `This needs the token of an admin; yours is a ${caller.role}.` }
    : { status: 401, problem: 'This token is unknown, expired or revoked.' }
}

interface Login {
  readonly status: number
  readonly problem: string | null
  readonly next: string
}

function sendLogin(request: FastifyRequest, reply: FastifyReply, { status, problem, next }: Login): FastifyReply {
  return sendPage(request, reply, { title: 'Log in', status, content: loginForm(problem, next) })
}

function loginForm(problem: string | null, next: string): Html {
  return html`<form class="login card" method="post" action="/login">
    <h1>Log in</h1>
    ${problem !== null && html`<p class="alert" role="alert">${problem}</p>`}
    <label for="token">Token of an admin</label>
    <input
      id="token"
      name="token"
      type="password"
      autocomplete="current-password"
      spellcheck="false"
      maxlength="512"
      required
      autofocus
    />
    ${localPath(next) !== '/' && html`<input type="hidden" name="next" value="${localPath(next)}" />`}
    <button class="primary">Log in</button>
    <p class="hint">You stay logged in for 12 hours, or until the token is revoked or the console restarts.</p>
  </form>`
}

/** A field that was sent once, as text. */
function fieldOf(fields: unknown, name: string): string {
  if (typeof fields !== 'object' || fields === null) return ''
  const value: unknown = Reflect.get(fields, name)
  return typeof value === 'string' ? value : ''
}
