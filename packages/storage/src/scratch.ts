import type { Digest, LocalCopy } from '@sluice/core'
import { SluiceError } from '@sluice/core'
import { createHash, randomUUID } from 'node:crypto'
import { lstat, mkdir, open, readdir, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { pipeline } from 'node:stream/promises'
import { nullIfAbsent } from './failures.ts'

/** Longer than any upload or run of the pipeline may take: a file this old belongs to a process that was killed. */
const ABANDONED_AFTER_MS = 60 * 60 * 1000

/**
 * Buffered per file. 16 uploads of 50 MB at once add 93 to 108 MB to a process that has just started and up to 56 MB to one that
 * has done so before; most of it is garbage not yet collected (27 MB when collection is forced), and smaller chunks change nothing.
 */
const CHUNK_BYTES = 128 * 1024

/** A directory for files that nobody asks for after a crash. Several processes may share it, and each clears up after the dead. */
export class Scratch {
  readonly #dir: string
  readonly #abandonedAfterMs: number
  #sweptAtMs = 0

  private constructor(dir: string, abandonedAfterMs = ABANDONED_AFTER_MS) {
    this.#dir = dir
    this.#abandonedAfterMs = abandonedAfterMs
  }

  static async open(dir: string, abandonedAfterMs?: number): Promise<Scratch> {
    const scratch = new Scratch(resolve(dir), abandonedAfterMs)
    await scratch.#make()
    await scratch.#sweep()
    return scratch
  }

  /** In the directory for temporary files, which strangers may share: the name is our user's, and so must be its owner. */
  static async openTemporary(): Promise<Scratch> {
    const user = process.getuid?.()
    const dir = join(tmpdir(), `sluice-objects-${user ?? 'all'}`)
    await new Scratch(dir).#make()
    // Before anything is removed there: the name may have been laid out as a link to somewhere else.
    const found = await lstat(dir)
    const isOurs = found.isDirectory() && (user === undefined || found.uid === user)
    if (!isOurs) throw new SluiceError('internal_error', 'The directory for temporary files belongs to somebody else')
    return Scratch.open(dir)
  }

  /** For a new file. Who is killed is mostly started again at once, when what it left is still too young to be swept. */
  newPath(): string {
    if (Date.now() - this.#sweptAtMs > this.#abandonedAfterMs) void this.#sweep().catch(() => undefined)
    return join(this.#dir, randomUUID())
  }

  /** What cannot be removed is swept later, and must not hide the reason why it is not wanted. */
  async remove(path: string): Promise<void> {
    await rm(path, { force: true }).catch(() => undefined)
  }

  /** Writes bytes to a file, counting and hashing them on the way; with `flush` it is durable. Disposing of the copy removes the file. */
  async copy(bytes: AsyncIterable<Uint8Array>, { flush = false } = {}): Promise<LocalCopy> {
    const path = this.newPath()
    const tally = new Tally()
    const remove = () => this.remove(path)
    try {
      // Systems clear away what lies unused among their temporary files.
      await this.#make()
      // A stream that opens its file by itself may do so after it has failed, and so after the removal below.
      const file = await open(path, 'wx')
      await pipeline(tally.over(bytes), file.createWriteStream({ flush, highWaterMark: CHUNK_BYTES }))
    } catch (error) {
      await remove()
      throw error
    }
    return { path, ...tally.result(), [Symbol.asyncDispose]: remove }
  }

  async #make(): Promise<void> {
    await mkdir(this.#dir, { recursive: true, mode: 0o700 })
  }

  async #sweep(): Promise<void> {
    this.#sweptAtMs = Date.now()
    const abandoned = this.#sweptAtMs - this.#abandonedAfterMs
    for (const name of await readdir(this.#dir)) {
      const path = join(this.#dir, name)
      // Not the time of modification: a new hard link has that of the file it names.
      const found = await lstat(path).catch(nullIfAbsent)
      if (found?.isFile() && found.ctimeMs < abandoned) await rm(path, { force: true })
    }
  }
}

/** Counts and hashes. */
export class Tally {
  readonly #hash = createHash('sha256')
  #bytes = 0

  add(chunk: Uint8Array): void {
    this.#hash.update(chunk)
    this.#bytes += chunk.byteLength
  }

  async *over(bytes: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array, void, undefined> {
    for await (const chunk of bytes) {
      this.add(chunk)
      yield chunk
    }
  }

  result(): { bytes: number; digest: Digest } {
    return { bytes: this.#bytes, digest: this.#hash.digest('hex') as Digest }
  }
}
