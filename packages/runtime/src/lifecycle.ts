import { constants } from 'node:os'
import { SluiceError } from '@sluice/core'
import { StartError } from './lifecycle-start-error.ts'

export interface Running extends AsyncDisposable {
  /** Resolves with a sentence when it cannot go on, and the process is to end. */
  readonly failed?: Promise<string>
}

export interface LifecycleOptions {
  /** For everything that is open together; after that the process leaves with exit code 1. */
  readonly graceMs: number
}

/**
 * Opens, runs until SIGTERM, SIGINT or a failure, and disposes. The signal that `open` gets is aborted when a stop is asked
 * for while it is still opening. A second signal leaves at once. A process that stops in order ends by itself, since nothing
 * holds it any more: `process.exit` would cut off what is still being written.
 */
export async function runUntilSignal(
  open: (signal: AbortSignal) => Promise<Running>,
  { graceMs }: LifecycleOptions,
): Promise<void> {
  const stopping = new AbortController()
  using _signals = onSignals(() => {
    stopping.abort()
    leaveAfter(graceMs)
  })
  using _hold = holdProcess()
  try {
    await using running = await open(stopping.signal)
    const failure = await Promise.race([untilAborted(stopping.signal), running.failed ?? never()])
    if (failure === null) return
    say(failure)
    process.exitCode = 1
    leaveAfter(graceMs)
  } catch (error) {
    // Opening that was interrupted has nothing to report.
    if (stopping.signal.aborted && isAbort(error)) return
    fail(error)
    leaveAfter(graceMs)
  }
}

/** Tells why, and lets the process end with exit code 1. */
export function fail(error: unknown): void {
  say(sentenceOf(error))
  process.exitCode = 1
}

function onSignals(stop: () => void): Disposable {
  let isStopping = false
  const listener = (signal: 'SIGINT' | 'SIGTERM') => {
    if (isStopping) process.exit(128 + constants.signals[signal])
    isStopping = true
    stop()
  }
  process.on('SIGINT', listener).on('SIGTERM', listener)
  return { [Symbol.dispose]: () => void process.off('SIGINT', listener).off('SIGTERM', listener) }
}

/** Unreferenced: it fires only if something still holds the process by then. */
function leaveAfter(graceMs: number): void {
  const leave = () => {
    say(`Not everything has stopped within ${graceMs / 1000} s: leaving it.`)
    process.exit(1)
  }
  setTimeout(leave, graceMs).unref()
}

/** A worker between two connections has nothing else that would keep it alive. */
function holdProcess(): Disposable {
  const timer = setInterval(() => {}, 60_000)
  return { [Symbol.dispose]: () => clearInterval(timer) }
}

function untilAborted(signal: AbortSignal): Promise<null> {
  const { promise, resolve } = Promise.withResolvers<null>()
  if (signal.aborted) resolve(null)
  signal.addEventListener('abort', () => resolve(null), { once: true })
  return promise
}

function never(): Promise<never> {
  return new Promise(() => {})
}

function isAbort(error: unknown): boolean {
  return error instanceof Error && error.name === 'AbortError'
}

/** What an operator can act on is a sentence; what is our fault keeps its stack. */
function sentenceOf(error: unknown): string {
  if (error instanceof StartError || SluiceError.is(error)) return error.message
  return error instanceof Error ? (error.stack ?? error.message) : String(error)
}

function say(sentence: string): void {
  process.stderr.write(`${sentence}\n`)
}
