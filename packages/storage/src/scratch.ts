import type { Digest, LocalCopy } from '@sluice/core'
import { createHash, randomUUID } from 'node:crypto'
import { createWriteStream } from 'node:fs'
import { lstat, mkdir, readdir, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { pipeline } from 'node:stream/promises'
import { nullIfAbsent } from './failures.ts'

/** Longer than any upload or run of the pipeline may take: a file this old belongs to a process that was killed. */
const ABANDONED_AFTER_MS = 60 * 60 * 1000

/** A directory for files that nobody asks for after a crash. Several processes may share it. */
export class Scratch {
  readonly #dir: string

  private constructor(dir: string) {
    this.#dir = dir
  }

  static async open(dir: string): Promise<Scratch> {
    const scratch = new Scratch(resolve(dir))
    await mkdir(scratch.#dir, { recursive: true, mode: 0o700 })
    await scratch.#sweep()
    return scratch
  }

  /** In the directory for temporary files, which strangers may share: the name is our user's, and so must be its owner. */
  static async openTemporary(): Promise<Scratch> {
    const user = process.getuid?.()
    const dir = join(tmpdir(), `sluice-objects-${user ?? 'all'}`)
    const scratch = await Scratch.open(dir)
    const found = await lstat(dir)
    if (!found.isDirectory() || (user !== undefined && found.uid !== user)) throw new Error(`${dir} belongs to somebody else`)
    return scratch
  }

  newPath(): string {
    return join(this.#dir, randomUUID())
  }

  /** Writes bytes to a file, counting and hashing them on the way. Disposing of the copy removes the file. */
  async copy(bytes: AsyncIterable<Uint8Array>): Promise<LocalCopy> {
    const path = this.newPath()
    const tally = new Tally()
    const remove = (): Promise<void> => rm(path, { force: true })
    try {
      await pipeline(tally.over(bytes), createWriteStream(path, { flags: 'wx', highWaterMark: 1024 * 1024 }))
    } catch (error) {
      await remove()
      throw error
    }
    return { path, ...tally.result(), [Symbol.asyncDispose]: remove }
  }

  async #sweep(): Promise<void> {
    const abandoned = Date.now() - ABANDONED_AFTER_MS
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
