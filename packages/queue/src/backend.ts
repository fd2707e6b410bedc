import type { IQueueBackend, Processor, Queue, Worker } from 'bullmq'
import { type QueueName, QUEUES } from './queues.ts'
import { STALLS_MAX, STARTS_MAX, type Timing } from './timing.ts'

/** BullMQ's two ends of a queue, whatever server stands behind them. Payloads are `unknown`: an operator can edit them. */
export type Producer = Pick<
  Queue<unknown, string, string, unknown, string, string, IQueueBackend>,
  'add' | 'addBulk' | 'getJobCounts' | 'getJobState' | 'isPaused' | 'remove' | 'waitUntilReady'
> & { getBackend(): IQueueBackend }

export type Consumer = Pick<Worker, 'run' | 'close' | 'waitUntilReady'> & { getBackend(): IQueueBackend }

export type Process = Processor<unknown, string>

/** Makes both ends for one server. Making connects in the background; what goes wrong there is told to `onError`. */
export interface Backend {
  openProducer(name: QueueName): Producer
  openConsumer(name: QueueName, process: Process, concurrency: number): Consumer
}

export type OnError = (error: unknown) => void

export function producerOptions(name: QueueName) {
  return { defaultJobOptions: QUEUES[name].job }
}

export function consumerOptions(timing: Timing, concurrency: number) {
  return {
    concurrency,
    /** Run when the server has been reached once. */
    autorun: false,
    lockDuration: timing.lockMs,
    stalledInterval: timing.stalledCheckMs,
    /** BullMQ's default of 1 fails a good job after two deaths of its worker, whatever its attempts are. */
    maxStalledCount: STALLS_MAX,
    /** BullMQ counts a start also after `again`: an outage of some minutes takes hundreds. */
    maxStartedAttempts: STARTS_MAX,
    drainDelay: timing.idleLookMs / 1000,
    runRetryDelay: timing.reconnectMsMax,
  }
}
