/** The abortion of a signal as a promise to race against; dispose of it to stop listening. */
export function onceAborted(signal: AbortSignal): Disposable & { readonly promise: Promise<never> } {
  const { promise, reject } = Promise.withResolvers<never>()
  const abort = (): void => reject(signal.reason)
  // It may come when nobody races; without a reader of its own it would count as unhandled.
  promise.catch(() => {})
  if (signal.aborted) abort()
  else signal.addEventListener('abort', abort, { once: true })
  return { promise, [Symbol.dispose]: () => signal.removeEventListener('abort', abort) }
}
