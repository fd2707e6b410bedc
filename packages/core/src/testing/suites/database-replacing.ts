import { beforeEach, expect, test } from 'vitest'
import type { ImageId } from '../../ids.ts'
import type { Ingest, Placement } from '../../ingest.ts'
import type { ImageChange } from '../../ports.ts'
import { isMain, type Product } from '../../product-image.ts'
import { aCommit, newId } from '../builders.ts'
import { expectRefusal, LIMITS, present, refOf, type Subject } from './catalogue.ts'

/** Commits that find an image in the place where they want one. */
export function replacingTests({ catalogue }: Subject): void {
  const { ingests, images } = { ingests: () => catalogue().database.ingests, images: () => catalogue().database.images }
  let product: Product
  let ids: readonly [ImageId, ImageId]
  beforeEach(async () => {
    product = await catalogue().newProduct()
    ids = [await catalogue().attach(product, { label: 'a' }), await catalogue().attach(product, { roles: ['thumbnail'] })]
  })

  const list = () => catalogue().imagesOf(product)
  const mainOf = async () => (await list()).images.filter(isMain).map(({ id }) => id)
  const resultOf = async ({ id }: Ingest) => present(await ingests().find(product.tenantId, id)).result
  /** An ingest that puts another file under an image. */
  const acceptReplacing = (imageId: ImageId, change: ImageChange = {}) =>
    catalogue().accept({ target: { kind: 'replace', productId: product.id, imageId, change } })
  const place = async (placement: Partial<Placement>) => {
    const ingest = await catalogue().acceptFor(product, placement)
    await catalogue().commit(ingest)
    return present(await resultOf(ingest))
  }

  replaceTests()
  slotTests()
  mainTests()

  function replaceTests(): void {
    test('an image shows another file, and stays what and where it is', async () => {
      const before = await list()
      const ingest = await acceptReplacing(ids[0])
      expect(ingest.target).toEqual({ kind: 'replace', productId: product.id, imageId: ids[0], change: {} })
      const commit = aCommit(ingest)
      expect(await ingests().commit(commit, LIMITS)).toBe('committed')
      const { version, images } = await list()
      const [first, second] = images
      expect(version).toBe(before.version + 1)
      expect(first).toEqual({ ...before.images[0], file: first?.file, updatedAt: first?.updatedAt })
      expect(first?.file.id).toBe(commit.file.id)
      expect(second).toEqual(before.images[1])
      expect(await resultOf(ingest)).toEqual({ fileId: commit.file.id, imageId: ids[0] })
    })

    test('the change is made with the file', async () => {
      await catalogue().commit(await acceptReplacing(ids[1], { label: 'b', rank: 1, roles: ['small_image'], main: true }))
      const [first, second] = (await list()).images
      expect(first).toMatchObject({ id: ids[1], label: 'b', roles: ['image', 'small_image'] })
      expect(second).toMatchObject({ id: ids[0], label: 'a', roles: [] })
      await catalogue().commit(await acceptReplacing(ids[1], { store: 3, label: 'c' }))
      expect((await list()).images[0]).toMatchObject({ label: 'b', storeValues: [{ store: 3, label: 'c' }] })
    })

    test('a full product takes another file, and is counted right afterwards', async () => {
      const full = { imagesPerProductMax: 2 }
      expect(await ingests().commit(aCommit(await acceptReplacing(ids[0])), full)).toBe('committed')
      const next = aCommit(await catalogue().acceptFor(product))
      await expectRefusal(ingests().commit(next, full), 'images_exceeded')
      expect(await ingests().commit(next, { imagesPerProductMax: 3 })).toBe('committed')
    })

    test('an image of another product, or none, is refused and nothing is kept', async () => {
      const foreign = await catalogue().attach(await catalogue().newProduct())
      const before = await list()
      for (const imageId of [foreign, newId() as ImageId]) {
        const commit = aCommit(await acceptReplacing(imageId))
        await expectRefusal(ingests().commit(commit, LIMITS), 'image_unknown')
        expect(await catalogue().database.files.find(product.tenantId, commit.file.id)).toBeNull()
      }
      expect(await list()).toEqual(before)
    })

    test('the same commit twice is one change', async () => {
      const ingest = await acceptReplacing(ids[0], { rank: 2 })
      expect(await catalogue().commit(ingest)).toBe('committed')
      const before = await list()
      expect(await catalogue().commit(ingest)).toBe('committed')
      expect(await list()).toEqual(before)
    })
  }

  function slotTests(): void {
    test('the next file for a slot replaces the one before, and all else about the image stays', async () => {
      const first = await place({ slot: 'pictures//', label: 'one', name: 'one' })
      expect((await list()).images[2]).toMatchObject({ id: first.imageId, slot: 'pictures//', label: 'one' })
      await images().edit(product.tenantId, refOf(product), present(first.imageId), { rank: 1 }, null)
      const before = await list()
      const second = await place({ slot: 'pictures//', label: 'two', rank: 3, excluded: true, roles: ['thumbnail'] })
      const after = await list()
      expect(second.imageId).toBe(first.imageId)
      expect(second.fileId).not.toBe(first.fileId)
      expect(after.version).toBe(before.version + 1)
      const [image, , last] = after.images
      expect(image).toEqual({ ...before.images[0], roles: ['thumbnail'], file: image?.file, updatedAt: image?.updatedAt })
      expect(image?.file.id).toBe(second.fileId)
      expect(last?.roles).toEqual([])
    })

    test('each slot of each product has its own image', async () => {
      const other = await catalogue().newProduct()
      await catalogue().attach(other, { slot: 'a' })
      const [a, b] = [await place({ slot: 'a' }), await place({ slot: 'b' })]
      expect(a.imageId).not.toBe(b.imageId)
      expect((await list()).images.map(({ slot }) => slot)).toEqual([null, null, 'a', 'b'])
      expect((await catalogue().imagesOf(other)).images).toHaveLength(1)
    })

    test('a slot is free again when its image has gone', async () => {
      const { imageId } = await place({ slot: 'a' })
      await images().remove(product.tenantId, refOf(product), present(imageId), 'clear', null)
      expect((await place({ slot: 'a' })).imageId).not.toBe(imageId)
    })

    test('a full product still takes a file for a slot that has an image', async () => {
      await place({ slot: 'a' })
      const again = aCommit(await catalogue().acceptFor(product, { slot: 'a' }))
      const other = aCommit(await catalogue().acceptFor(product, { slot: 'b' }))
      await expectRefusal(ingests().commit(other, { imagesPerProductMax: 3 }), 'images_exceeded')
      expect(await ingests().commit(again, { imagesPerProductMax: 3 })).toBe('committed')
    })
  }

  function mainTests(): void {
    test('a main image that is to replace another does so only while that one is the main one', async () => {
      const replacing = (imageId: ImageId | null) => catalogue().acceptFor(product, { main: true, replacesMain: { imageId } })
      const [late, none, timely] = [await replacing(ids[1]), await replacing(null), await replacing(ids[0])]
      const before = await list()
      await expectRefusal(catalogue().commit(late), 'main_image_changed')
      await expectRefusal(catalogue().commit(none), 'main_image_changed')
      expect(await list()).toEqual(before)
      expect(await catalogue().commit(timely)).toBe('committed')
      expect(await mainOf()).toEqual([(await resultOf(timely))?.imageId])
    })

    test('a main image where there was none is refused once there is one', async () => {
      product = await catalogue().newProduct()
      const first = { main: true, replacesMain: { imageId: null } }
      const [one, two] = [await catalogue().acceptFor(product, first), await catalogue().acceptFor(product, first)]
      expect(await catalogue().commit(one)).toBe('committed')
      await expectRefusal(catalogue().commit(two), 'main_image_changed')
      expect(await mainOf()).toEqual([(await resultOf(one))?.imageId])
    })

    test('setMain replaces the main image that it names, and no other', async () => {
      const setMain = (id: ImageId | null, replaces?: ImageId | null) =>
        images().setMain(product.tenantId, refOf(product), id, null, replaces)
      await expectRefusal(setMain(ids[1], ids[1]), 'main_image_changed')
      await expectRefusal(setMain(ids[1], null), 'main_image_changed')
      await setMain(ids[1], ids[0])
      expect(await mainOf()).toEqual([ids[1]])
      await setMain(null, ids[1])
      await expectRefusal(setMain(null, ids[1]), 'main_image_changed')
      await setMain(ids[0], null)
      expect(await mainOf()).toEqual([ids[0]])
    })

    test('a product that takes no images is told so', async () => {
      const { products } = catalogue().database
      const ingest = await catalogue().acceptFor(product)
      await products.update(product.tenantId, refOf(product), { acceptsImages: false })
      await expectRefusal(catalogue().commit(ingest), 'images_unsupported')
      expect(await catalogue().commit(await catalogue().accept())).toBe('committed')
      await products.update(product.tenantId, refOf(product), { acceptsImages: true })
      expect(await catalogue().commit(ingest)).toBe('committed')
    })
  }
}
