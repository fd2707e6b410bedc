import { createPostgresBackend, type PostgresQueueBackend, withBackend } from 'bullmq'
import { type Backend, consumerOptions, type OnError, producerOptions } from './backend.ts'
import { patientClient } from './patient-client.ts'
import type { Timing } from './timing.ts'

export interface PostgresConnection {
  readonly kind: 'postgres'
  readonly url: string
  /** The schema that holds BullMQ's tables and functions. */
  readonly namespace?: string
}

const { Queue, Worker } = withBackend(createPostgresBackend)

/** Whoever connects first brings the schema up to date, under BullMQ's advisory lock: there is no migration to forget. */
export function postgresBackend({ url, namespace = 'bullmq' }: PostgresConnection, timing: Timing, onError: OnError): Backend {
  const common = {
    connectionString: url,
    schema: namespace,
    migrate: true,
    connectionTimeoutMillis: timing.connectMsMax,
    keepAlive: true,
    keepAliveInitialDelayMillis: timing.keepAliveAfterMs,
    idle_in_transaction_session_timeout: timing.silenceMsMax,
    application_name: 'sluice-queue',
  }

  return {
    openProducer(name) {
      const connection = { ...common, ...answerBy(timing.produceMsMax), max: 4 }
      const queue = new Queue<unknown, string>(name, { ...producerOptions(name), connection })
      survive(queue.getBackend())
      return queue.on('error', onError)
    },
    openConsumer(name, process, concurrency) {
      const Client = patientClient(timing.reconnectMsMax)
      const connection = { ...common, ...answerBy(timing.silenceMsMax), max: Math.min(2 + concurrency, 8), Client }
      const worker = new Worker<unknown, string>(name, process, { ...consumerOptions(timing, concurrency), connection })
      survive(worker.getBackend())
      return worker.on('error', onError)
    },
  }
}

/** The client's timeout notices a half-open connection, the server's ends what nobody waits for any more. */
function answerBy(waitMs: number) {
  return { query_timeout: waitMs, statement_timeout: waitMs }
}

/**
 * A client that is checked out when its connection breaks emits an `error` of its own beside the query's, and the process ends if
 * nobody listens. BullMQ listens to the pool only.
 */
function survive(backend: PostgresQueueBackend): void {
  backend.connection.pool.on('connect', (client) => client.on('error', () => undefined))
}
