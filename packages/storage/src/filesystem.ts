import type { Objects } from '@sluice/core'
import { join } from 'node:path'
import { NO_DIRECT_UPLOADS } from './direct-uploads.ts'
import { guarded } from './failures.ts'
import { Scratch } from './scratch.ts'
import { Volume } from './volume.ts'

export interface FilesystemOptions {
  /** Holds `staged`, `blobs` and `partial`; one file system, shared by all processes. */
  readonly dir: string
}

/** Both roles in directories: what a single machine needs. Blobs are hard links to what was staged. */
export async function openFilesystemObjects({ dir }: FilesystemOptions): Promise<Objects & AsyncDisposable> {
  const { staged, blobs } = await openVolumes(dir)
  return {
    stage: (key, bytes, signal) => staged.write(key, bytes, signal),
    checkOut: (key, signal) => staged.checkOut(key, signal),
    promote: (_stagedKey, copy, blobKey, _mediaType, signal) => blobs.adopt(copy, blobKey, signal),
    gather: (keys, signal) => staged.gather(keys, signal),
    statStaged: (key) => staged.size(key),
    ...NO_DIRECT_UPLOADS,
    unstage: (key) => staged.remove(key),
    listStaged: async (before, limit, after) => (await staged.list(limit, after, before)).map(({ key }) => key),
    putBlob: (key, bytes, _mediaType, signal) => blobs.write(key, once(bytes), signal),
    statBlob: (key) => blobs.size(key),
    listBlobs: (limit, after) => blobs.list(limit, after),
    removeBlob: (key) => blobs.remove(key),
    readBlob: (key, range, signal) => blobs.read(key, range, signal),
    async ping() {
      await staged.ping()
      await blobs.ping()
    },
    async [Symbol.asyncDispose]() {},
  }
}

async function openVolumes(dir: string): Promise<{ staged: Volume; blobs: Volume }> {
  return guarded(null, async () => {
    const scratch = await Scratch.open(join(dir, 'partial'))
    return { staged: await Volume.open(join(dir, 'staged'), scratch), blobs: await Volume.open(join(dir, 'blobs'), scratch) }
  })
}

async function* once(bytes: Uint8Array): AsyncGenerator<Uint8Array, void, undefined> {
  yield bytes
}
