import rateLimit from '@fastify/rate-limit'
import type { FastifyInstance, FastifyRequest } from 'fastify'

/** Per address (an IPv6 client is its /64 network). Our own secrets cannot be guessed at any rate; chosen ones could. */
const FAILURES = { max: 30, timeWindow: 60_000, cache: 10_000 } as const

export interface GuessLimit {
  /** Seconds until the address may try again; 0 when it may. */
  waitSeconds(request: FastifyRequest): Promise<number>
  countFailure(request: FastifyRequest): Promise<void>
}

/** For routes that take secrets. Only failures count: clients that are who they say may come as often as they like. */
export async function openGuessLimit(app: FastifyInstance): Promise<GuessLimit> {
  await app.register(rateLimit, { global: false, ...FAILURES })
  const failures = app.createRateLimit()
  return {
    async waitSeconds(request) {
      const state = await failures(request, { increment: false })
      return !state.isAllowed && state.remaining === 0 ? Math.max(1, state.ttlInSeconds) : 0
    },
    async countFailure(request) {
      await failures(request)
    },
  }
}
