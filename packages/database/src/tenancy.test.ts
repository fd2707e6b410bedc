import { randomUUID } from 'node:crypto'
import type { FileId, Ingest, ImageId, Product, TenantId } from '@sluice/core'
import { afterAll, beforeAll, describe, expect, inject, it } from 'vitest'
import { AT_THE_END, type Catalogue, openCatalogue } from './test-catalogue.ts'

let catalogue: Catalogue
let stranger: TenantId
let product: Product
let imageId: ImageId
let ingest: Ingest
let fileId: FileId

beforeAll(async () => {
  catalogue = await openCatalogue(inject('postgresUrl'), { poolMax: 4 })
  stranger = await catalogue.newTenant()
  product = await catalogue.newProduct()
  imageId = await catalogue.attach(product)
  ingest = await catalogue.accept(product)
  await catalogue.commit(ingest)
  fileId = (await catalogue.database.ingests.find(product.tenantId, ingest.id))?.result?.fileId ?? ('' as FileId)
})
afterAll(() => catalogue[Symbol.asyncDispose]())

describe('rows of another tenant', () => {
  it('do not exist for one who knows their ids', async () => {
    const { products, images, files, ingests } = catalogue.database
    const ref = { kind: 'id', id: product.id } as const
    const everything = { before: null, limit: 100 }
    expect(await products.find(stranger, ref)).toBeNull()
    expect(await products.find(stranger, { kind: 'number', number: product.number })).toBeNull()
    expect(await products.find(stranger, { kind: 'sku', sku: product.sku })).toBeNull()
    expect(await images.list(stranger, ref)).toBeNull()
    expect(await images.find(stranger, ref, imageId)).toBeNull()
    expect(await files.find(stranger, fileId)).toBeNull()
    expect(await ingests.find(stranger, ingest.id)).toBeNull()
    expect(await ingests.timeline(stranger, ingest.id)).toEqual([])
    expect(await ingests.list(stranger, {}, everything)).toEqual([])
    expect(await ingests.list(stranger, { product: ref }, everything)).toEqual([])
    expect(await ingests.list(stranger, { text: ingest.id }, everything)).toEqual([])
    expect(await ingests.replay(stranger, [ingest.id], 60_000)).toEqual([])
  })

  it('cannot be changed', async () => {
    const { images } = catalogue.database
    const ref = { kind: 'id', id: product.id } as const
    const unknown = { code: 'product_unknown' }
    await expect(images.edit(stranger, ref, imageId, { label: 'x' }, null)).rejects.toMatchObject(unknown)
    await expect(images.remove(stranger, ref, imageId, 'promote', null)).rejects.toMatchObject(unknown)
    await expect(images.reorder(stranger, ref, [imageId], null)).rejects.toMatchObject(unknown)
    await expect(images.setMain(stranger, ref, null, null)).rejects.toMatchObject(unknown)
  })

  it('cannot be attached to', async () => {
    const target = { kind: 'attach', productId: product.id, placement: AT_THE_END } as const
    const foreign = await catalogue.accept(null, { tenantId: stranger, target })
    const image = { kind: 'attach', id: randomUUID() as ImageId, stem: 'image', placement: AT_THE_END } as const
    await expect(catalogue.commit(foreign, { image })).rejects.toMatchObject({ code: 'product_unknown' })
  })

  it('cannot be referred to: a file', async () => {
    const own = await catalogue.newProduct(stranger)
    const foreign = await catalogue.accept(own, { source: { kind: 'file', fileId } })
    const commit = catalogue.commit(foreign, { file: { kind: 'existing', id: fileId } })
    await expect(commit).rejects.toMatchObject({ code: 'file_reference_unknown' })
  })
})
