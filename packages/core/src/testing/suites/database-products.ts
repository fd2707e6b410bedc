import { expect, test } from 'vitest'
import type { FileId, ProductId } from '../../ids.ts'
import type { ProductRef } from '../../product-image.ts'
import { aCommit, aFacts, newDigest, newId } from '../builders.ts'
import { expectRefusal, LIMITS, present, refOf, type Subject } from './catalogue.ts'

export function productTests({ catalogue }: Subject): void {
  const products = () => catalogue().database.products
  const files = () => catalogue().database.files

  test('a product begins at version 1, without images', async () => {
    const made = { id: newId() as ProductId, tenantId: catalogue().home, sku: newId(), title: 'Chair' }
    const product = await products().create(made)
    expect(product).toMatchObject({ ...made, version: 1 })
    expect(product.createdAt).toBeInstanceOf(Date)
    expect(await catalogue().imagesOf(product)).toEqual({ productId: product.id, version: 1, images: [], storeRoles: [] })
  })

  test('a product is found by its id, its number and its SKU', async () => {
    const product = await catalogue().newProduct()
    const other = await catalogue().newProduct()
    expect(Number.isSafeInteger(product.number)).toBe(true)
    expect(product.number).not.toBe(other.number)
    const refs = [refOf(product), { kind: 'number', number: product.number }, { kind: 'sku', sku: product.sku }] as const
    for (const ref of refs) {
      expect(await products().find(product.tenantId, ref)).toEqual(product)
      expect((await catalogue().database.images.list(product.tenantId, ref))?.productId).toBe(product.id)
    }
  })

  test('what no product has finds none', async () => {
    const absent: ProductRef[] = [
      { kind: 'id', id: newId() as ProductId },
      { kind: 'number', number: 987_654_321 },
      { kind: 'sku', sku: newId() },
    ]
    for (const ref of absent) {
      expect(await products().find(catalogue().home, ref)).toBeNull()
      expect(await catalogue().database.images.list(catalogue().home, ref)).toBeNull()
    }
  })

  test('a SKU belongs to one product of a tenant', async () => {
    const { home, stranger } = catalogue()
    const { sku } = await catalogue().newProduct()
    const second = { id: newId() as ProductId, sku, title: null }
    await expectRefusal(products().create({ ...second, tenantId: home }), 'sku_taken')
    expect(await products().find(home, { kind: 'id', id: second.id })).toBeNull()
    expect(await products().create({ ...second, tenantId: stranger })).toMatchObject({ sku, tenantId: stranger })
  })

  test('a product may be created again by whoever lost the answer', async () => {
    const made = { id: newId() as ProductId, tenantId: catalogue().home, sku: newId(), title: null }
    expect(await products().create(made)).toEqual(await products().create(made))
  })

  test('a file is found with its name and its facts, and the facts by the digest of its bytes', async () => {
    const ingest = await catalogue().accept()
    const facts = aFacts({
      density: 300,
      iccName: 'sRGB',
      exif: { Image: { Make: 'ACME', Orientation: 1 }, Photo: { ISO: [100, 200], Comment: 'a "b" \\ ü 🙂' } },
      warnings: ['one', 'two'],
    })
    const id = newId() as FileId
    await catalogue().commit(ingest, { file: { kind: 'new', id, name: 'Chair ü.jpg', facts, reuses: false } })
    const file = present(await files().find(catalogue().home, id))
    expect(file).toMatchObject({ id, tenantId: catalogue().home, name: 'Chair ü.jpg' })
    expect(file.facts).toEqual(facts)
    expect(Number.isSafeInteger(file.number)).toBe(true)
    expect(file.createdAt).toBeInstanceOf(Date)
    expect(await files().findFacts(catalogue().home, facts.digest)).toEqual(facts)
  })

  test('what was never committed is no file, and has no facts', async () => {
    expect(await files().find(catalogue().home, newId() as FileId)).toBeNull()
    expect(await files().findFacts(catalogue().home, newDigest())).toBeNull()
  })

  test('files of the same bytes share the facts that were found first', async () => {
    const first = aFacts({ dominantColour: '#111111' })
    const second = { ...first, dominantColour: '#222222' }
    const ids = [newId() as FileId, newId() as FileId] as const
    for (const [id, facts] of [[ids[0], first] as const, [ids[1], second] as const]) {
      const commit = aCommit(await catalogue().accept(), { file: { kind: 'new', id, name: null, facts, reuses: false } })
      await catalogue().database.ingests.commit(commit, LIMITS)
    }
    const found = [present(await files().find(catalogue().home, ids[0])), present(await files().find(catalogue().home, ids[1]))]
    expect(found.map((file) => file.facts)).toEqual([first, first])
    expect(found[0]?.number).not.toBe(found[1]?.number)
  })
}
