import type { JobConsumer, JobHandler, JobOutcome } from '@sluice/core'
import { DelayedError, type Job, UnrecoverableError, WaitingError } from 'bullmq'
import { setTimeout as sleep } from 'node:timers/promises'
import type { Consumer, OnError, Process } from './backend.ts'
import { endsWithin } from './deadline.ts'
import { parseIngestJob } from './queues.ts'
import type { Timing } from './timing.ts'

/** Takes jobs as soon as the server can be reached, and again after every outage, until it is stopped. */
export function startConsumer(
  open: (process: Process) => Consumer,
  handler: JobHandler,
  timing: Timing,
  onError: OnError,
): JobConsumer {
  const stopping = new AbortController()
  const interrupting = new AbortController()
  let current: Consumer | null = null
  let stopped: Promise<void> | null = null

  const process: Process = async (job, token = '') => {
    if (stopping.signal.aborted) return putBack(job, token, { kind: 'again', waitMs: 0, note: 'its worker was stopping' })
    const payload = parseIngestJob(job.data)
    if (!payload) throw new UnrecoverableError('the payload is not one that Sluice has written')
    const outcome = await handler(payload, interrupting.signal)
    if (outcome.kind === 'again') return putBack(job, token, outcome)
    if (outcome.kind === 'failed') throw givenUp(outcome.note)
    return outcome.note
  }

  const running = (async () => {
    while (!stopping.signal.aborted) {
      current = open(process)
      try {
        await current.waitUntilReady()
        return await current.run()
      } catch (error) {
        // BullMQ's Postgres backend remembers a failed first connection for ever, so that it is thrown away.
        onError(error)
        await endsWithin(timing.settleMsMax, current.close(true))
        await sleep(timing.reconnectMsMax, null, { signal: stopping.signal }).catch(() => undefined)
      }
    }
  })()

  const stop = async (graceMs: number) => {
    stopping.abort()
    const ended = Promise.all([current?.close(), running])
    if (await endsWithin(graceMs, ended)) return
    interrupting.abort(new Error('the worker stops'))
    if (await endsWithin(timing.settleMsMax, ended)) return
    // A handler that hangs, or a server that is away: their jobs run elsewhere once their locks have run out.
    if (current) await endsWithin(timing.settleMsMax, current.getBackend().close(true))
  }

  return { stop: (graceMs) => (stopped ??= stop(graceMs)) }
}

/** BullMQ shows an error's stack beside its message, and ours would tell nothing but this place. */
function givenUp(note: string): UnrecoverableError {
  return Object.assign(new UnrecoverableError(note), { stack: '' })
}

/** What BullMQ's processors throw to say that the job has been moved. Neither counts as an attempt. */
async function putBack(job: Job, token: string, { waitMs, note }: Extract<JobOutcome, { kind: 'again' }>): Promise<never> {
  await job.log(note).catch(() => undefined) // Bull Board shows it; a job that cannot be moved either fails below.
  if (waitMs <= 0) {
    await job.moveToWait(token)
    throw new WaitingError()
  }
  await job.moveToDelayed(Date.now() + waitMs, token)
  throw new DelayedError()
}
