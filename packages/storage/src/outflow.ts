import type { Readable } from 'node:stream'
import { rejection } from './failures.ts'

/** The bytes of an open stream, with errors that the caller understands. Read them to the end, leave the loop, or abort. */
export function outflow(stream: Readable, signal: AbortSignal): AsyncIterable<Uint8Array> {
  // Aborted before anybody reads, the stream has no other listener, and an 'error' that nobody hears ends the process.
  stream.on('error', () => {})
  return chunksOf(stream, signal)
}

async function* chunksOf(stream: Readable, signal: AbortSignal): AsyncGenerator<Uint8Array, void, undefined> {
  try {
    for await (const chunk of stream as AsyncIterable<Uint8Array>) yield chunk
  } catch (error) {
    throw rejection(error, signal)
  }
}
