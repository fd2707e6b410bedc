import { forgetOld, type Limits, openLoop, processInbox, processIngest, reconcile, relayOutbox, sweepStaging } from '@sluice/core'
import type { IngestQueue } from '@sluice/queue'
import { type Parts, workerWorld } from './world.ts'

/**
 * While this many batches of the reconciler wait in the queue, an idle ingest is most likely one of them, and queueing it again
 * only takes it from the front of the line to its end.
 */
const BATCHES_WAITING_MAX = 10

/**
 * The working side: the pipeline, the relay that feeds the queue, and upkeep. Any number of workers may run; each does all
 * three, since leases and row locks divide the work. Disposing stops in the order in which work flows: no new jobs, then no
 * upkeep, then no relay.
 */
export async function openWorker(parts: Parts, queue: IngestQueue): Promise<AsyncDisposable> {
  const { config, observability, database } = parts
  const { limits } = config
  const world = workerWorld(parts, queue)
  const failed = (task: string) => (cause: unknown) => observability.observer.observe({ kind: 'background.failed', task, cause })

  await using stack = new AsyncDisposableStack()
  stack.use(
    openLoop({
      turn: async () => (await relayOutbox(world)) === limits.relayBatchMax,
      idleMs: limits.relayIdleMs,
      wakeOn: (wake) => database.signals.onOutbox(wake),
      onError: failed('relay'),
    }),
  )
  stack.use(
    openLoop({
      turn: async () => (await reconcile(world)) === limits.reconcileBatchMax && !(await isLong(queue, limits)),
      idleMs: limits.upkeepEveryMs,
      onError: failed('reconcile'),
    }),
  )
  stack.use(
    openLoop({
      turn: async () => (await sweepStaging(world)) === limits.sweepBatchMax,
      idleMs: limits.upkeepEveryMs,
      onError: failed('sweep'),
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
      turn: async () => (await processInbox(world)) === limits.inboxBatchMax,
      idleMs: limits.inboxIdleMs,
      wakeOn: (wake) => database.signals.onInbox(wake),
      onError: failed('inbox'),
    }),
  )
  const consumer = queue.consume((job, signal) => processIngest(world, job, signal), config.worker)
  stack.defer(() => consumer.stop(limits.shutdownMsMax))
  const opened = stack.move()
  return { [Symbol.asyncDispose]: () => opened.disposeAsync() }
}

async function isLong(queue: IngestQueue, { reconcileBatchMax }: Limits): Promise<boolean> {
  return (await queue.counts()).waiting >= BATCHES_WAITING_MAX * reconcileBatchMax
}
