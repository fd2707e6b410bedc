import rateLimit from '@fastify/rate-limit'
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify'
import { SluiceError } from '@sluice/core'
import { WireFault } from './dialect.ts'

/** Per address (an IPv6 client is its /64 network). Our own secrets cannot be guessed at any rate; chosen ones could. */
const FAILURES = { max: 30, timeWindow: 60_000, cache: 10_000 } as const

export interface GuessLimit {
  /**
   * Does what a secret was sent for. A refusal counts against the address that sent it; one that was refused too often is told
   * `tooMany`, with a `Retry-After`, until its time is over.
   */
  attempt<Result>(
    request: FastifyRequest,
    reply: FastifyReply,
    act: () => Promise<Result>,
    tooMany: (waitSeconds: number) => Error,
  ): Promise<Result>
}

/** For routes that take secrets. Only failures count: clients that are who they say may come as often as they like. */
export async function openGuessLimit(app: FastifyInstance): Promise<GuessLimit> {
  await app.register(rateLimit, { global: false, ...FAILURES })
  const failures = app.createRateLimit()
  return {
    async attempt(request, reply, act, tooMany) {
      const state = await failures(request, { increment: false })
      if (!state.isAllowed && state.remaining === 0) {
        const waitSeconds = Math.max(1, state.ttlInSeconds)
        void reply.header('retry-after', waitSeconds)
        throw tooMany(waitSeconds)
      }
      try {
        return await act()
      } catch (error) {
        // Whatever of it was wrong may have been a guess.
        if (error instanceof WireFault || SluiceError.is(error, 'credentials_invalid')) await failures(request)
        throw error
      }
    },
  }
}
