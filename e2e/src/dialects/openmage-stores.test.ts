/** OpenMage's images in store views: what differs there, what falls back, and what no store view decides for another. */
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { errors, newImage, openShop, type Shop } from './openmage.ts'

let shop: Shop
beforeAll(async () => {
  shop = await openShop()
})
afterAll(async () => shop?.[Symbol.asyncDispose]())

const get = async (path: string) => (await shop.send('GET', path)).body
const put = async (path: string, body: object) => expect(await shop.send('PUT', path, { body })).toMatchObject({ status: 200 })

describe('an image in a store view', () => {
  test('is added globally, and its values hold in that store view only', async () => {
    const images = await shop.newProduct()
    const values = { label: 'Kleid', position: 5, exclude: 1, types: ['image', 'thumbnail'] }
    const image = await shop.addImage(`${images}/store/2`, values)
    expect(await get(`${images}/${image}/store/2`)).toMatchObject({ id: image, ...values })
    for (const elsewhere of ['', '/store/0', '/store/1'])
      expect(await get(`${images}/${image}${elsewhere}`)).toMatchObject({
        id: image,
        label: '',
        position: '',
        exclude: '',
        types: [],
      })
    const { text } = (await shop.send('GET', `${images}/${image}`, { accept: 'text/xml' })).body
    expect(text).toContain('<label></label>\n  <position></position>\n  <exclude></exclude>')
  })

  test('comes before the others where it has no position', async () => {
    const images = await shop.newProduct()
    const global = await shop.addImage(images, { position: -3 })
    const own = await shop.addImage(`${images}/store/2`, { position: 4 })
    const ids = async (path: string) => (await shop.listOf(path)).map((image) => image['id'])
    expect(await ids(images)).toEqual([own, global])
    expect(await ids(`${images}/store/1`)).toEqual([own, global])
    expect(await ids(`${images}/store/2`)).toEqual([global, own])
  })

  test('falls back to the global values, each by itself', async () => {
    const images = await shop.newProduct()
    const path = `${images}/${await shop.addImage(images, { label: 'flower', position: 1, types: ['image', 'small_image'] })}`
    const other = `${images}/${await shop.addImage(images, { position: 2, types: ['thumbnail'] })}`
    await put(`${path}/store/2`, { label: 'fleur' })
    await put(`${other}/store/french`, { types: ['image'] })

    expect(await get(`${path}/store/2`)).toMatchObject({ label: 'fleur', position: 1, exclude: 0, types: ['small_image'] })
    expect(await get(`${path}/store/1`)).toMatchObject({ label: 'flower', types: ['image', 'small_image'] })
    expect(await get(path)).toMatchObject({ label: 'flower', types: ['image', 'small_image'] })
    // A list of types is all of them: the one that it had globally is nobody's there.
    expect(await get(`${other}/store/2`)).toMatchObject({ types: ['image'] })
    expect(await get(other)).toMatchObject({ types: ['thumbnail'] })

    await put(path, { label: 'bloom', position: 9 })
    expect(await get(`${path}/store/2`)).toMatchObject({ label: 'fleur', position: 9 })
    expect(await get(`${path}/store/1`)).toMatchObject({ label: 'bloom', position: 9 })
    // An inherited value can be overridden, also by an empty one.
    await put(`${path}/store/1`, { label: '', position: 0, exclude: 1 })
    expect(await get(`${path}/store/1`)).toMatchObject({ label: '', position: 0, exclude: 1 })
    expect(await get(path)).toMatchObject({ label: 'bloom', position: 9, exclude: 0 })
  })

  test('has one file, whoever sends another', async () => {
    const images = await shop.newProduct()
    const path = `${images}/${await shop.addImage(images, { label: 'flower' })}`
    const before = await get(path)
    await put(`${path}/store/2`, { ...(await newImage()), label: 'fleur' })
    const after = await get(path)
    expect(after).toEqual({ ...before, url: after['url'] })
    expect(after['url']).not.toBe(before['url'])
    expect(await get(`${path}/store/2`)).toEqual({ ...after, label: 'fleur' })
  })

  test('stands for nothing any more when it is deleted there, and stays everywhere', async () => {
    const images = await shop.newProduct()
    const path = `${images}/${await shop.addImage(images, { label: 'a', types: ['image', 'thumbnail'] })}`
    for (const _twice of [1, 2]) expect((await shop.send('DELETE', `${path}/store/2`)).status).toBe(200)
    expect(await get(`${path}/store/2`)).toMatchObject({ label: 'a', types: [] })
    expect(await get(`${path}/store/1`)).toMatchObject({ label: 'a', types: ['image', 'thumbnail'] })
    expect(await get(path)).toMatchObject({ label: 'a', types: ['image', 'thumbnail'] })

    expect((await shop.send('DELETE', path)).status).toBe(200)
    expect(await shop.listOf(`${images}/store/2`)).toEqual([])
    expect(await shop.send('DELETE', `${path}/store/2`)).toMatchObject({
      status: 404,
      body: errors([404, 'Resource not found.']),
    })
  })

  test('hands a type on to whom it is given there', async () => {
    const images = await shop.newProduct()
    const a = `${images}/${await shop.addImage(images, { types: ['image'] })}`
    const b = `${images}/${await shop.addImage(`${images}/store/2`, { types: ['image'] })}`
    expect(await get(`${a}/store/2`)).toMatchObject({ types: [] })
    expect(await get(`${b}/store/2`)).toMatchObject({ types: ['image'] })
    await put(`${a}/store/2`, { types: ['image'] })
    expect(await get(`${b}/store/2`)).toMatchObject({ types: [] })
  })
})

describe('a store view', () => {
  const EVERY_METHOD = [
    ['GET', ''],
    ['POST', ''],
    ['GET', '/image'],
    ['PUT', '/image'],
    ['DELETE', '/image'],
  ] as const

  test.each(['9', 'klingon', '99999999999999999999', '-1', '%00', 'x'.repeat(300)])(
    '%s that does not exist is refused',
    async (store) => {
      const images = await shop.newProduct()
      const image = await shop.addImage(images)
      for (const [method, entity] of EVERY_METHOD) {
        const body = method === 'POST' ? await newImage() : { label: 'a' }
        const path = `${images}${entity && `/${image}`}/store/${store}`
        const answer = await shop.send(method, path, method === 'POST' || method === 'PUT' ? { body } : {})
        expect([method, answer.status, answer.body]).toEqual([method, 400, errors([400, 'Requested store is invalid'])])
      }
    },
  )

  test('of another website does not know the product', async () => {
    const images = await shop.newProduct({ websites: ['base'] })
    const image = await shop.addImage(images)
    expect(await shop.listOf(`${images}/store/2`)).toHaveLength(1)
    for (const [method, entity] of EVERY_METHOD) {
      const body = method === 'POST' ? await newImage() : { label: 'a' }
      const path = `${images}${entity && `/${image}`}/store/german`
      const answer = await shop.send(method, path, method === 'POST' || method === 'PUT' ? { body } : {})
      expect([method, answer.status, answer.body]).toEqual([method, 404, errors([404, 'Resource not found.'])])
    }
  })
})
