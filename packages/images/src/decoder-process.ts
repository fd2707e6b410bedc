import type { ChildProcess } from 'node:child_process'
import { type ErrorCode, type ErrorDetails, humanBytes, type Limits, SluiceError } from '@sluice/core'
import { spawnConfined } from './confined-child.ts'

/** What the parent asks: one image, and no second one before the first is answered. */
export interface Task {
  readonly path: string
  readonly limits: Limits
}

/** What the child says. */
export type Message<Result> =
  | { readonly kind: 'ready' }
  | { readonly kind: 'result'; readonly result: Result; readonly residentBytes: number }
  | {
      readonly kind: 'refused'
      readonly code: ErrorCode
      readonly message: string
      readonly details: ErrorDetails
      readonly residentBytes: number
    }
  | { readonly kind: 'failed'; readonly message: string; readonly stack: string; readonly residentBytes: number }
  | { readonly kind: 'memory_exceeded'; readonly residentBytes: number }

export interface DecoderProcess<Result> {
  readonly alive: boolean
  readonly tasks: number
  readonly residentBytes: number
  readonly ended: Promise<void>
  /**
   * Throws what the child found wrong with the image, `image_too_costly` when time or memory ran out, and the reason of
   * the signal. A process that dies of anything else (a crash, a signal from outside) is `decoder_died`: it may not be the
   * image's fault, so the image is tried again, and the attempts are counted by the core.
   */
  run(path: string, signal: AbortSignal): Promise<Result>
  kill(): void
}

/** A process that has not said that it is ready after this time will not. */
const START_MS_MAX = 30_000

const STDERR_LENGTH_MAX = 2000

export function startProcess<Result>(entry: URL, limits: Limits): DecoderProcess<Result> {
  const child = spawnConfined(entry, limits.decodeMemoryBytesMax)
  const ready = Promise.withResolvers<void>()
  const ended = Promise.withResolvers<void>()
  const state = { alive: true, tasks: 0, residentBytes: 0 }
  let stderr = ''
  let answer: PromiseWithResolvers<Result> | null = null

  const fail = (error: unknown) => {
    state.alive = false
    ready.reject(error)
    answer?.reject(error)
    child.kill('SIGKILL')
  }
  const onMessage = (message: Message<Result>) => {
    if (message.kind === 'ready') return ready.resolve()
    state.residentBytes = message.residentBytes
    if (message.kind === 'result') answer?.resolve(message.result)
    else if (message.kind === 'memory_exceeded') fail(tooMuchMemory(limits))
    else answer?.reject(errorOf(message))
  }

  // Nobody may be waiting when a process dies idle.
  ready.promise.catch(() => undefined)
  child.stderr?.setEncoding('utf8').on('data', (text: string) => (stderr = (stderr + text).slice(-STDERR_LENGTH_MAX)))
  child.on('message', onMessage)
  child.on('error', (error) => {
    fail(new Error('the decoder process cannot be reached', { cause: error }))
    if (child.pid === undefined) ended.resolve()
  })
  // After `close` rather than `exit`, so that what it wrote before it died has been read.
  child.on('close', (code, signal) => {
    fail(died(signal ?? `code ${code}`, stderr))
    ended.resolve()
  })

  async function run(path: string, signal: AbortSignal): Promise<Result> {
    signal.throwIfAborted()
    state.tasks += 1
    const asked = Promise.withResolvers<Result>()
    asked.promise.catch(() => undefined)
    answer = asked
    const onAbort = () => fail(signal.reason)
    signal.addEventListener('abort', onAbort, { once: true })
    try {
      await within(START_MS_MAX, ready.promise, () => fail(new Error('the decoder process did not start in time')))
      child.send({ path, limits } satisfies Task, (error) => error && fail(error))
      return await within(limits.decodeMsMax, asked.promise, () => fail(tooMuchTime(limits)))
    } finally {
      signal.removeEventListener('abort', onAbort)
      answer = null
    }
  }

  return {
    get alive() {
      return state.alive && isConnected(child)
    },
    get tasks() {
      return state.tasks
    },
    get residentBytes() {
      return state.residentBytes
    },
    ended: ended.promise,
    run,
    kill: () => fail(new Error('the decoder process was ended')),
  }
}

function isConnected(child: ChildProcess): boolean {
  return child.connected && child.exitCode === null && child.signalCode === null
}

async function within<T>(ms: number, promise: Promise<T>, onDeadline: () => void): Promise<T> {
  const timer = setTimeout(onDeadline, ms)
  return promise.finally(() => clearTimeout(timer))
}

function died(how: string, stderr: string): SluiceError {
  const cause = stderr === '' ? {} : { cause: stderr }
  return new SluiceError('decoder_died', `The process that decoded the image ended with ${how}.`, { details: { how }, ...cause })
}

function errorOf(message: Extract<Message<never>, { kind: 'refused' | 'failed' }>): Error {
  if (message.kind === 'refused') return new SluiceError(message.code, message.message, { details: message.details })
  return new Error(`the decoder failed: ${message.message}`, { cause: message.stack })
}

function tooMuchTime({ decodeMsMax }: Limits): SluiceError {
  const seconds = decodeMsMax / 1000
  return new SluiceError('image_too_costly', `The image could not be decoded within ${seconds} s.`, { details: { decodeMsMax } })
}

function tooMuchMemory({ decodeMemoryBytesMax }: Limits): SluiceError {
  const size = humanBytes(decodeMemoryBytesMax)
  return new SluiceError('image_too_costly', `The image could not be decoded within ${size} of memory.`, {
    details: { decodeMemoryBytesMax },
  })
}
