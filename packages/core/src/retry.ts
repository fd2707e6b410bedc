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

/**
 * For a server that is not ours: what it asks for, or a backoff of longer steps, since it is never known to be back. Never longer
 * than the reconciler waits before it queues an ingest again.
 */
export function sourceWaitMs({ limits, random }: Pick<World, 'limits' | 'random'>, attempt: number, asked: unknown): number {
  const backoffMs = Math.min(limits.sourceRetryMsMin * 2 ** Math.min(attempt - 1, 30), limits.sourceRetryMsMax)
  const askedMs = typeof asked === 'number' ? asked : 0
  return Math.min(Math.max(Math.round(backoffMs * (0.5 + random() / 2)), askedMs), limits.sourceRetryMsMax)
}
