/** A place in a stream of bytes that several readers take turns with. */
export class Chunks {
  readonly #source: AsyncIterator<Buffer>
  #chunk: Buffer = Buffer.alloc(0)
  #position = 0

  constructor(source: AsyncIterable<Buffer>) {
    this.#source = source[Symbol.asyncIterator]()
  }

  /** Waits until there are unread bytes; false at the end. */
  async fill(): Promise<boolean> {
    while (this.#position === this.#chunk.length) {
      const next = await this.#source.next()
      if (next.done) return false
      this.#chunk = next.value
      this.#position = 0
    }
    return true
  }

  /** What is here and unread. */
  get rest(): Buffer {
    return this.#chunk.subarray(this.#position)
  }

  skip(bytes: number): void {
    this.#position += bytes
  }
}
