import type { Backend, OnError } from './backend.ts'
import { postgresBackend, type PostgresConnection } from './postgres.ts'
import { redisBackend, type RedisConnection } from './redis.ts'
import type { Timing } from './timing.ts'

export type QueueConnection = RedisConnection | PostgresConnection

export function openBackend(connection: QueueConnection, timing: Timing, onError: OnError): Backend {
  return connection.kind === 'redis' ? redisBackend(connection, timing, onError) : postgresBackend(connection, timing, onError)
}
