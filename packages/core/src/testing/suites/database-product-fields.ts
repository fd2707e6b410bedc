import { expect, test } from 'vitest'
import type { ProductId } from '../../ids.ts'
import type { NewProduct } from '../../ports.ts'
import type { Product } from '../../product-image.ts'
import { newId } from '../builders.ts'
import { expectRefusal, range, refOf, type Subject } from './catalogue.ts'

const PLAIN = { kind: 'product', status: 'live', owner: 'store', websites: null, acceptsImages: true, extra: {} } as const

export function productFieldTests({ catalogue, openOwn }: Subject): void {
  const products = () => catalogue().database.products
  const aProduct = (more: Partial<NewProduct> = {}): NewProduct => ({
    id: newId() as ProductId,
    tenantId: catalogue().home,
    sku: newId(),
    title: null,
    ...more,
  })

  test('a product is plain unless it is said otherwise', async () => {
    const product = await products().create(aProduct())
    expect(product).toMatchObject(PLAIN)
    expect(product.updatedAt).toEqual(product.createdAt)
  })

  test('a product is what was said of it', async () => {
    const special = {
      kind: 'model',
      status: 'draft',
      owner: 'organization',
      websites: ['eu', 'us'],
      acceptsImages: false,
      extra: { slug: 'chair', nested: { list: [1, null, '\0'] } },
    } as const
    const product = await products().create(aProduct(special))
    expect(product).toMatchObject(special)
    expect(await products().find(product.tenantId, refOf(product))).toEqual(product)
  })

  test('a model and a product may share a code, and each is found by its own', async () => {
    const { home } = catalogue()
    const sku = newId()
    const product = await products().create(aProduct({ sku }))
    expect(await products().find(home, { kind: 'model', code: sku })).toBeNull()
    const made = aProduct({ sku, kind: 'model' })
    const model = await products().create(made)
    expect(await products().create(made)).toEqual(model)
    expect(await products().find(home, { kind: 'sku', sku })).toEqual(product)
    expect(await products().find(home, { kind: 'model', code: sku })).toEqual(model)
    await expectRefusal(products().create(aProduct({ sku, kind: 'model' })), 'sku_taken')
    expect((await catalogue().database.images.list(home, { kind: 'model', code: sku }))?.productId).toBe(model.id)
  })

  test('an update changes what it names, and not the version', async () => {
    const product = await products().create(aProduct({ title: 'Chair', extra: { slug: 'chair' } }))
    const changes = [
      { title: 'Stool' },
      { title: null, status: 'draft' },
      { owner: 'organization', websites: ['eu'] },
      { owner: 'store', websites: null, acceptsImages: false },
      { extra: { slug: 'stool' } },
      {},
    ] as const
    let before = product
    for (const change of changes) {
      const updated = await products().update(product.tenantId, refOf(product), change)
      expect(updated).toEqual(Object.assign({}, before, change, { updatedAt: updated.updatedAt }))
      expect(updated.updatedAt.getTime()).toBeGreaterThanOrEqual(before.updatedAt.getTime())
      expect(await products().find(product.tenantId, refOf(product))).toEqual(updated)
      before = updated
    }
    expect(before.version).toBe(1)
  })

  test('an update keeps the images', async () => {
    const product = await catalogue().newProduct()
    await catalogue().attach(product)
    const before = await catalogue().imagesOf(product)
    await products().update(product.tenantId, { kind: 'number', number: product.number }, { title: 'Stool' })
    expect(await catalogue().imagesOf(product)).toEqual(before)
  })

  test('what is not there is not updated', async () => {
    const { home, stranger } = catalogue()
    const product = await products().create(aProduct())
    for (const ref of [
      { kind: 'id', id: newId() as ProductId },
      { kind: 'id', id: 'none' as ProductId },
      { kind: 'number', number: 1e300 },
      { kind: 'sku', sku: '\0' },
      { kind: 'model', code: product.sku },
    ] as const) {
      await expectRefusal(products().update(home, ref, { title: 'x' }), 'product_unknown')
    }
    await expectRefusal(products().update(stranger, refOf(product), { title: 'x' }), 'product_unknown')
    expect(await products().find(home, refOf(product))).toEqual(product)
  })

  test('products are listed newest first, by pages, without models and without those of others', async () => {
    await using own = await openOwn()
    const create = (n: number, more: Partial<NewProduct> = {}) =>
      own.database.products.create(aProduct({ tenantId: own.home, sku: `p${n}`, ...more }))
    const made: Product[] = []
    for (const n of range(5)) made.unshift(await create(n))
    await create(6, { kind: 'model' })
    await create(7, { tenantId: own.stranger })
    const list = (offset: number, limit: number) => own.database.products.list(own.home, { offset, limit })
    expect(await list(0, 10)).toEqual({ items: made, total: 5 })
    expect(await list(0, 2)).toEqual({ items: made.slice(0, 2), total: 5 })
    expect(await list(4, 2)).toEqual({ items: made.slice(4), total: 5 })
    expect(await list(5, 2)).toEqual({ items: [], total: 5 })
    expect(await list(0, 0)).toEqual({ items: [], total: 5 })
  })
}
