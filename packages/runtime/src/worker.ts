import {
  feedImports,
  forgetOld,
  openDeliverer,
  openLoop,
  processInbox,
  processIngest,
  reconcile,
  relayOutbox,
  settleParked,
  settleUploads,
  type SweepPlace,
  sweepStaging,
  takeOverRemovals,
} from '@sluice/core'
import type { IngestQueue } from '@sluice/queue'
import { type Parts, workerWorld } from './world.ts'

/**
 * The working side: the pipeline, the relay that feeds the queue, and upkeep. Any number of workers may run; each does all
 * three, since leases and row locks divide the work. Disposing stops in the order in which work flows: no new jobs, then no
 * upkeep, then no relay.
 */
export async function openWorker(parts: Parts, queue: IngestQueue, secretKey: string): Promise<AsyncDisposable> {
  const { config, observability, database } = parts
  const { limits } = config
  const world = workerWorld(parts, queue)
  const failed = (task: string) => (cause: unknown) => observability.observer.observe({ kind: 'background.failed', task, cause })

  const swept: SweepPlace = { after: null }
  /** Each job that starts is replaced at once, so that two for each that runs keep all busy; every more would be a wait for others. */
  const depthMax = Math.min(limits.queueDepthMax, 2 * config.worker.concurrency)
  /** A job that starts leaves room in the queue, which the relay fills. */
  const jobs = { onStart: () => {} }

  await using stack = new AsyncDisposableStack()
  stack.use(
    openLoop({
      turn: async () => (await relayOutbox(world, depthMax)) === limits.relayBatchMax,
      idleMs: limits.relayIdleMs,
      wakeOn: (wake) => {
        jobs.onStart = wake
        return database.signals.onOutbox(wake)
      },
      onError: failed('relay'),
    }),
  )
  stack.use(
    openLoop({
      turn: async () => (await reconcile(world)) === limits.reconcileBatchMax,
      idleMs: limits.upkeepEveryMs,
      onError: failed('reconcile'),
    }),
  )
  stack.use(
    openLoop({
      turn: async () => (await settleParked(world)) === limits.sweepBatchMax,
      idleMs: limits.upkeepEveryMs,
      onError: failed('parked'),
    }),
  )
  stack.use(
    openLoop({
      turn: async () => (await settleUploads(world)) === limits.uploadBatchMax,
      idleMs: limits.upkeepEveryMs,
      onError: failed('uploads'),
    }),
  )
  stack.use(
    openLoop({
      turn: async () => (await sweepStaging(world, swept)) > 0 && swept.after !== null,
      idleMs: limits.upkeepEveryMs,
      onError: failed('sweep'),
    }),
  )
  stack.use(
    openLoop({
      turn: async () => (await takeOverRemovals(world)) > 0,
      idleMs: limits.upkeepEveryMs,
      onError: failed('removals'),
    }),
  )
  stack.use(
    openLoop({
      turn: async () => (await forgetOld(world)) === limits.sweepBatchMax,
      idleMs: limits.upkeepEveryMs,
      onError: failed('forget'),
    }),
  )
  stack.use(
    openLoop({
      // Events wait in the inbox while there is no room for what they bring; when that is full too, their senders are told.
      turn: async () => (await world.backpressure.hasRoom()) && (await processInbox(world)) === limits.inboxBatchMax,
      idleMs: limits.inboxIdleMs,
      wakeOn: (wake) => database.signals.onInbox(wake),
      onError: failed('inbox'),
    }),
  )
  stack.use(
    openLoop({
      turn: () => feedImports(world),
      idleMs: limits.importIdleMs,
      onError: failed('imports'),
    }),
  )
  const deliverer = stack.use(openDeliverer({ ...world, secretKey }))
  stack.use(
    openLoop({
      turn: deliverer.turn,
      idleMs: limits.webhookIdleMs,
      wakeOn: (wake) => {
        const [recorded, ended] = [database.signals.onDelivery(wake), deliverer.onEnd(wake)]
        return { [Symbol.dispose]: () => [recorded, ended].forEach((subscription) => subscription[Symbol.dispose]()) }
      },
      onError: failed('deliveries'),
    }),
  )
  const consumer = queue.consume((job, signal) => {
    jobs.onStart()
    return processIngest(world, job, signal)
  }, config.worker)
  stack.defer(() => consumer.stop(limits.shutdownMsMax))
  const opened = stack.move()
  return { [Symbol.asyncDispose]: () => opened.disposeAsync() }
}
