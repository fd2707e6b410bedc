import { expect, test } from 'vitest'
import type { FileId, ImageId, IngestId, ProductId, TokenId } from '../../ids.ts'
import { aCommit, aFacts, aNewIngest, aPlacement, aTimelineEntry, newDigest, newId } from '../builders.ts'
import { expectRefusal, LIMITS, LONG_MS, present, refOf, type Subject } from './catalogue.ts'

export function commitTests({ catalogue }: Subject): void {
  const ingests = () => catalogue().database.ingests

  test('a new file becomes an image of its product, and all is told together', async () => {
    const product = await catalogue().newProduct()
    const accepted = await catalogue().acceptFor(product, { label: 'Side ü', excluded: true, roles: ['small_image'] })
    const ingest = present(await ingests().start(accepted.id, 0))
    const commit = aCommit(ingest, { timeline: [aTimelineEntry({ step: 'store' }), aTimelineEntry({ step: 'commit' })] })
    expect(await ingests().commit(commit, LIMITS)).toBe('committed')

    const list = await catalogue().imagesOf(product)
    expect(list.version).toBe(product.version + 1)
    expect(list.images).toHaveLength(1)
    const image = present(list.images[0])
    expect(image).toMatchObject({ id: commit.image?.id, productId: product.id, name: 'image', label: 'Side ü', excluded: true })
    expect([...image.roles].sort()).toEqual(['image', 'small_image'])
    expect(image.file).toMatchObject({ id: commit.file.id, name: 'photo.jpg' })
    expect(Number.isSafeInteger(image.number)).toBe(true)

    const done = present(await ingests().find(product.tenantId, ingest.id))
    const result = { fileId: commit.file.id, imageId: image.id }
    expect(done).toMatchObject({ state: 'committed', result, problem: null, attempts: 1 })
    expect(done.finishedAt).toBeInstanceOf(Date)
    const steps = (await ingests().timeline(product.tenantId, ingest.id)).map(({ step }) => step)
    expect(steps).toEqual(['accept', 'start', 'store', 'commit', 'finish'])
  })

  test('an image is found with its rank and the version of its product', async () => {
    const { database } = catalogue()
    const product = await catalogue().newProduct()
    await catalogue().attach(product)
    const id = await catalogue().attach(product)
    const { version, images } = await catalogue().imagesOf(product)
    expect(await database.images.find(product.tenantId, refOf(product), id)).toEqual({ version, rank: 2, image: images[1] })
    expect(await database.images.find(product.tenantId, refOf(product), newId() as ImageId)).toBeNull()
    expect(await database.images.find(product.tenantId, refOf(await catalogue().newProduct()), id)).toBeNull()
    expect(await database.images.find(product.tenantId, { kind: 'id', id: newId() as ProductId }, id)).toBeNull()
  })

  test('a file that is there already is hung on a product, as often as one likes', async () => {
    const product = await catalogue().newProduct()
    const fileId = newId() as FileId
    await catalogue().commit(await catalogue().accept(), {
      file: { kind: 'new', id: fileId, name: null, facts: aFacts(), reuses: false },
    })
    for (const n of [1, 2]) {
      const ingest = await catalogue().acceptFor(product, {}, { source: { kind: 'file', fileId } })
      expect(await catalogue().commit(ingest)).toBe('committed')
      const images = (await catalogue().imagesOf(product)).images
      expect(images.map(({ file }) => file.id)).toEqual(Array.from({ length: n }, () => fileId))
      expect((await ingests().find(product.tenantId, ingest.id))?.result?.fileId).toBe(fileId)
    }
  })

  test('an image tells who brought it, by whatever token, as long as that is known', async () => {
    const { database, home } = catalogue()
    const token = { tenantId: home, role: 'writer', prefix: 'p', expiresAt: null } as const
    const { tokenId, number, name } = await database.tokens.create({
      ...token,
      id: newId() as TokenId,
      name: 'camera',
      sha256Hex: newDigest(),
    })
    const product = await catalogue().newProduct()
    await catalogue().commit(await catalogue().acceptFor(product, {}, { tokenId }))
    await catalogue().attach(product)
    await database.tokens.revoke(home, tokenId)
    const { images } = await catalogue().imagesOf(product)
    expect(images.map(({ uploader }) => uploader)).toEqual([{ number, name }, null])
    const found = await database.images.find(product.tenantId, refOf(product), present(images[0]).id)
    expect(found?.image.uploader).toEqual({ number, name })
  })

  test('a file without a product is kept for itself', async () => {
    const ingest = await catalogue().accept()
    const commit = aCommit(ingest)
    expect(commit.image).toBeNull()
    expect(await ingests().commit(commit, LIMITS)).toBe('committed')
    const result = { fileId: commit.file.id, imageId: null }
    expect(await ingests().find(ingest.tenantId, ingest.id)).toMatchObject({ state: 'committed', result })
    expect(await catalogue().database.files.find(ingest.tenantId, commit.file.id)).not.toBeNull()
  })

  test('what was committed before stays as it was, whatever is committed again', async () => {
    const product = await catalogue().newProduct()
    const ingest = await catalogue().acceptFor(product)
    expect(await catalogue().commit(ingest)).toBe('committed')
    const [list, done] = [await catalogue().imagesOf(product), await ingests().find(product.tenantId, ingest.id)]
    const again = aCommit(ingest, { timeline: [aTimelineEntry()] })
    expect(await ingests().commit(again, LIMITS)).toBe('committed')
    expect(await catalogue().imagesOf(product)).toEqual(list)
    expect(await ingests().find(product.tenantId, ingest.id)).toEqual(done)
    expect(await ingests().timeline(product.tenantId, ingest.id)).toHaveLength(2)
    expect(await catalogue().database.files.find(product.tenantId, again.file.id)).toBeNull()
  })

  test.for(['rejected', 'failed'] as const)('what was %s is not committed any more', async (state) => {
    const product = await catalogue().newProduct()
    const ingest = await catalogue().acceptFor(product)
    await ingests().end(ingest.id, state, { code: 'image_corrupt', detail: '' }, [])
    expect(await catalogue().commit(ingest)).toBe(state)
    expect((await catalogue().imagesOf(product)).images).toEqual([])
  })

  test('a replayed ingest can be committed', async () => {
    const product = await catalogue().newProduct()
    const ingest = await catalogue().acceptFor(product)
    await ingests().end(ingest.id, 'failed', { code: 'attempts_exhausted', detail: '' }, [])
    await ingests().replay(product.tenantId, [ingest.id], LONG_MS)
    expect(await catalogue().commit(ingest)).toBe('committed')
    expect((await catalogue().imagesOf(product)).images).toHaveLength(1)
  })

  test('a refusal leaves nothing behind', async () => {
    const { home, database } = catalogue()
    const full = await catalogue().newProduct()
    await catalogue().attach(full)
    const absent = { kind: 'attach', productId: newId() as ProductId, placement: aPlacement() } as const
    const unknownFile = { kind: 'existing', id: newId() as FileId } as const
    const toFull = aCommit(await catalogue().acceptFor(full))
    const toAbsent = aCommit(await catalogue().accept({ target: absent }))
    const ofAbsent = aCommit(await catalogue().acceptFor(full), { file: unknownFile })
    const unknown = aCommit({ ...(await catalogue().accept()), id: newId() as IngestId })
    const list = await catalogue().imagesOf(full)

    await expectRefusal(ingests().commit(toFull, { imagesPerProductMax: 1 }), 'images_exceeded', { imagesPerProductMax: 1 })
    await expectRefusal(ingests().commit(toAbsent, LIMITS), 'product_unknown')
    await expectRefusal(ingests().commit(ofAbsent, LIMITS), 'file_reference_unknown')
    await expectRefusal(ingests().commit(unknown, LIMITS), 'ingest_unknown')

    expect(await catalogue().imagesOf(full)).toEqual(list)
    for (const { ingestId, file } of [toFull, toAbsent, ofAbsent]) {
      expect(await ingests().find(home, ingestId)).toMatchObject({ state: 'received', result: null })
      expect(await database.files.find(home, file.id)).toBeNull()
      const facts = file.kind === 'new' ? await database.files.findFacts(home, file.facts.digest) : null
      expect(facts).toBeNull()
    }
    expect(await ingests().commit(toFull, { imagesPerProductMax: 2 })).toBe('committed')
  })

  test('room is made by a removal', async () => {
    const product = await catalogue().newProduct()
    const first = await catalogue().attach(product)
    const next = aCommit(await catalogue().acceptFor(product))
    await catalogue().database.images.remove(product.tenantId, refOf(product), first, 'promote', null)
    expect(await ingests().commit(next, { imagesPerProductMax: 1 })).toBe('committed')
  })

  test("another tenant's file is unknown, and so is another tenant's product", async () => {
    const { home, stranger } = catalogue()
    const [own, foreign] = [await catalogue().newProduct(), await catalogue().newProduct(stranger)]
    const fileId = newId() as FileId
    const theirs = await catalogue().accept({ tenantId: stranger })
    await catalogue().commit(theirs, { file: { kind: 'new', id: fileId, name: null, facts: aFacts(), reuses: false } })
    const ofForeignFile = await catalogue().acceptFor(own, {}, { source: { kind: 'file', fileId } })
    await expectRefusal(catalogue().commit(ofForeignFile), 'file_reference_unknown')
    const target = { kind: 'attach', productId: foreign.id, placement: aPlacement() } as const
    const toForeignProduct = await ingests().accept(aNewIngest({ tenantId: home, target }))
    await expectRefusal(catalogue().commit(toForeignProduct), 'product_unknown')
    expect((await catalogue().imagesOf(foreign)).version).toBe(foreign.version)
  })
}
