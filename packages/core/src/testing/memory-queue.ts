import type { Lane } from '../ingest.ts'
import type { IngestJob, JobConsumer, JobHandler } from '../ports.ts'
import type { TestedQueue } from './queue-suite.ts'

/** For a handler that throws, which the core's does not. */
const ATTEMPTS_MAX = 10

interface Entry {
  readonly job: IngestJob
  readonly lane: Lane
  state: 'waiting' | 'active' | 'delayed' | 'completed' | 'failed'
  failures: number
}

/** A queue of this process. Passes the suite of the real ones. */
export function memoryQueue(): TestedQueue {
  /** In the order in which they were added. */
  const entries = new Map<string, Entry>()
  const timers = new Set<NodeJS.Timeout>()
  const consumers = new Set<MemoryConsumer>()
  const wake = () => consumers.forEach((consumer) => consumer.pull())

  function comeBack(entry: Entry, waitMs: number): void {
    entry.state = waitMs > 0 ? 'delayed' : 'waiting'
    if (waitMs <= 0) return wake()
    const timer = setTimeout(() => {
      timers.delete(timer)
      comeBack(entry, 0)
    }, waitMs)
    timers.add(timer)
  }

  function fail(entry: Entry): void {
    if (++entry.failures < ATTEMPTS_MAX) comeBack(entry, entry.failures)
    else entry.state = 'failed'
  }

  function forgettingFailures(handler: JobHandler): JobHandler {
    return (job, signal) => {
      const before = `${job.ingestId}-${job.epoch - 1}`
      if (entries.get(before)?.state === 'failed') entries.delete(before)
      return handler(job, signal)
    }
  }

  return {
    async add(jobs, { lane = 'interactive', again = false } = {}) {
      for (const job of jobs) {
        const id = `${job.ingestId}-${job.epoch}`
        const known = entries.get(id)
        if (again && known && known.state !== 'waiting' && known.state !== 'active') entries.delete(id)
        if (!entries.has(id)) entries.set(id, { job, lane, state: 'waiting', failures: 0 })
      }
      wake()
    },
    async waiting() {
      const all = [...entries.values()]
      const count = (lane: Lane) => all.filter((entry) => entry.lane === lane && entry.state === 'waiting').length
      const delayed = all.filter(({ state }) => state === 'delayed').length
      return { interactive: count('interactive'), import: count('import'), delayed }
    },
    consume(handler, { concurrency }) {
      const next = (lane: Lane) => entries.values().find((entry) => entry.lane === lane && entry.state === 'waiting')
      const take = () => next('interactive') ?? next('import')
      const consumer = memoryConsumer({ take, comeBack, fail, handler: forgettingFailures(handler), concurrency })
      consumers.add(consumer)
      consumer.pull()
      return consumer
    },
    async counts() {
      const counts = { waiting: 0, active: 0, delayed: 0, completed: 0, failed: 0 }
      for (const { state } of entries.values()) counts[state]++
      return counts
    },
    async ping() {},
    async [Symbol.asyncDispose]() {
      await Promise.all(Array.from(consumers, (consumer) => consumer.stop(0)))
      for (const timer of timers) clearTimeout(timer)
    },
  }
}

interface MemoryConsumer extends JobConsumer {
  pull(): void
}

interface ConsumerParts {
  readonly take: () => Entry | undefined
  readonly comeBack: (entry: Entry, waitMs: number) => void
  readonly fail: (entry: Entry) => void
  readonly handler: JobHandler
  readonly concurrency: number
}

function memoryConsumer({ take, comeBack, fail, handler, concurrency }: ConsumerParts): MemoryConsumer {
  const interrupting = new AbortController()
  const running = new Set<Promise<void>>()
  const stopping = new AbortController()

  async function run(entry: Entry): Promise<void> {
    entry.state = 'active'
    // What the handler adds at once must not find this consumer idle.
    await Promise.resolve()
    try {
      const outcome = await handler(entry.job, interrupting.signal)
      if (outcome.kind === 'again') comeBack(entry, outcome.waitMs)
      else entry.state = outcome.kind === 'failed' ? 'failed' : 'completed'
    } catch {
      fail(entry) // As the real ones do: the error is the handler's own to tell.
    }
  }

  function pull(): void {
    while (!stopping.signal.aborted && running.size < concurrency) {
      const entry = take()
      if (!entry) return
      const ended = run(entry).finally(() => {
        running.delete(ended)
        pull()
      })
      running.add(ended)
    }
  }

  return {
    pull,
    async stop(graceMs) {
      stopping.abort()
      const timer = setTimeout(() => interrupting.abort(new Error('the worker stops')), graceMs)
      await Promise.all(running)
      clearTimeout(timer)
    },
  }
}
