import { beforeEach, expect, test } from 'vitest'
import type { ImageId, ProductId } from '../../ids.ts'
import type { ImageChange, Ingests } from '../../ports.ts'
import { isMain, type Product } from '../../product-image.ts'
import { aCommit, newId } from '../builders.ts'
import { expectRefusal, present, range, refOf, type Subject } from './catalogue.ts'

export function imageTests({ catalogue }: Subject): void {
  const port = () => catalogue().database.images
  const commit: Ingests['commit'] = (...args) => catalogue().database.ingests.commit(...args)
  let product: Product
  /** Four images; the first is the main one and the second the thumbnail. */
  let ids: readonly [ImageId, ImageId, ImageId, ImageId]
  beforeEach(async () => {
    product = await catalogue().newProduct()
    const [a, b] = [await catalogue().attach(product), await catalogue().attach(product, { roles: ['thumbnail'] })]
    ids = [a, b, await catalogue().attach(product), await catalogue().attach(product)]
  })

  const list = () => catalogue().imagesOf(product)
  const orderOf = async () => (await list()).images.map(({ id }) => id)
  const mainOf = async () => (await list()).images.filter(isMain).map(({ id }) => id)
  const rolesOf = async () => (await list()).images.map(({ roles }) => [...roles].sort().join())
  const edit = (id: ImageId, change: ImageChange, version: number | null = null) =>
    port().edit(product.tenantId, refOf(product), id, change, version)
  const remove = (id: ImageId, main: 'promote' | 'clear', version: number | null = null) =>
    port().remove(product.tenantId, refOf(product), id, main, version)
  const reorder = (order: readonly ImageId[], version: number | null = null) =>
    port().reorder(product.tenantId, refOf(product), order, version)
  const keepOnly = (order: readonly ImageId[], version: number | null = null) =>
    port().keepOnly(product.tenantId, refOf(product), order, version)
  const setMain = (id: ImageId | null, version: number | null = null) =>
    port().setMain(product.tenantId, refOf(product), id, version)

  /** One of each kind that would succeed, if product and version were right. */
  const changes: Record<string, (version: number | null, id?: ImageId) => Promise<number>> = {
    edit: (version, id = ids[1]) => edit(id, { label: 'x', rank: 1, roles: ['small_image'], main: true }, version),
    remove: (version, id = ids[0]) => remove(id, 'promote', version),
    reorder: (version, id = ids[0]) => reorder([ids[3], ids[2], ids[1], id], version),
    keepOnly: (version, id = ids[0]) => keepOnly([ids[3], id], version),
    setMain: (version, id = ids[1]) => setMain(id, version),
  }

  test('those of many products are read in one question, and of no product of another tenant', async () => {
    const other = await catalogue().newProduct()
    const ids = [product.id, other.id, product.id, newId() as ProductId]
    const lists = await port().listMany(product.tenantId, ids)
    expect(Object.fromEntries(lists)).toEqual({ [product.id]: await list(), [other.id]: await catalogue().imagesOf(other) })
    expect(await port().listMany(catalogue().stranger, ids)).toEqual(new Map())
    expect(await port().listMany(product.tenantId, [])).toEqual(new Map())
  })

  versionTests()
  numberTests()
  editTests()
  moveTests()
  removeTests()
  orderTests()

  function versionTests(): void {
    test.for(Object.entries(changes))('%s makes and returns the next version', async ([, change]) => {
      const { version } = await list()
      expect(await change(version)).toBe(version + 1)
      expect((await list()).version).toBe(version + 1)
    })

    test('a change that changes nothing is a version, too', async () => {
      const { version, images } = await list()
      expect(await edit(ids[0], {})).toBe(version + 1)
      expect(await reorder(ids)).toBe(version + 2)
      const [first, ...others] = (await list()).images
      expect([{ ...first, updatedAt: images[0]?.updatedAt }, ...others]).toEqual(images)
    })

    test.for(Object.entries(changes))('%s of another version is told the present one, and does nothing', async ([, change]) => {
      await reorder([ids[1], ids[0], ids[3], ids[2]])
      const before = await list()
      const details = { version: before.version, order: [ids[1], ids[0], ids[3], ids[2]] }
      for (const version of [before.version - 1, before.version + 1, 0]) {
        await expectRefusal(change(version), 'version_mismatched', details)
      }
      await expectRefusal(change(before.version - 1, newId() as ImageId), 'version_mismatched', details)
      expect(await list()).toEqual(before)
    })

    test.for(Object.entries(changes))('%s of an image that is not there does nothing', async ([kind, change]) => {
      const other = await catalogue().newProduct()
      const foreign = await catalogue().attach(other)
      const before = await list()
      const code = kind === 'reorder' || kind === 'keepOnly' ? 'order_incomplete' : 'image_unknown'
      for (const id of [foreign, newId() as ImageId]) await expectRefusal(change(null, id), code)
      expect(await list()).toEqual(before)
    })

    test.for(Object.entries(changes))('%s on a product that is not there is refused', async ([, change]) => {
      product = { ...product, id: newId() as ProductId }
      await expectRefusal(change(null), 'product_unknown')
      await expectRefusal(change(1), 'product_unknown')
      expect(await port().list(product.tenantId, refOf(product))).toBeNull()
    })

    test('products are found by number and SKU, too', async () => {
      const { tenantId, number, sku } = product
      const { version } = await list()
      expect(await port().edit(tenantId, { kind: 'number', number }, ids[0], {}, null)).toBe(version + 1)
      expect(await port().remove(tenantId, { kind: 'sku', sku }, ids[3], 'clear', null)).toBe(version + 2)
      expect(await port().reorder(tenantId, { kind: 'sku', sku }, [ids[2], ids[1], ids[0]], null)).toBe(version + 3)
      expect(await port().setMain(tenantId, { kind: 'number', number }, null, null)).toBe(version + 4)
      expect((await port().find(tenantId, { kind: 'sku', sku }, ids[2]))?.rank).toBe(1)
    })
  }

  function numberTests(): void {
    test('images are found, changed and removed by their numbers, too', async () => {
      const { images } = await list()
      const [of, number] = [[product.tenantId, refOf(product)] as const, present(images[1]).number]
      expect(await port().find(...of, number)).toEqual(await port().find(...of, ids[1]))
      await port().edit(...of, number, { label: 'x', rank: 1, roles: ['small_image'] }, null)
      expect((await list()).images[0]).toMatchObject({ id: ids[1], label: 'x', roles: ['small_image'] })
      await port().edit(...of, number, { store: 1, label: 'y' }, null)
      expect((await list()).images[0]?.storeValues).toMatchObject([{ store: 1, label: 'y' }])
      await port().remove(...of, number, 'clear', null)
      expect(await orderOf()).toEqual([ids[0], ids[2], ids[3]])
    })

    test('a number that no image of the product has is no image', async () => {
      const of = [product.tenantId, refOf(product)] as const
      const foreign = await catalogue().attach(await catalogue().newProduct())
      const other = present((await list()).images.at(-1)).number + 1
      expect(foreign).not.toBeNull()
      for (const number of [0, -1, 0.5, other, 2 ** 53, 2 ** 63, 1e300, Infinity, NaN]) {
        expect(await port().find(...of, number)).toBeNull()
        await expectRefusal(port().edit(...of, number, { label: 'x' }, null), 'image_unknown')
        await expectRefusal(port().remove(...of, number, 'promote', null), 'image_unknown')
      }
      expect((await list()).images.map(({ label }) => label)).toEqual(['', '', '', ''])
    })
  }

  function editTests(): void {
    test('edit changes what it names and nothing else', async () => {
      const [before] = (await list()).images
      await edit(ids[0], { label: 'Back "ü"' })
      const [labelled] = (await list()).images
      expect(labelled).toEqual({ ...before, label: 'Back "ü"', updatedAt: labelled?.updatedAt })
      await edit(ids[0], { excluded: true })
      const [excluded, ...others] = (await list()).images
      expect(excluded).toEqual({ ...labelled, excluded: true, updatedAt: excluded?.updatedAt })
      expect(others.every((image) => image.label === '' && !image.excluded)).toBe(true)
    })

    test('edit gives exactly the roles that it lists, and takes them from others', async () => {
      await edit(ids[2], { roles: ['thumbnail', 'small_image'] })
      expect(await rolesOf()).toEqual(['image', '', 'small_image,thumbnail', ''])
      await edit(ids[2], { roles: ['small_image', 'a,"b"'] })
      expect(await rolesOf()).toEqual(['image', '', 'a,"b",small_image', ''])
      await edit(ids[2], { roles: [] })
      expect(await rolesOf()).toEqual(['image', '', '', ''])
    })

    test('edit leaves the main role alone, unless it is listed', async () => {
      await edit(ids[0], { roles: ['thumbnail'] })
      expect(await rolesOf()).toEqual(['image,thumbnail', '', '', ''])
      await edit(ids[1], { roles: ['image'] })
      expect(await rolesOf()).toEqual(['thumbnail', 'image', '', ''])
    })

    test('edit makes an image the main one, or not', async () => {
      await edit(ids[1], { main: true })
      expect(await rolesOf()).toEqual(['', 'image,thumbnail', '', ''])
      await edit(ids[0], { main: false })
      expect(await mainOf()).toEqual([ids[1]])
      await edit(ids[1], { main: false })
      expect(await rolesOf()).toEqual(['', 'thumbnail', '', ''])
      await edit(ids[2], { main: false, roles: ['image', 'small_image'] })
      expect(await rolesOf()).toEqual(['', 'thumbnail', 'small_image', ''])
      await edit(ids[2], { main: true, roles: ['thumbnail'] })
      expect(await rolesOf()).toEqual(['', '', 'image,thumbnail', ''])
    })

    test('setMain of the image that is the main one makes no version, and leaves all as it is', async () => {
      const before = await list()
      expect(await setMain(ids[0])).toBe(before.version)
      await expectRefusal(setMain(ids[0], before.version + 1), 'version_mismatched', { version: before.version })
      expect(await list()).toEqual(before)
      const without = await setMain(null)
      expect(without).toBe(before.version + 1)
      expect(await setMain(null)).toBe(without)
    })

    test('setMain takes the role from whoever has it, and leaves the other roles', async () => {
      await setMain(ids[1])
      expect(await rolesOf()).toEqual(['', 'image,thumbnail', '', ''])
      await setMain(null)
      expect(await rolesOf()).toEqual(['', 'thumbnail', '', ''])
      await setMain(null)
      await setMain(ids[3])
      expect(await mainOf()).toEqual([ids[3]])
    })
  }

  function moveTests(): void {
    test.for([
      [0, 1, [0, 1, 2, 3]],
      [0, 2, [1, 0, 2, 3]],
      [0, 3, [1, 2, 0, 3]],
      [0, 4, [1, 2, 3, 0]],
      [0, 99, [1, 2, 3, 0]],
      [1, 1, [1, 0, 2, 3]],
      [1, 2, [0, 1, 2, 3]],
      [2, 2, [0, 2, 1, 3]],
      [3, 1, [3, 0, 1, 2]],
      [3, 3, [0, 1, 3, 2]],
      [3, 4, [0, 1, 2, 3]],
    ] as const)('image %i moved to rank %i makes the order %j', async ([index, rank, order]) => {
      await edit(ids[index], { rank })
      expect(await orderOf()).toEqual(order.map((n) => ids[n]))
    })

    test('ranks count only images that are there', async () => {
      await remove(ids[1], 'promote')
      await edit(ids[3], { rank: 2 })
      expect(await orderOf()).toEqual([ids[0], ids[3], ids[2]])
      await edit(ids[0], { rank: 3 })
      expect(await orderOf()).toEqual([ids[3], ids[2], ids[0]])
    })

    test('a position is taken as it is, moves nothing else, and equal ones are ordered by age', async () => {
      const positions = async () => (await list()).images.map(({ position }) => position)
      await edit(ids[0], { position: 3 })
      expect(await orderOf()).toEqual([ids[1], ids[0], ids[2], ids[3]])
      expect(await positions()).toEqual([2, 3, 3, 4])
      const last = await catalogue().attach(product, { position: 3 })
      expect(await orderOf()).toEqual([ids[1], ids[0], ids[2], last, ids[3]])
      await edit(ids[3], { position: -1_000_000_000 })
      expect(await orderOf()).toEqual([ids[3], ids[1], ids[0], ids[2], last])
      expect((await port().find(product.tenantId, refOf(product), last))?.rank).toBe(5)
    })

    test('a rank between two of the same position lies between them', async () => {
      for (const id of ids) await edit(id, { position: 5 })
      await edit(ids[0], { rank: 2 })
      expect(await orderOf()).toEqual([ids[1], ids[0], ids[2], ids[3]])
      const between = await catalogue().attach(product, { rank: 4 })
      expect(await orderOf()).toEqual([ids[1], ids[0], ids[2], between, ids[3]])
      const last = await catalogue().attach(product)
      expect((await orderOf()).at(-1)).toBe(last)
    })

    test('moving takes no roles away', async () => {
      await edit(ids[0], { rank: 4 })
      expect(await mainOf()).toEqual([ids[0]])
    })
  }

  function removeTests(): void {
    test('remove takes the image and its roles, and leaves its file', async () => {
      const file = (await list()).images[1]?.file
      await remove(ids[1], 'promote')
      expect(await orderOf()).toEqual([ids[0], ids[2], ids[3]])
      expect(await rolesOf()).toEqual(['image', '', ''])
      expect(file && (await catalogue().database.files.find(product.tenantId, file.id))).toEqual(file)
      expect(await port().find(product.tenantId, refOf(product), ids[1])).toBeNull()
      await expectRefusal(remove(ids[1], 'promote'), 'image_unknown')
    })

    test('remove of the main image promotes the first of the rest, or none', async () => {
      await remove(ids[0], 'promote')
      expect(await mainOf()).toEqual([ids[1]])
      await remove(ids[1], 'clear')
      expect(await mainOf()).toEqual([])
      await remove(ids[2], 'promote')
      expect(await mainOf()).toEqual([])
      await remove(ids[3], 'promote')
      expect((await list()).images).toEqual([])
    })

    test('remove promotes by the order and not by age', async () => {
      await reorder([ids[2], ids[0], ids[3], ids[1]])
      await remove(ids[0], 'promote')
      expect(await mainOf()).toEqual([ids[2]])
    })

    test.for(['promote', 'clear'] as const)('remove of the only image is fine: %s', async (main) => {
      product = await catalogue().newProduct()
      await remove(await catalogue().attach(product), main)
      expect((await list()).images).toEqual([])
    })
  }

  function orderTests(): void {
    test('reorder gives the positions from 1, and is seen in the ranks', async () => {
      await remove(ids[1], 'promote')
      await reorder([ids[3], ids[0], ids[2]])
      const { images } = await list()
      expect(images.map(({ id }) => id)).toEqual([ids[3], ids[0], ids[2]])
      expect(images.map(({ position }) => position)).toEqual(range(3))
      expect((await port().find(product.tenantId, refOf(product), ids[0]))?.rank).toBe(2)
      expect(await mainOf()).toEqual([ids[0]])
    })

    test('reorder refuses what does not name each image once', async () => {
      const foreign = await catalogue().attach(await catalogue().newProduct())
      const [a, b, c, d] = ids
      const before = await list()
      const wrong = [[], [a, b, c], [a, b, c, c], [a, b, c, d, d], [a, b, c, foreign], [a, b, c, d, foreign]]
      for (const order of wrong) await expectRefusal(reorder(order), 'order_incomplete')
      expect(await list()).toEqual(before)
    })

    test('keepOnly takes off all others, and puts the rest into the order', async () => {
      const { version } = await list()
      expect(await keepOnly([ids[3], ids[1]])).toBe(version + 1)
      const { images } = await list()
      expect(images.map(({ id, position, roles }) => [id, position, roles.join()])).toEqual([
        [ids[3], 1, ''],
        [ids[1], 2, 'thumbnail'],
      ])
      await reorder([ids[1], ids[3]])
      const full = { imagesPerProductMax: 2 }
      await expectRefusal(commit(aCommit(await catalogue().acceptFor(product)), full), 'images_exceeded')
      await keepOnly([])
      expect((await list()).images).toEqual([])
      await reorder([])
    })

    test('keepOnly keeps the main image where it is named', async () => {
      await keepOnly([ids[2], ids[0]])
      expect(await mainOf()).toEqual([ids[0]])
    })

    test('keepOnly refuses what is not there, and what is named twice', async () => {
      const foreign = await catalogue().attach(await catalogue().newProduct())
      const before = await list()
      for (const order of [[foreign], [ids[0], newId() as ImageId], [ids[0], ids[0]], ['no id' as ImageId]]) {
        await expectRefusal(keepOnly(order), 'order_incomplete')
      }
      expect(await list()).toEqual(before)
    })

    test('reorder of no images is fine', async () => {
      product = await catalogue().newProduct()
      expect(await reorder([])).toBe(2)
    })
  }
}
