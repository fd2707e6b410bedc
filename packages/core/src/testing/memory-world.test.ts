import { expect, test } from 'vitest'
import { acceptIngest, stageUpload } from '../accept-upload.ts'
import { SluiceError } from '../errors.ts'
import { ACCEPTED_TYPES, type MediaType, MEDIA_TYPES } from '../file.ts'
import type { IngestId, ProductId, TokenId } from '../ids.ts'
import type { Ingest } from '../ingest.ts'
import { processIngest } from '../pipeline.ts'
import type { Caller } from '../ports.ts'
import { relayOutbox } from '../relay-outbox.ts'
import { waitForIngest } from '../wait-for-ingest.ts'
import { aPlacement, newId } from './builders.ts'
import { type MemoryWorld, memoryWorld } from './memory-world.ts'
import { imageBytes, scriptedDecoder } from './scripted-decoder.ts'

const DEADLINE = () => AbortSignal.timeout(5_000)

/** Takes an upload from its bytes to its end, as intake and worker do. */
async function land(world: MemoryWorld, bytes: Uint8Array): Promise<Ingest | null> {
  const tenantId = await world.database.newTenant()
  const caller: Caller = { tokenId: newId() as TokenId, tenantId, role: 'writer', name: 'camera', number: 1 }
  const product = await world.database.products.create({ id: newId() as ProductId, tenantId, sku: 'chair', title: null })
  const declaration = { contentType: null, fileName: 'a.jpg', typeMustMatch: false }
  const chunks = (async function* () {
    yield bytes
  })()
  const from = await stageUpload(world, tenantId, chunks, declaration, DEADLINE())
  const target = { kind: 'attach', productId: product.id, placement: aPlacement() } as const
  const { id } = await acceptIngest(world, caller, {
    id: world.newId() as IngestId,
    from,
    target,
    idempotency: null,
    answer: null,
  })
  await relayOutbox(world)
  const consumer = world.queue.consume((job, signal) => processIngest(world, job, signal), { concurrency: 1 })
  const ended = await waitForIngest(world.database, tenantId, id, DEADLINE())
  await consumer.stop(1_000)
  return ended
}

test('an image lands in a world of memory', async () => {
  await using world = memoryWorld({ decoder: scriptedDecoder({ 'a chair': { width: 4_000 } }) })
  const ended = await land(world, imageBytes('a chair', 'image/png'))
  expect(ended).toMatchObject({ state: 'committed', attempts: 1, createdAt: world.now(), finishedAt: world.now() })
  const tenantId = ended?.tenantId ?? ('' as never)
  const list = await world.database.images.list(tenantId, { kind: 'sku', sku: 'chair' })
  expect(list?.images).toMatchObject([{ name: 'image', file: { facts: { mediaType: 'image/png', width: 4_000, height: 30 } } }])
  const steps = world.observed.flatMap((event) => (event.kind === 'ingest.step_ended' ? event.step : []))
  expect(steps).toEqual(['fetch', 'validate', 'store', 'extract', 'name', 'commit'])
})

test('an image that the script calls corrupt is rejected', async () => {
  await using world = memoryWorld({ decoder: scriptedDecoder({ torn: new SluiceError('image_corrupt') }) })
  expect(await land(world, imageBytes('torn'))).toMatchObject({ state: 'rejected', problem: { code: 'image_corrupt' } })
})

test('every accepted type is recognised by its first bytes, and others are not accepted', async () => {
  const decoder = scriptedDecoder()
  const types = Object.keys(MEDIA_TYPES) as MediaType[]
  expect((await Promise.all(types.map((type) => decoder.sniff(imageBytes('', type))))).join(', ')).toBe(ACCEPTED_TYPES)
  expect(await decoder.sniff(Buffer.from('%PDF-1.7'))).toBe('application/pdf')
  expect(await decoder.sniff(Buffer.from('hello'))).toBeNull()
  expect(await decoder.sniff(Buffer.alloc(0))).toBeNull()
})
