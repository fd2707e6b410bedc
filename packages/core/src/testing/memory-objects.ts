import { createHash, randomUUID } from 'node:crypto'
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { SluiceError } from '../errors.ts'
import type { Digest } from '../ids.ts'
import type { LocalCopy, Objects } from '../ports.ts'

interface Stored {
  readonly bytes: Uint8Array
  readonly at: Date
}

/** Objects in two maps. Only a checked-out copy is a file, since others must be able to read it. */
export function memoryObjects(now: () => Date = () => new Date()): Objects & AsyncDisposable {
  const staged = new Map<string, Stored>()
  const blobs = new Map<string, Stored>()
  const copies = new AsyncDisposableStack()
  return {
    async stage(key, bytes, signal) {
      requireKey(key)
      staged.set(key, { bytes: await collect(bytes, signal), at: now() })
    },
    async checkOut(key, signal) {
      signal.throwIfAborted()
      const found = staged.get(requireKey(key))
      return found ? copies.use(await writeCopy(found.bytes)) : null
    },
    async promote(stagedKey, copy, blobKey, _mediaType, signal) {
      signal.throwIfAborted()
      const found = stagedKey === null ? { bytes: await readFile(copy.path) } : staged.get(requireKey(stagedKey))
      if (found?.bytes.byteLength !== copy.bytes) throw new SluiceError('bytes_damaged')
      blobs.set(requireKey(blobKey), { bytes: found.bytes, at: now() })
    },
    async gather(keys, signal) {
      signal.throwIfAborted()
      const found = keys.map((key) => staged.get(requireKey(key))?.bytes)
      const all = found.filter((bytes) => bytes !== undefined)
      return all.length < keys.length ? null : copies.use(await writeCopy(Buffer.concat(all)))
    },
    async statStaged(key) {
      return staged.get(requireKey(key))?.bytes.byteLength ?? null
    },
    takesDirectUploads: false,
    async presign() {
      throw new SluiceError('internal_error', 'There is no bucket')
    },
    async unstage(key) {
      staged.delete(requireKey(key))
    },
    async listStaged(before, limit, after = null) {
      const old = [...staged].flatMap(([key, { at }]) => (at < before && (after === null || key > after) ? [key] : []))
      return old.sort().slice(0, limit)
    },
    async putBlob(key, bytes, _mediaType, signal) {
      signal.throwIfAborted()
      blobs.set(requireKey(key), { bytes: Uint8Array.from(bytes), at: now() })
    },
    async statBlob(key) {
      return blobs.get(requireKey(key))?.bytes.byteLength ?? null
    },
    async listBlobs(limit, after = null) {
      const behind = [...blobs].filter(([key]) => after === null || compareKeys(key, after) > 0)
      const sorted = behind.sort(([one], [other]) => compareKeys(one, other)).slice(0, limit)
      return sorted.map(([key, { bytes, at }]) => ({ key, bytes: bytes.byteLength, modifiedAt: at }))
    },
    async removeBlob(key) {
      blobs.delete(requireKey(key))
    },
    async readBlob(key, range, signal) {
      signal.throwIfAborted()
      const bytes = blobs.get(requireKey(key))?.bytes
      return bytes ? chunksOf(range ? bytes.subarray(range.start, range.end + 1) : bytes, signal) : null
    },
    async ping() {},
    [Symbol.asyncDispose]: () => copies.disposeAsync(),
  }
}

function compareKeys(one: string, other: string): number {
  return Buffer.compare(Buffer.from(one), Buffer.from(other))
}

/** The rules of the drivers that make paths of keys. */
function requireKey(key: string): string {
  const isPath = key.split('/').every((segment) => !['', '.', '..'].includes(segment))
  if (!isPath || key.includes('\0') || key.includes('\\')) throw new SluiceError('internal_error', 'The object key is not valid')
  return key
}

async function collect(source: AsyncIterable<Uint8Array>, signal: AbortSignal): Promise<Uint8Array> {
  signal.throwIfAborted()
  const { promise: aborted, reject } = Promise.withResolvers<never>()
  const abort = (): void => reject(signal.reason)
  signal.addEventListener('abort', abort, { once: true })
  try {
    return await Promise.race([concatenate(source, signal), aborted])
  } finally {
    signal.removeEventListener('abort', abort)
  }
}

async function concatenate(source: AsyncIterable<Uint8Array>, signal: AbortSignal): Promise<Uint8Array> {
  const chunks: Uint8Array[] = []
  for await (const chunk of source) {
    signal.throwIfAborted()
    chunks.push(Uint8Array.from(chunk))
  }
  return Buffer.concat(chunks)
}

async function writeCopy(bytes: Uint8Array): Promise<LocalCopy> {
  const dir = await mkdtemp(join(tmpdir(), 'sluice-memory-'))
  const path = join(dir, randomUUID())
  await writeFile(path, bytes)
  const digest = createHash('sha256').update(bytes).digest('hex') as Digest
  return { path, bytes: bytes.byteLength, digest, [Symbol.asyncDispose]: () => rm(dir, { recursive: true, force: true }) }
}

const CHUNK_BYTES = 64 * 1024

async function* chunksOf(bytes: Uint8Array, signal: AbortSignal): AsyncGenerator<Uint8Array, void, undefined> {
  for (let at = 0; at < bytes.byteLength; at += CHUNK_BYTES) {
    signal.throwIfAborted()
    yield bytes.subarray(at, at + CHUNK_BYTES)
  }
}
