import { type Limits, SluiceError } from '@sluice/core'
import { type DecoderProcess, startProcess } from './decoder-process.ts'

export interface PoolOptions {
  /** The module that each process runs; it speaks the protocol of `decoder-process.ts`. */
  readonly entry: URL
  readonly processes: number
  readonly limits: Limits
}

export interface Pool<Result> extends AsyncDisposable {
  /**
   * Waits in line for a process; `service_unavailable` when the signal comes first, since that is no fault of the image. Callers
   * bound the length of the line by how many of them there are.
   */
  run(path: string, signal: AbortSignal): Promise<Result>
}

/** A process that has decoded this many images is replaced: what libraries leak or fragment stays bounded. */
const TASKS_MAX = 1000

/** A process that has kept more than this share of what it may use is replaced before the next image. */
const RESIDENT_SHARE_MAX = 0.5

/** One image at a time per process, in the order of arrival. Processes start when they are needed and stay. */
export function openPool<Result>({ entry, processes, limits }: PoolOptions): Pool<Result> {
  const running = new Set<DecoderProcess<Result>>()
  const idle: DecoderProcess<Result>[] = []
  const line: { enter(): void; leave(error: Error): void }[] = []
  let free = processes
  let closed = false

  async function enter(signal: AbortSignal): Promise<void> {
    signal.throwIfAborted()
    if (closed) throw closedError()
    if (free > 0) {
      free -= 1
      return
    }
    const place = Promise.withResolvers<void>()
    const waiting = { enter: place.resolve, leave: place.reject }
    const onAbort = () => {
      const index = line.indexOf(waiting)
      if (index >= 0) line.splice(index, 1)
      place.reject(new SluiceError('service_unavailable', 'No decoder was free', { cause: signal.reason }))
    }
    line.push(waiting)
    signal.addEventListener('abort', onAbort, { once: true })
    await place.promise.finally(() => signal.removeEventListener('abort', onAbort))
  }

  function leave(): void {
    const next = line.shift()
    if (next) next.enter()
    else free += 1
  }

  /** A process may have died while nobody used it: that is no fault of the next image. */
  function take(): DecoderProcess<Result> {
    for (let known = idle.pop(); known; known = idle.pop()) if (known.alive) return known
    const started = startProcess<Result>(entry, limits)
    running.add(started)
    void started.ended.then(() => running.delete(started))
    return started
  }

  function putBack(used: DecoderProcess<Result>): void {
    const worn = used.tasks >= TASKS_MAX || used.residentBytes > limits.decodeMemoryBytesMax * RESIDENT_SHARE_MAX
    if (used.alive && !worn && !closed) idle.push(used)
    else used.kill()
  }

  async function run(path: string, signal: AbortSignal): Promise<Result> {
    await enter(signal)
    try {
      const process = take()
      try {
        return await process.run(path, signal)
      } finally {
        putBack(process)
      }
    } finally {
      leave()
    }
  }

  async function close(): Promise<void> {
    closed = true
    for (const waiting of line.splice(0)) waiting.leave(closedError())
    const ended = [...running].map((process) => process.ended)
    for (const process of running) process.kill()
    await Promise.all(ended)
  }

  return { run, [Symbol.asyncDispose]: close }
}

function closedError(): Error {
  return new Error('the decoder was closed')
}
