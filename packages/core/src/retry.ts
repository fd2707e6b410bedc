import type { World } from './ports.ts'

/** Exponential backoff with full jitter above half: attempt 1 waits about `retryMsMin`, each next one twice as long. */
export function retryWaitMs({ limits, random }: Pick<World, 'limits' | 'random'>, attempt: number): number {
  const ceilingMs = Math.min(limits.retryMsMin * 2 ** Math.min(attempt, 30), limits.retryMsMax)
  return Math.round(ceilingMs * (0.5 + random() / 2))
}

/** Spread over the second half of the wait, so that all workers do not come back in the same instant. */
export function outageWaitMs({ limits, random }: Pick<World, 'limits' | 'random'>): number {
  return Math.round(limits.outageWaitMs * (0.5 + random() / 2))
}
