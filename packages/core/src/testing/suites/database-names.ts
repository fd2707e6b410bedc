import { expect, test } from 'vitest'
import type { ImageId } from '../../ids.ts'
import type { Placement } from '../../ingest.ts'
import { isMain, type Product } from '../../product-image.ts'
import { range, refOf, type Subject } from './catalogue.ts'

export function nameAndPlaceTests({ catalogue }: Subject): void {
  const attach = (product: Product, placement?: Partial<Placement>, stem?: string) => catalogue().attach(product, placement, stem)
  const images = async (product: Product) => (await catalogue().imagesOf(product)).images
  const namesOf = async (product: Product) => (await images(product)).map(({ name }) => name)
  const orderOf = async (product: Product) => (await images(product)).map(({ id }) => id)
  const mainOf = async (product: Product) => (await images(product)).filter(isMain).map(({ id }) => id)
  const rolesOf = async (product: Product) =>
    Object.fromEntries((await images(product)).map(({ id, roles }) => [id, [...roles].sort()]))
  const attachAll = async (product: Product, stems: readonly string[]) => {
    for (const stem of stems) await attach(product, {}, stem)
    return namesOf(product)
  }

  test.for([
    [
      ['image', 'image', 'image'],
      ['image', 'image_2', 'image_3'],
    ],
    [
      ['front', 'image', 'front', 'image'],
      ['front', 'image', 'front_2', 'image_2'],
    ],
    [
      ['image', 'image_2', 'image', 'image_2'],
      ['image', 'image_2', 'image_3', 'image_2_2'],
    ],
    [
      ['a_2', 'a_3', 'a', 'a', 'a_2', 'a_4', 'a'],
      ['a_2', 'a_3', 'a', 'a_4', 'a_2_2', 'a_4_2', 'a_5'],
    ],
    [
      ['Image', 'image', '%', '_', '%'],
      ['Image', 'image', '%', '_', '%_2'],
    ],
  ] as const)('the stems %j make the names %j', async ([stems, names]) => {
    expect(await attachAll(await catalogue().newProduct(), stems)).toEqual(names)
  })

  test('each product counts for itself', async () => {
    for (const product of [await catalogue().newProduct(), await catalogue().newProduct()]) {
      expect(await attachAll(product, ['image', 'image'])).toEqual(['image', 'image_2'])
    }
  })

  test('a name is never given again, not after its image is gone', async () => {
    const product = await catalogue().newProduct()
    const gone = [await attach(product), await attach(product, {}, 'image_3'), await attach(product)]
    for (const id of gone) {
      await catalogue().database.images.remove(product.tenantId, refOf(product), id, 'promote', null)
    }
    expect(await attachAll(product, ['image', 'image', 'image_3'])).toEqual(['image_4', 'image_5', 'image_3_2'])
  })

  test('images go to the end, to the front, between, and never beyond the end', async () => {
    const product = await catalogue().newProduct()
    const [a, b] = [await attach(product), await attach(product)]
    const front = await attach(product, { rank: 1 })
    const second = await attach(product, { rank: 2 })
    const last = await attach(product, { rank: 5 })
    const beyond = await attach(product, { rank: 1_000_000 })
    expect(await orderOf(product)).toEqual([front, second, a, b, last, beyond])
    expect((await images(product)).map(({ position }) => position)).toEqual(range(6))
    for (const [index, id] of (await orderOf(product)).entries()) {
      expect(await catalogue().database.images.find(product.tenantId, refOf(product), id)).toMatchObject({ rank: index + 1 })
    }
  })

  test('ranks have no gaps, whatever was removed', async () => {
    const product = await catalogue().newProduct()
    const [a, b, c] = [await attach(product), await attach(product), await attach(product)] as const
    await catalogue().database.images.remove(product.tenantId, refOf(product), b, 'promote', null)
    const d = await attach(product, { rank: 2 })
    const e = await attach(product)
    expect(await orderOf(product)).toEqual([a, d, c, e])
  })

  test('the first image is the main one, unless it is not to be', async () => {
    const [eager, shy] = [await catalogue().newProduct(), await catalogue().newProduct()]
    const first = await attach(eager)
    await attach(eager, { rank: 1 })
    expect(await mainOf(eager)).toEqual([first])
    await attach(shy, { main: false })
    expect(await mainOf(shy)).toEqual([])
    const second = await attach(shy, { main: null })
    await attach(shy, { main: null })
    expect(await mainOf(shy)).toEqual([second])
  })

  test('who is to be the main image takes it over', async () => {
    const product = await catalogue().newProduct()
    await attach(product)
    const heir = await attach(product, { main: true })
    expect(await mainOf(product)).toEqual([heir])
    const named = await attach(product, { roles: ['image'] })
    expect(await mainOf(product)).toEqual([named])
    await attach(product, { roles: ['image'], main: false })
    expect(await mainOf(product)).toEqual([named])
  })

  test('each role belongs to the image that asked last', async () => {
    const product = await catalogue().newProduct()
    const a = await attach(product, { roles: ['thumbnail', 'small_image'] })
    const b = await attach(product, { roles: ['thumbnail', 'thumbnail', 'a,"b"'] })
    const expected: Record<ImageId, string[]> = { [a]: ['image', 'small_image'], [b]: ['a,"b"', 'thumbnail'] }
    expect(await rolesOf(product)).toEqual(expected)
  })
}
