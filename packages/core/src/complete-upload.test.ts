import { afterEach, describe, expect, test } from 'vitest'
import {
  appendToUpload,
  cancelUpload,
  completeUpload,
  completeUploadAt,
  reserveUpload,
  settleUploads,
  takeUploadContent,
  type UploadRequest,
} from './complete-upload.ts'
import { SluiceError } from './errors.ts'
import type { IngestId, TenantId } from './ids.ts'
import { DEFAULT_LIMITS } from './limits.ts'
import { processIngest } from './pipeline.ts'
import type { Objects } from './ports.ts'
import { imageBytes, memoryObjects, memoryWorld, type MemoryWorld, newId, type WorldParts } from './testing/index.ts'
import { bucketKeyOf, uploadOfKey } from './upload.ts'

const CALM = new AbortController().signal
const BYTES = imageBytes('a tulip '.repeat(50))
const worlds: MemoryWorld[] = []
afterEach(async () => {
  for (const world of worlds.splice(0)) await world[Symbol.asyncDispose]()
})

async function scene(parts: WorldParts = {}) {
  const world = memoryWorld({ ...parts, limits: { ...DEFAULT_LIMITS, uploadPartBytesMax: 100, ...parts.limits } })
  worlds.push(world)
  const tenantId = (await world.database.tenants.findByName('default')) as TenantId
  return {
    world,
    tenantId,
    reserve: (change: Partial<UploadRequest> = {}) =>
      reserveUpload(world, {
        id: newId() as IngestId,
        tenantId,
        tokenId: newId() as never,
        bytes: BYTES.length,
        contentType: null,
        fileName: null,
        sha256: null,
        target: null,
        metadata: null,
        direct: true,
        ...change,
      }),
    find: (id: IngestId) => world.database.uploads.find(tenantId, id),
    ingest: (id: IngestId) => world.database.ingests.find(tenantId, id),
    work: (id: IngestId) => processIngest(world, { ingestId: id, epoch: 0 }, CALM),
    staged: () => world.objects.listStaged(new Date('2100-01-01'), 1_000),
    /** One look of upkeep, later than the last one. */
    upkeep: async () => {
      world.clock.advance(world.limits.uploadLookMs)
      return settleUploads(world)
    },
  }
}

/** A store whose staging clients can reach; to put there is to stage. */
const direct = (): Objects & AsyncDisposable => ({ ...memoryObjects(), takesDirectUploads: true })

async function* pieces(bytes: Uint8Array, size = 30): AsyncGenerator<Uint8Array, void> {
  for (let at = 0; at < bytes.length; at += size) yield bytes.subarray(at, at + size)
}

async function* cutOff(bytes: Uint8Array): AsyncGenerator<Uint8Array, void> {
  yield* pieces(bytes)
  throw new Error('the connection is gone')
}

describe('an upload into the bucket', () => {
  test('is completed by whoever looks first, once its bytes are there: a client, an event, or nobody', async () => {
    const { world, tenantId, reserve, ingest, work, staged, upkeep } = await scene({ objects: direct() })
    const ways = [
      ({ id }: { id: IngestId }) => completeUpload(world, tenantId, id),
      ({ id }: { id: IngestId }) => completeUploadAt(world, tenantId, encodeURIComponent(bucketKeyOf(tenantId, id))),
      upkeep,
    ]
    for (const say of ways) {
      const upload = await reserve()
      await upkeep()
      await expect(completeUpload(world, tenantId, upload.id)).rejects.toMatchObject({ code: 'upload_incomplete' })
      await world.objects.stage(upload.bucketKey ?? '', pieces(BYTES), CALM)
      await say(upload)
      expect(await ingest(upload.id)).toMatchObject({ state: 'received', source: { kind: 'uploaded', bytes: BYTES.length } })
      await work(upload.id)
      expect(await ingest(upload.id)).toMatchObject({ state: 'committed' })
    }
    expect(await staged()).toEqual([])
  })

  test('that is replaced while it is validated is stored as what was validated', async () => {
    const objects = direct()
    let id: IngestId | null = null
    const promote: typeof objects.promote = async (...args) => {
      await objects.stage(bucketKeyOf(tenantId, id as IngestId), pieces(imageBytes('a rose!')), CALM)
      return objects.promote(...args)
    }
    const { world, tenantId, reserve, ingest, work } = await scene({ objects: { ...objects, promote } })
    const upload = await reserve()
    id = upload.id
    await objects.stage(upload.bucketKey ?? '', pieces(BYTES), CALM)
    await completeUpload(world, tenantId, id)
    await work(id)
    const file = await world.database.files.find(tenantId, (await ingest(id))?.result?.fileId as never)
    const blob = await world.objects.readBlob(`${tenantId}/${file?.facts.digest.slice(0, 2)}/${file?.facts.digest}`, null, CALM)
    const read = []
    for await (const chunk of blob ?? []) read.push(chunk)
    expect(Buffer.concat(read).equals(BYTES)).toBe(true)
  })

  test('whose maker dies between its promise and its ingest is an ingest all the same', async () => {
    const { world, tenantId, reserve, ingest, find, upkeep } = await scene({ objects: direct() })
    const upload = await reserve()
    await world.objects.stage(upload.bucketKey ?? '', pieces(BYTES), CALM)
    await world.database.uploads.close(tenantId, upload.id, 'completed')
    expect(await ingest(upload.id)).toBeNull()
    await upkeep()
    expect(await ingest(upload.id)).toMatchObject({ state: 'received' })
    expect((await find(upload.id))?.settledAt).not.toBeNull()
  })

  test('that comes at the last moment is found; one that does not vanishes, with what is there of it', async () => {
    const { world, tenantId, reserve, find, staged } = await scene({ objects: direct() })
    const [whole, half] = [await reserve(), await reserve()]
    await world.objects.stage(whole.bucketKey ?? '', pieces(BYTES), CALM)
    await world.objects.stage(half.bucketKey ?? '', pieces(BYTES.subarray(1)), CALM)
    world.clock.advance(world.limits.uploadMsMax + 1)
    await settleUploads(world)
    expect([(await find(whole.id))?.state, (await find(half.id))?.state]).toEqual(['completed', 'expired'])
    expect(await staged()).toEqual([whole.bucketKey])
    await expect(completeUpload(world, tenantId, half.id)).rejects.toMatchObject({ code: 'upload_over' })
  })

  test('is what only its own key names', () => {
    const [tenantId, id] = [newId() as TenantId, newId() as IngestId]
    const key = bucketKeyOf(tenantId, id)
    for (const told of [key, encodeURIComponent(key), `sluice-staging/${key}`])
      expect(uploadOfKey(told)).toEqual({ tenantId, id })
    for (const told of ['', key.slice(1), `${key}/x`, `${tenantId}/${id}`, 'uploads/a/b', `uploads/${id}`])
      expect(uploadOfKey(told)).toBeNull()
  })
})

describe('an upload in parts', () => {
  test('keeps what had come when its connection went, and goes on from there', async () => {
    const { world, tenantId, reserve, find, ingest, work, staged } = await scene()
    const { id } = await reserve({ direct: false, bytes: BYTES.length })
    const half = Math.floor(BYTES.length / 2)
    expect(await appendToUpload(world, (await find(id)) as never, cutOff(BYTES.subarray(0, half)), CALM)).toBe(half)
    expect(await appendToUpload(world, (await find(id)) as never, pieces(BYTES.subarray(half)), CALM)).toBe(BYTES.length)
    const parts = (await find(id))?.parts ?? []
    expect(parts.map(({ bytes }) => bytes)).toEqual([...cut(half), ...cut(BYTES.length - half)])
    await completeUpload(world, tenantId, id)
    await work(id)
    const file = await world.database.files.find(tenantId, (await ingest(id))?.result?.fileId as never)
    expect(file?.facts.bytes).toBe(BYTES.length)
    expect(await staged()).toEqual([])
  })

  test('that two write at once has the bytes of one, and nothing of the other stays', async () => {
    const { world, reserve, find, staged } = await scene()
    const { id } = await reserve({ direct: false, bytes: BYTES.length })
    const upload = await find(id)
    const both = [1, 2].map(() => appendToUpload(world, upload as never, pieces(BYTES), CALM))
    const answers = await Promise.allSettled(both)
    expect(answers.map(({ status }) => status).toSorted()).toEqual(['fulfilled', 'rejected'])
    const keys = (await find(id))?.parts.map(({ key }) => key) ?? []
    expect((await staged()).toSorted()).toEqual(keys.toSorted())
  })

  test('is not cut into more parts than allowed', async () => {
    const { world, reserve, find } = await scene({ limits: { ...DEFAULT_LIMITS, uploadPartBytesMax: 10, uploadPartsMax: 3 } })
    const { id } = await reserve({ direct: false, bytes: BYTES.length })
    const sent = appendToUpload(world, (await find(id)) as never, pieces(BYTES), CALM)
    await expect(sent).rejects.toMatchObject({ code: 'upload_parts_exceeded' })
  })

  const cut = (bytes: number) => Array.from({ length: Math.ceil(bytes / 100) }, (_, at) => Math.min(100, bytes - at * 100))
})

describe('an upload in one stream', () => {
  test('leaves nothing behind when it is refused, and may be sent again', async () => {
    const { world, reserve, find, staged } = await scene()
    const upload = await reserve({ sha256: 'f'.repeat(64) as never })
    const refused = takeUploadContent(world, upload, pieces(BYTES), CALM)
    await expect(refused).rejects.toMatchObject({ code: 'digest_mismatched' })
    await expect(takeUploadContent(world, upload, pieces(BYTES.subarray(1)), CALM)).rejects.toBeInstanceOf(SluiceError)
    expect(await staged()).toEqual([])
    expect(await find(upload.id)).toMatchObject({ state: 'open', parts: [] })
  })

  test('that is sent twice at once is there once, and both are told so', async () => {
    const { world, reserve, staged } = await scene()
    const upload = await reserve()
    const [first, second] = await Promise.all([1, 2].map(() => takeUploadContent(world, upload, pieces(BYTES), CALM)))
    expect([first?.id, second?.id]).toEqual([upload.id, upload.id])
    expect(await staged()).toHaveLength(1)
  })

  test('is given up with its bytes, but not once it is complete', async () => {
    const { world, tenantId, reserve, find, staged } = await scene()
    const [open, done] = [await reserve({ direct: false, bytes: 1_000 }), await reserve()]
    await appendToUpload(world, open, pieces(BYTES), CALM)
    await cancelUpload(world, tenantId, open.id)
    await cancelUpload(world, tenantId, open.id)
    expect(await staged()).toEqual([])
    expect(await find(open.id)).toMatchObject({ state: 'cancelled', settledAt: expect.any(Date) })
    await takeUploadContent(world, done, pieces(BYTES), CALM)
    await expect(cancelUpload(world, tenantId, done.id)).rejects.toMatchObject({ code: 'upload_over' })
  })
})
