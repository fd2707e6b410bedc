import { beforeAll, expect, test } from 'vitest'
import type { FileId, ImageId, TokenId } from '../../ids.ts'
import type { Ingest } from '../../ingest.ts'
import type { Product, ProductRef } from '../../product-image.ts'
import { aFacts, newDigest, newId } from '../builders.ts'
import { expectRefusal, LONG_MS, present, refOf, type Subject } from './catalogue.ts'

/** All that one tenant has, and that another one, who knows every id, tries to reach. */
export function tenancyTests({ catalogue }: Subject): void {
  const facts = aFacts()
  let product: Product
  let imageId: ImageId
  let failed: Ingest
  let committed: Ingest
  let fileId: FileId
  let refs: readonly ProductRef[]

  beforeAll(async () => {
    const { ingests } = catalogue().database
    product = await catalogue().newProduct()
    imageId = await catalogue().attach(product)
    fileId = newId() as FileId
    const done = await catalogue().acceptFor(product)
    await catalogue().commit(done, { file: { kind: 'new', id: fileId, name: 'secret.jpg', facts, reuses: false } })
    const ended = await catalogue().acceptFor(product)
    await ingests.end(ended.id, 'failed', { code: 'internal_error', detail: 'secret' }, [])
    committed = present(await ingests.find(product.tenantId, done.id))
    failed = present(await ingests.find(product.tenantId, ended.id))
    refs = [refOf(product), { kind: 'number', number: product.number }, { kind: 'sku', sku: product.sku }]
  })

  test('are found by their names', async () => {
    const { tenants } = catalogue().database
    expect(await tenants.findByName('default')).toBe(catalogue().home)
    expect(await tenants.findByName(newId())).toBeNull()
    expect(catalogue().stranger).not.toBe(catalogue().home)
  })

  test('read nothing of one another', async () => {
    const { database, stranger } = catalogue()
    const { products, images, files, ingests } = database
    for (const ref of refs) {
      expect(await products.find(stranger, ref)).toBeNull()
      expect(await images.list(stranger, ref)).toBeNull()
      expect(await images.find(stranger, ref, imageId)).toBeNull()
    }
    expect(await files.find(stranger, fileId)).toBeNull()
    expect(await files.findFacts(stranger, facts.digest)).toBeNull()
    expect(await ingests.find(stranger, failed.id)).toBeNull()
    expect(await ingests.timeline(stranger, failed.id)).toEqual([])
  })

  test('list nothing of one another', async () => {
    const { database, stranger } = catalogue()
    const ids = [failed.id, committed.id, product.id, fileId, present(committed.result?.imageId)]
    const texts = [...ids, 'secret', facts.digest, product.sku].map((text) => ({ text }))
    for (const filter of [{ states: ['failed'] as const }, ...texts, ...refs.map((ref) => ({ product: ref }))]) {
      const found = await database.ingests.list(stranger, filter, { before: null, limit: 1_000 })
      expect(found.filter(({ tenantId }) => tenantId !== stranger)).toEqual([])
      expect(found.map(({ id }) => id)).not.toContain(failed.id)
    }
  })

  test('change nothing of one another', async () => {
    const { database, stranger } = catalogue()
    const { images, ingests } = database
    const before = await catalogue().imagesOf(product)
    for (const ref of refs) {
      await expectRefusal(images.edit(stranger, ref, imageId, { label: 'x' }, null), 'product_unknown')
      await expectRefusal(images.remove(stranger, ref, imageId, 'promote', null), 'product_unknown')
      await expectRefusal(images.reorder(stranger, ref, [imageId], null), 'product_unknown')
      await expectRefusal(images.setMain(stranger, ref, null, null), 'product_unknown')
    }
    expect(await ingests.replay(stranger, [failed.id], LONG_MS)).toEqual([])
    expect(await catalogue().imagesOf(product)).toEqual(before)
    expect(await ingests.find(failed.tenantId, failed.id)).toEqual(failed)
  })

  test("reach no image of another one's product through a product of their own", async () => {
    const { database, stranger } = catalogue()
    const own = await catalogue().newProduct(stranger)
    await expectRefusal(database.images.edit(stranger, refOf(own), imageId, { label: 'x' }, null), 'image_unknown')
    await expectRefusal(database.images.remove(stranger, refOf(own), imageId, 'clear', null), 'image_unknown')
    await expectRefusal(database.images.setMain(stranger, refOf(own), imageId, null), 'image_unknown')
    await expectRefusal(database.images.reorder(stranger, refOf(own), [imageId], null), 'order_incomplete')
    expect(await database.images.find(stranger, refOf(own), imageId)).toBeNull()
  })

  test('keep the same bytes each for themselves', async () => {
    const { database, stranger } = catalogue()
    const own = { ...facts, dominantColour: '#abcdef' }
    const ingest = await catalogue().accept({ tenantId: stranger })
    await catalogue().commit(ingest, { file: { kind: 'new', id: newId() as FileId, name: null, facts: own, reuses: false } })
    expect(await database.files.findFacts(stranger, facts.digest)).toEqual(own)
    expect(await database.files.findFacts(product.tenantId, facts.digest)).toEqual(facts)
  })

  test("see and revoke only their own tokens, and each token is its tenant's", async () => {
    const { database, home, stranger } = catalogue()
    const id = newId() as TokenId
    const sha256Hex = newDigest()
    const token = { id, tenantId: home, name: 'n', role: 'reader', sha256Hex, prefix: 'p', expiresAt: null } as const
    await database.tokens.create(token)
    expect((await database.tokens.list(stranger)).map(({ tokenId }) => tokenId)).not.toContain(id)
    expect(await database.tokens.revoke(stranger, id)).toBe(false)
    expect(await database.tokens.authenticate(sha256Hex)).toMatchObject({ tenantId: home })
    expect(await database.tokens.findActive(id)).toMatchObject({ tenantId: home })
  })
}
