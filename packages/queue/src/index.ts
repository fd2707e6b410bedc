export type { QueueConnection } from './connection.ts'
export { type IngestQueue, openQueue, type QueueCounts, type QueueOptions } from './open-queue.ts'
export { type QueueName, QUEUES } from './queues.ts'
export { TIMING, type Timing } from './timing.ts'
