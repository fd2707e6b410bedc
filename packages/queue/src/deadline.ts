import { SluiceError } from '@sluice/core'

/**
 * The server's answer, or `service_unavailable` when it fails or is late. What was asked for may have been done all the same.
 * `late` rejects at the deadline, for whoever has to wait before it may ask.
 */
export async function answerWithin<T>(waitMs: number, ask: (late: Promise<never>) => Promise<T>): Promise<T> {
  const { promise: late, reject } = Promise.withResolvers<never>()
  const timer = setTimeout(() => reject(new Error(`no answer within ${waitMs} ms`)), waitMs)
  try {
    return await Promise.race([ask(late), late])
  } catch (cause) {
    throw new SluiceError('service_unavailable', 'The queue is not available', { cause })
  } finally {
    clearTimeout(timer)
  }
}

/** True when the work came to its end, good or bad, in time. */
export async function endsWithin(waitMs: number, work: Promise<unknown>): Promise<boolean> {
  const { promise: late, resolve } = Promise.withResolvers<false>()
  const timer = setTimeout(() => resolve(false), waitMs)
  const ended = work.then(
    () => true,
    () => true,
  )
  try {
    return await Promise.race([ended, late])
  } finally {
    clearTimeout(timer)
  }
}
