import type { FastifyInstance, FastifyRequest } from 'fastify'
import { type IntakeWorld, openRateLimit, SluiceError, type TokenId } from '@sluice/core'
import { NOBODY } from './authenticate.ts'

const CALLERS_MAX = 10_000

/**
 * How much one token may ask of this process. Asked after the token and before the body, at every route that asks for a token, so
 * that a client that has gone wild costs little and leaves room for others.
 */
export function limitTokens(app: FastifyInstance, { limits, observer }: Pick<IntakeWorld, 'limits' | 'observer'>): void {
  const { tokenRequestsPerSecond: perSecond, tokenRequestsBurst: burst, tokenRequestsAtOnceMax } = limits
  const rate = openRateLimit({ perSecond, burst, keysMax: CALLERS_MAX, nowMs: () => performance.now() })
  /** Of those who are being answered: no more than there are connections. */
  const atOnce = new Map<string, number>()

  function refuse(tokenId: TokenId, because: 'rate' | 'at_once'): SluiceError {
    observer.observe({ kind: 'request.limited', tokenId, because })
    const most = because === 'rate' ? `${perSecond} requests per second` : `${tokenRequestsAtOnceMax} requests at the same time`
    return new SluiceError('rate_exceeded', `A token may send ${most}, and this one has sent more.`)
  }

  function release(key: string): void {
    const left = (atOnce.get(key) ?? 0) - 1
    if (left > 0) atOnce.set(key, left)
    else atOnce.delete(key)
  }

  // The first thing after all the hooks that tell who asks, whichever API they belong to.
  app.addHook('preParsing', async (request, reply) => {
    const { caller } = request
    if (!caller) return
    const key = keyOf(request, caller.tokenId)
    const running = atOnce.get(key) ?? 0
    if (running >= tokenRequestsAtOnceMax) {
      void reply.header('retry-after', '1')
      throw refuse(caller.tokenId, 'at_once')
    }
    const waitMs = rate.take(key)
    if (waitMs > 0) {
      void reply.header('retry-after', String(Math.ceil(waitMs / 1_000)))
      throw refuse(caller.tokenId, 'rate')
    }
    atOnce.set(key, running + 1)
    reply.raw.once('close', () => release(key))
  })
}

/** Guests have no token: each address counts for one. */
function keyOf({ ip }: FastifyRequest, tokenId: TokenId): string {
  return tokenId === NOBODY ? ip : tokenId
}
