import { Queue, type RedisOptions, Worker } from 'bullmq'
import { type Backend, consumerOptions, type OnError, producerOptions } from './backend.ts'
import type { Timing } from './timing.ts'

export interface RedisConnection {
  readonly kind: 'redis'
  readonly url: string
  /** The prefix of all keys, so that several deployments can share a server. */
  readonly namespace?: string
}

/** The server needs `appendonly yes` and `maxmemory-policy noeviction`: without the first, a crash took 80 % of acknowledged jobs. */
export function redisBackend({ url, namespace = 'bullmq' }: RedisConnection, timing: Timing, onError: OnError): Backend {
  const common = {
    url,
    connectTimeout: timing.connectMsMax,
    keepAlive: timing.keepAliveAfterMs,
    retryStrategy: (times: number) => Math.min(times * 100, timing.reconnectMsMax),
  } satisfies RedisOptions

  return {
    openProducer(name) {
      /** Commands fail at once while the server is away: who adds tries again later, by the outbox. */
      const connection = { ...common, enableOfflineQueue: false, maxRetriesPerRequest: 1, socketTimeout: timing.produceMsMax }
      const queue = new Queue<unknown, string>(name, { ...producerOptions(name), connection, prefix: namespace })
      return queue.on('error', onError)
    },
    openConsumer(name, process, concurrency) {
      /** Commands wait for the server to come back. */
      const connection = { ...common, maxRetriesPerRequest: null, socketTimeout: timing.silenceMsMax }
      const options = { ...consumerOptions(timing, concurrency), connection, prefix: namespace }
      return new Worker<unknown, string>(name, process, options).on('error', onError)
    },
  }
}
