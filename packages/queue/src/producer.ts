import type { Backend, Producer } from './backend.ts'
import { answerWithin, endsWithin } from './deadline.ts'
import type { QueueName } from './queues.ts'
import type { Timing } from './timing.ts'

export interface KeptProducer {
  /** The answer in time, or `service_unavailable`. */
  ask<T>(question: (producer: Producer) => Promise<T>): Promise<T>
  close(): Promise<void>
}

/** Connects at the first question. A producer whose first connection failed stays broken, so that the next question makes another. */
export function keepProducer(backend: Backend, name: QueueName, timing: Timing): KeptProducer {
  let ready: Promise<Producer> | null = null
  let current: Producer | null = null

  /** By force: Redis's farewell waits for an answer, and every question has had its own. */
  async function close(): Promise<void> {
    if (current) await endsWithin(timing.settleMsMax, current.getBackend().close(true))
  }

  async function connect(): Promise<Producer> {
    current = backend.openProducer(name)
    try {
      await current.waitUntilReady()
      return current
    } catch (error) {
      await close()
      ready = null
      throw error
    }
  }

  /** A question that was too late is not asked any more: a long outage would end in all of them at once. */
  const ask = <T>(question: (producer: Producer) => Promise<T>) =>
    answerWithin(timing.produceMsMax, async (late) => question(await Promise.race([(ready ??= connect()), late])))

  return { ask, close }
}
