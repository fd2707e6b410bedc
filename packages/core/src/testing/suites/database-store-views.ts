import { beforeEach, expect, test } from 'vitest'
import type { ImageId } from '../../ids.ts'
import type { ImageChange } from '../../ports.ts'
import { type Product, viewInStore } from '../../product-image.ts'
import { present, refOf, type Subject } from './catalogue.ts'

/** The numbers of two store views; nobody asks here whether there are such. */
const [SHOP, OUTLET] = [1, 2]

export function storeViewTests({ catalogue }: Subject): void {
  const port = () => catalogue().database.images
  let product: Product
  /** The first is the main image, the second the thumbnail. */
  let ids: readonly [ImageId, ImageId, ImageId]
  beforeEach(async () => {
    product = await catalogue().newProduct()
    const [a, b] = [
      await catalogue().attach(product, { label: 'a' }),
      await catalogue().attach(product, { roles: ['thumbnail'] }),
    ]
    ids = [a, b, await catalogue().attach(product)]
  })

  const list = () => catalogue().imagesOf(product)
  const edit = (id: ImageId, change: ImageChange) => port().edit(product.tenantId, refOf(product), id, change, null)
  const remove = (id: ImageId) => port().remove(product.tenantId, refOf(product), id, 'clear', null)
  const imageOf = async (id: ImageId) => present((await list()).images.find((image) => image.id === id))
  const rolesIn = async (store: number) => {
    const shown = viewInStore(await list(), store)
    return ids.map((id) => shown.find((image) => image.id === id)?.roles.join())
  }
  const globalRoles = async () => (await list()).images.map(({ roles }) => roles.join())

  test('a value of one store view is its own, and all others keep the global one', async () => {
    await edit(ids[0], { store: SHOP, label: 'A', excluded: true })
    await edit(ids[0], { store: OUTLET, position: 7 })
    expect(await imageOf(ids[0])).toMatchObject({
      label: 'a',
      position: 1,
      excluded: false,
      storeValues: [
        { store: SHOP, label: 'A', position: null, excluded: true },
        { store: OUTLET, label: null, position: 7, excluded: null },
      ],
    })
    await edit(ids[0], { store: SHOP, position: 9, excluded: false })
    const [shop] = (await imageOf(ids[0])).storeValues
    expect(shop).toEqual({ store: SHOP, label: 'A', position: 9, excluded: false })
    const found = await port().find(product.tenantId, refOf(product), ids[0])
    expect(found?.image).toEqual(await imageOf(ids[0]))
  })

  test('a value of one store view counts as a change, and touches no other image', async () => {
    const { version, images } = await list()
    expect(await edit(ids[1], { store: SHOP, label: '' })).toBe(version + 1)
    const after = await list()
    expect(after.images.filter(({ id }) => id !== ids[1])).toEqual(images.filter(({ id }) => id !== ids[1]))
    expect((await imageOf(ids[1])).storeValues).toEqual([{ store: SHOP, label: '', position: null, excluded: null }])
  })

  test('a position in one store view is an order there', async () => {
    await edit(ids[0], { store: SHOP, position: 10 })
    expect(viewInStore(await list(), SHOP).map(({ id }) => id)).toEqual([ids[1], ids[2], ids[0]])
    expect((await list()).images.map(({ id }) => id)).toEqual(ids)
  })

  test('roles of one store view are given there, and taken from nobody elsewhere', async () => {
    await edit(ids[2], { store: SHOP, roles: ['image', 'small_image'] })
    expect(await rolesIn(SHOP)).toEqual(['', 'thumbnail', 'image,small_image'])
    expect(await rolesIn(OUTLET)).toEqual(['image', 'thumbnail', ''])
    expect(await globalRoles()).toEqual(['image', 'thumbnail', ''])
    await edit(ids[1], { store: SHOP, roles: ['image', 'thumbnail'] })
    expect(await rolesIn(SHOP)).toEqual(['', 'image,thumbnail', 'small_image'])
  })

  test('roles that an image shows in a store view and that are not listed are nobodys there', async () => {
    await edit(ids[0], { store: SHOP, roles: ['small_image'] })
    expect(await rolesIn(SHOP)).toEqual(['small_image', 'thumbnail', ''])
    expect((await list()).storeRoles).toEqual([
      { store: SHOP, role: 'image', imageId: null },
      { store: SHOP, role: 'small_image', imageId: ids[0] },
    ])
    await edit(ids[0], { store: SHOP, roles: [] })
    expect(await rolesIn(SHOP)).toEqual(['', 'thumbnail', ''])
    expect(await globalRoles()).toEqual(['image', 'thumbnail', ''])
  })

  test('a role that another image has in the store view is not lost by one who inherits it', async () => {
    await edit(ids[1], { store: SHOP, roles: ['image', 'thumbnail'] })
    await edit(ids[0], { store: SHOP, roles: [] })
    expect(await rolesIn(SHOP)).toEqual(['', 'image,thumbnail', ''])
  })

  test('global roles reach every store view that says nothing of them', async () => {
    await edit(ids[2], { store: SHOP, roles: ['image'] })
    await edit(ids[1], { main: true, roles: ['small_image'] })
    expect(await rolesIn(SHOP)).toEqual(['', 'small_image', 'image'])
    expect(await rolesIn(OUTLET)).toEqual(['', 'image,small_image', ''])
  })

  test('when an image goes, so does all that it had in store views, and the global values hold again', async () => {
    await edit(ids[2], { store: SHOP, label: 'A', roles: ['image', 'thumbnail'] })
    await edit(ids[1], { store: OUTLET, roles: [] })
    await remove(ids[2])
    expect(await rolesIn(SHOP)).toEqual(['image', 'thumbnail', undefined])
    expect((await list()).storeRoles).toEqual([{ store: OUTLET, role: 'thumbnail', imageId: null }])
  })

  test('an image that is attached in one store view has defaults everywhere else, and no roles', async () => {
    const id = await catalogue().attach(product, {
      store: SHOP,
      label: 'Only here',
      position: 0,
      excluded: true,
      roles: ['image', 'swatch'],
      main: true,
    })
    expect(await imageOf(id)).toMatchObject({
      label: '',
      position: 4,
      excluded: false,
      hasGlobalValues: false,
      roles: [],
      storeValues: [{ store: SHOP, label: 'Only here', position: 0, excluded: true }],
    })
    expect(await globalRoles()).toEqual(['image', 'thumbnail', '', ''])
    expect(await rolesIn(SHOP)).toEqual(['', 'thumbnail', ''])
    const [first] = viewInStore(await list(), SHOP)
    expect(first).toMatchObject({ id, label: 'Only here', excluded: true, roles: ['image', 'swatch'] })
  })

  test('the first image is not the main one where it was attached in one store view', async () => {
    product = await catalogue().newProduct()
    await catalogue().attach(product, { store: SHOP })
    await catalogue().attach(product, { store: SHOP, rank: 1 })
    expect((await list()).images.map(({ position, roles }) => [position, roles])).toEqual([
      [1, []],
      [2, []],
    ])
  })

  test.for([{ label: '' }, { excluded: false }, { position: 1 }, { rank: 1 }] satisfies ImageChange[])(
    'an image has global values from %j on',
    async (change) => {
      const id = await catalogue().attach(product, { store: SHOP })
      await edit(id, { roles: ['image'], main: false })
      await edit(id, { store: OUTLET, label: 'x', excluded: true, position: 1 })
      expect((await imageOf(id)).hasGlobalValues).toBe(false)
      await edit(id, change)
      expect((await imageOf(id)).hasGlobalValues).toBe(true)
      expect((await imageOf(ids[0])).hasGlobalValues).toBe(true)
    },
  )
}
