import type { Readable } from 'node:stream'
import { SluiceError } from '@sluice/core'

const EVENTS = ['readable', 'end', 'error', 'close'] as const

/**
 * The bytes of a request as they arrive. Unlike a stream's own iterator it leaves the request alone when the reader stops
 * early, since destroying it would take the answer along; and an aborted signal wakes it even while the client is silent.
 * The reason of the signal is thrown as it is when it is ours, and is `request_timeout` when it is a timeout's.
 */
export async function* requestBytes(request: Readable, signal: AbortSignal): AsyncGenerator<Buffer, void> {
  let wake = () => {}
  const stir = () => wake()
  // A stream is marked as destroyed before it says why: the error may come when nobody reads any more, and is known by then.
  request.on('error', () => undefined)
  for (const event of EVENTS) request.on(event, stir)
  signal.addEventListener('abort', stir)
  try {
    for (;;) {
      if (signal.aborted) throw aborted(signal.reason)
      const chunk: unknown = request.read()
      if (chunk instanceof Uint8Array) yield Buffer.from(chunk.buffer, chunk.byteOffset, chunk.byteLength)
      else if (request.readableEnded) return
      else if (request.destroyed) throw aborted(request.errored)
      else await new Promise<void>((resolve) => (wake = resolve))
    }
  } finally {
    for (const event of EVENTS) request.off(event, stir)
    signal.removeEventListener('abort', stir)
  }
}

/**
 * Reads and drops what is left. A server that answers and closes while the client is still sending makes the client's
 * system throw the answer away (RFC 9112 §9.6). Beyond `bytesMax` the connection ends all the same.
 */
export function discardRest(request: Readable, bytesMax: number): void {
  if (request.readableEnded || request.destroyed) return
  let bytes = 0
  request.on('data', (chunk: Uint8Array) => {
    bytes += chunk.byteLength
    if (bytes > bytesMax) request.destroy()
  })
}

function aborted(reason: unknown): SluiceError {
  if (SluiceError.is(reason)) return reason
  const isLate = reason instanceof Error && reason.name === 'TimeoutError'
  return new SluiceError(isLate ? 'request_timeout' : 'request_aborted', undefined, { cause: reason })
}
