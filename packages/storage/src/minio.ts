import type { LocalCopy, Objects } from '@sluice/core'
import { isOutage, SluiceError } from '@sluice/core'
import { join } from 'node:path'
import { setTimeout as wait } from 'node:timers/promises'
import { Bucket } from './bucket.ts'
import { type DirectUploads, directUploads, NO_DIRECT_UPLOADS } from './direct-uploads.ts'
import { guarded } from './failures.ts'
import { gatherInto } from './gather.ts'
import { Inflow } from './inflow.ts'
import { outflow } from './outflow.ts'
import { Scratch } from './scratch.ts'
import type { ServerOptions } from './signing-client.ts'
import { Volume } from './volume.ts'
import { Wire } from './wire.ts'

export interface MinioOptions extends Omit<ServerOptions, 'idleMsMax'> {
  readonly bucket: string
  /** Where clients reach the same server, if they may put uploads into the staging bucket by themselves. */
  readonly publicEndpoint?: string | null
  /** A volume that all processes share, so that bytes cross the network once; or a bucket, where they share none. */
  readonly staging: { readonly kind: 'volume'; readonly dir: string } | { readonly kind: 'bucket'; readonly bucket: string }
  /**
   * A connection on which nothing moves for this long is given up, and so is a small call that takes this long. At the end of an
   * upload it must cover what the kernel has buffered, some megabytes on a slow line.
   */
  readonly idleMsMax?: number
  /** How long to wait at the start for a server that does not answer. */
  readonly startMsMax?: number
}

const DEFAULT_IDLE_MS = 15_000
const DEFAULT_START_MS = 30_000
const START_RETRY_MS = 500

type Staging = Pick<
  Objects,
  | 'stage'
  | 'checkOut'
  | 'gather'
  | 'statStaged'
  | 'takesDirectUploads'
  | 'presign'
  | 'promote'
  | 'unstage'
  | 'listStaged'
  | 'ping'
>

/** Blobs in a bucket of MinIO or of any other S3 server; buckets that are missing are made. */
export async function openMinioObjects(options: MinioOptions): Promise<Objects & AsyncDisposable> {
  const idleMsMax = options.idleMsMax ?? DEFAULT_IDLE_MS
  await using stack = new AsyncDisposableStack()
  const wire = stack.adopt(new Wire({ ...options, idleMsMax }), (wire) => wire.close())
  const bucketOf = (name: string): Promise<Bucket> =>
    openBucket(new Bucket(wire, name, idleMsMax), options.startMsMax ?? DEFAULT_START_MS)
  const blobs = await bucketOf(options.bucket)
  const staging =
    options.staging.kind === 'volume'
      ? await stageOnVolume(options.staging.dir, blobs)
      : await stageInBucket(await bucketOf(options.staging.bucket), blobs, directUploads(options, options.staging.bucket))
  const opened = stack.move()
  return {
    ...staging,
    async putBlob(key, bytes, mediaType, signal) {
      await blobs.putBytes(key, bytes, mediaType, signal)
      await checkStored(blobs, key, bytes.byteLength, signal)
    },
    statBlob: (key) => blobs.size(key),
    listBlobs: (limit, after) => blobs.list(limit, after),
    removeBlob: (key) => blobs.remove(key),
    async readBlob(key, range, signal) {
      const body = await blobs.get(key, range, signal)
      return body && outflow(body, signal)
    },
    async ping() {
      await staging.ping()
      await blobs.ping()
    },
    [Symbol.asyncDispose]: () => opened.disposeAsync(),
  }
}

async function stageOnVolume(dir: string, blobs: Bucket): Promise<Staging> {
  const staged = await openVolume(dir)
  return {
    stage: (key, bytes, signal) => staged.write(key, bytes, signal),
    checkOut: (key, signal) => staged.checkOut(key, signal),
    async promote(_stagedKey, copy, blobKey, mediaType, signal) {
      await promoteOnce(blobs, blobKey, copy, signal, () => blobs.putFile(blobKey, copy, mediaType, signal))
    },
    gather: (keys, signal) => staged.gather(keys, signal),
    statStaged: (key) => staged.size(key),
    ...NO_DIRECT_UPLOADS,
    unstage: (key) => staged.remove(key),
    listStaged: async (before, limit, after) => (await staged.list(limit, after, before)).map(({ key }) => key),
    ping: () => staged.ping(),
  }
}

/**
 * The size of an upload is known when it is over. It goes to a local file first and from there to the bucket as one PUT: next to
 * no memory, nothing to abort on the server, no object that is half there, and a PUT that fails can be sent again.
 */
async function stageInBucket(staged: Bucket, blobs: Bucket, direct: DirectUploads): Promise<Staging> {
  const scratch = await guarded(null, () => Scratch.openTemporary())
  return {
    async stage(key, bytes, signal) {
      const inflow = new Inflow(bytes, signal)
      await using spooled = await scratch.copy(inflow).catch((error: unknown) => {
        throw inflow.blame(error)
      })
      await staged.putFile(key, spooled, 'application/octet-stream', signal)
    },
    async checkOut(key, signal) {
      const body = await staged.get(key, null, signal)
      return body && guarded(signal, () => scratch.copy(body))
    },
    async promote(stagedKey, copy, blobKey, mediaType, signal) {
      await promoteOnce(blobs, blobKey, copy, signal, () =>
        stagedKey === null
          ? blobs.putFile(blobKey, copy, mediaType, signal)
          : blobs.copyFrom(staged, stagedKey, blobKey, mediaType, signal),
      )
    },
    gather: (keys, signal) => gatherInto(scratch, keys, (key) => staged.get(key, null, signal), { signal }),
    statStaged: (key) => staged.size(key),
    ...direct,
    unstage: (key) => staged.remove(key),
    listStaged: async (before, limit, after) => (await staged.list(limit, after, before)).map(({ key }) => key),
    ping: () => staged.ping(),
  }
}

/**
 * The key names the content: what is there in full is not written again. MinIO would let the writer wait besides until the
 * slowest reader of the old object is done.
 */
async function promoteOnce(
  blobs: Bucket,
  key: string,
  copy: LocalCopy,
  signal: AbortSignal,
  write: () => Promise<void>,
): Promise<void> {
  if ((await blobs.size(key, signal)) === copy.bytes) return
  await write()
  await checkStored(blobs, key, copy.bytes, signal)
}

/** Not every server checks the hash that a PUT declares, or keeps what it has said that it keeps. */
async function checkStored(blobs: Bucket, key: string, bytes: number, signal: AbortSignal): Promise<void> {
  const stored = await blobs.size(key, signal)
  if (stored !== bytes) throw new SluiceError('bytes_damaged', `Of ${bytes} bytes ${stored ?? 0} were stored`)
}

async function openBucket(bucket: Bucket, startMsMax: number): Promise<Bucket> {
  const deadline = Date.now() + startMsMax
  for (;;) {
    try {
      await bucket.ensure()
      return bucket
    } catch (error) {
      if (!isOutage(error) || Date.now() + START_RETRY_MS > deadline) throw error
      await wait(START_RETRY_MS)
    }
  }
}

async function openVolume(dir: string): Promise<Volume> {
  return guarded(null, async () => Volume.open(join(dir, 'staged'), await Scratch.open(join(dir, 'partial'))))
}
