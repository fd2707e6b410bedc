import type { LocalCopy, StoredBlob } from '@sluice/core'
import { SluiceError } from '@sluice/core'
import { constants } from 'node:fs'
import type { FileHandle } from 'node:fs/promises'
import { access, copyFile, link, mkdir, open, readdir, rename, rm, stat } from 'node:fs/promises'
import { dirname, join, resolve, sep } from 'node:path'
import { pipeline } from 'node:stream/promises'
import { codeOf, guarded, nullIfAbsent } from './failures.ts'
import { Inflow } from './inflow.ts'
import { checkedKey, isKey } from './keys.ts'
import { outflow } from './outflow.ts'
import { gatherInto } from './gather.ts'
import type { Scratch } from './scratch.ts'
import { Tally } from './scratch.ts'

const CHUNK_BYTES = 512 * 1024

/**
 * Objects as files below one directory. A file is complete and durable before it gets its name, and is never changed in place:
 * whoever reads one keeps reading the same bytes when it is replaced. The scratch directory must be on the same file system.
 */
export class Volume {
  readonly #root: string
  readonly #scratch: Scratch

  private constructor(root: string, scratch: Scratch) {
    this.#root = root
    this.#scratch = scratch
  }

  static async open(dir: string, scratch: Scratch): Promise<Volume> {
    const root = resolve(dir)
    await mkdir(root, { recursive: true })
    return new Volume(root, scratch)
  }

  async write(key: string, bytes: AsyncIterable<Uint8Array>, signal: AbortSignal): Promise<void> {
    const path = this.#pathOf(key)
    const inflow = new Inflow(bytes, signal)
    const partial = this.#scratch.newPath()
    try {
      // A stream that opens its file by itself may do so after it has failed, and so after the removal below.
      const file = await open(partial, 'wx')
      // `flush` is an fsync before the file is closed.
      await pipeline(inflow, file.createWriteStream({ flush: true, highWaterMark: CHUNK_BYTES }))
      signal.throwIfAborted()
      await settle(partial, path)
    } catch (error) {
      await this.#scratch.remove(partial)
      throw inflow.blame(error)
    }
  }

  /** Gives a file that is durable already another name, here. */
  async adopt(file: LocalCopy, key: string, signal: AbortSignal): Promise<void> {
    const path = this.#pathOf(key)
    const partial = this.#scratch.newPath()
    try {
      await guarded(signal, async () => {
        await linkOrCopy(file.path, partial)
        if ((await stat(partial)).size !== file.bytes) throw new SluiceError('bytes_damaged')
        await settle(partial, path)
      })
    } finally {
      // rename(2) does nothing, successfully, when both names are links to one file: the partial one would stay.
      await this.#scratch.remove(partial)
    }
  }

  /** The file itself, read once. Disposing of the copy leaves it where it is. */
  async checkOut(key: string, signal: AbortSignal): Promise<LocalCopy | null> {
    const path = this.#pathOf(key)
    return guarded(signal, async () => {
      await using file = await openFile(path)
      return file && { path, ...(await tallyOf(file, signal)), [Symbol.asyncDispose]: async () => {} }
    })
  }

  /** One file needs no copy; of several a durable one is made. */
  async gather(keys: readonly string[], signal: AbortSignal): Promise<LocalCopy | null> {
    const [only = '', ...rest] = keys
    if (rest.length === 0) return this.checkOut(only, signal)
    return gatherInto(this.#scratch, keys, (key) => this.read(key, null, signal), { flush: true, signal })
  }

  async read(
    key: string,
    range: { start: number; end: number } | null,
    signal: AbortSignal,
  ): Promise<AsyncIterable<Uint8Array> | null> {
    const file = await guarded(signal, () => openFile(this.#pathOf(key)))
    return file && outflow(file.createReadStream({ ...range, signal, highWaterMark: CHUNK_BYTES }), signal)
  }

  async size(key: string): Promise<number | null> {
    const found = await guarded(null, () => stat(this.#pathOf(key)).catch(nullIfAbsent))
    return found?.isFile() ? found.size : null
  }

  async remove(key: string): Promise<void> {
    await guarded(null, () => rm(this.#pathOf(key), { force: true }).catch(nullIfAbsent))
  }

  /** In the order of S3, which is that of the bytes of the keys. */
  async list(limit: number, after: string | null = null, before: Date | null = null): Promise<readonly StoredBlob[]> {
    return guarded(null, () => this.#filesOf(limit, after, before))
  }

  async ping(): Promise<void> {
    await guarded(null, () => access(this.#root, constants.R_OK | constants.W_OK | constants.X_OK))
  }

  async #filesOf(limit: number, after: string | null, before: Date | null): Promise<StoredBlob[]> {
    const files: StoredBlob[] = []
    if (limit <= 0) return files
    for await (const key of keysBelow(this.#root, '', after)) {
      const found = await stat(join(this.#root, key)).catch(nullIfAbsent)
      if (!found || (before !== null && found.mtime >= before) || !isKey(key)) continue
      files.push({ key, bytes: found.size, modifiedAt: found.mtime })
      if (files.length === limit) break
    }
    return files
  }

  /** The only way from a key to a path. */
  #pathOf(key: string): string {
    const path = resolve(this.#root, checkedKey(key))
    if (!path.startsWith(this.#root + sep)) throw new SluiceError('internal_error', 'The object key leaves its directory')
    return path
  }
}

/**
 * Those behind `after`: what lies before it is not looked into. A directory counts with the slash behind its name, since `a-b` comes
 * before `a/b`.
 */
async function* keysBelow(root: string, prefix: string, after: string | null): AsyncGenerator<string> {
  const entries = (await readdir(join(root, prefix), { withFileTypes: true }).catch(nullIfAbsent)) ?? []
  const kept = entries.filter((entry) => entry.isDirectory() || entry.isFile())
  const named = kept.map((entry) => ({ isFile: entry.isFile(), key: `${prefix}${entry.name}${entry.isFile() ? '' : '/'}` }))
  for (const { isFile, key } of named.sort((one, other) => compareKeys(one.key, other.key))) {
    const isBehind = after === null || compareKeys(key, after) > 0
    if (isFile && isBehind) yield key
    if (!isFile && (isBehind || after?.startsWith(key))) yield* keysBelow(root, key, after)
  }
}

/** JavaScript compares units of UTF-16. */
function compareKeys(one: string, other: string): number {
  return Buffer.compare(Buffer.from(one), Buffer.from(other))
}

/** Gives a complete file its name, for good: POSIX makes an entry durable only with the directory that holds it. */
async function settle(partial: string, path: string): Promise<void> {
  const dir = dirname(path)
  const firstMade = await mkdir(dir, { recursive: true })
  await rename(partial, path)
  await syncDirectory(dir)
  if (firstMade === undefined) return
  for (let made = dir; made.length >= firstMade.length; made = dirname(made)) await syncDirectory(dirname(made))
}

async function syncDirectory(path: string): Promise<void> {
  await using dir = await open(path, 'r')
  try {
    await dir.sync()
  } catch (error) {
    // Some network file systems have no such call; they are durable by their own rules.
    if (!['EINVAL', 'ENOTSUP', 'EPERM'].includes(codeOf(error))) throw error
  }
}

const NO_LINKS = new Set(['EXDEV', 'EPERM', 'EMLINK', 'ENOTSUP', 'EOPNOTSUPP', 'ENOSYS'])

/** A second name for a file, or, where the file system has none, durable second bytes. */
export async function linkOrCopy(from: string, to: string): Promise<void> {
  try {
    await link(from, to)
  } catch (error) {
    if (codeOf(error) === 'ENOENT') throw new SluiceError('bytes_damaged', 'The staged bytes are gone', { cause: error })
    if (!NO_LINKS.has(codeOf(error))) throw error
    await copyFile(from, to, constants.COPYFILE_EXCL | constants.COPYFILE_FICLONE)
    await using copy = await open(to, 'r+')
    await copy.sync()
  }
}

/** Null when there is no regular file: a directory can be opened too. */
async function openFile(path: string): Promise<FileHandle | null> {
  const file = await open(path, 'r').catch(nullIfAbsent)
  if (!file || (await file.stat()).isFile()) return file
  await file.close()
  return null
}

async function tallyOf(file: FileHandle, signal: AbortSignal): Promise<Pick<LocalCopy, 'bytes' | 'digest'>> {
  const tally = new Tally()
  const chunk = Buffer.allocUnsafeSlow(CHUNK_BYTES)
  for (;;) {
    signal.throwIfAborted()
    const { bytesRead } = await file.read(chunk, 0, chunk.length)
    if (bytesRead === 0) return tally.result()
    tally.add(chunk.subarray(0, bytesRead))
  }
}
