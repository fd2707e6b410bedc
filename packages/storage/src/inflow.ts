import { onceAborted } from './abortion.ts'
import { rejection } from './failures.ts'

/**
 * A caller's stream, to be read once. What it throws, and the reason of the signal, are kept apart from the errors of where the
 * bytes go: `blame` gives them back as they were. An abortion is noticed even while the stream is silent.
 */
export class Inflow implements AsyncIterable<Uint8Array> {
  readonly #source: AsyncIterable<Uint8Array>
  readonly #signal: AbortSignal
  #failure: { readonly error: unknown } | null = null

  constructor(source: AsyncIterable<Uint8Array>, signal: AbortSignal) {
    this.#source = source
    this.#signal = signal
  }

  blame(error: unknown): unknown {
    if (this.#failure) return this.#failure.error
    return rejection(error, this.#signal)
  }

  async *[Symbol.asyncIterator](): AsyncGenerator<Uint8Array, void, undefined> {
    using abortion = onceAborted(this.#signal)
    const iterator = this.#source[Symbol.asyncIterator]()
    try {
      for (;;) {
        const next = await Promise.race([iterator.next(), abortion.promise])
        if (next.done) return
        yield next.value
      }
    } catch (error) {
      this.#failure = { error }
      throw error
    } finally {
      // A silent generator ends only when its next chunk arrives, and what it throws then concerns nobody.
      iterator.return?.()?.then(undefined, () => {})
    }
  }
}
