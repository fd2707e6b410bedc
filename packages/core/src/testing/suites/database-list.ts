import { beforeAll, expect, test } from 'vitest'
import type { ImageId, IngestId, ProductId } from '../../ids.ts'
import type { Ingest } from '../../ingest.ts'
import type { IngestFilter } from '../../ports.ts'
import type { Product } from '../../product-image.ts'
import { aPlacement, aStagedSource, newDigest, newId } from '../builders.ts'
import { present, range, refOf, type Subject } from './catalogue.ts'

const DIGEST = newDigest()

export function listTests({ catalogue }: Subject): void {
  let product: Product
  let all: Record<'plain' | 'running' | 'committed' | 'rejected' | 'failed' | 'ofFile', Ingest>

  beforeAll(async () => {
    const { acceptFor, database } = catalogue()
    product = await catalogue().newProduct()
    const named = (fileName: string | null) => ({ source: aStagedSource({ fileName }) })
    const plain = await acceptFor(product, { label: 'Blue Chair' }, named('100%_of it.JPG'))
    const running = await acceptFor(product, { name: 'Backside' }, named(null))
    await database.ingests.start(running.id, 0)
    const committed = await acceptFor(product, {}, { source: aStagedSource({ digest: DIGEST, fileName: 'photo.jpg' }) })
    await catalogue().commit(committed, { image: imageNamed('Stool') })
    const rejected = await acceptFor(product, {}, named('x.gif'))
    await database.ingests.end(rejected.id, 'rejected', { code: 'image_truncated', detail: 'It ends after 7 Bytes' }, [])
    const failed = await acceptFor(product, {}, named('y.gif'))
    await database.ingests.end(failed.id, 'failed', { code: 'attempts_exhausted', detail: '' }, [])
    const fileId = present((await database.ingests.find(product.tenantId, committed.id))?.result).fileId
    const ofFile = await acceptFor(product, {}, { source: { kind: 'file', fileId } })
    all = { plain, running, committed, rejected, failed, ofFile }
  })

  const imageNamed = (stem: string) => ({ kind: 'attach', id: newId() as ImageId, stem, placement: aPlacement() }) as const

  /** Names of those among ours that the filter lets through, newest first. */
  async function found(filter: IngestFilter): Promise<string[]> {
    const page = { before: null, limit: 1_000 }
    const listed = await catalogue().database.ingests.list(product.tenantId, filter, page)
    const names = new Map(Object.entries(all).map(([name, { id }]) => [id, name]))
    return listed.map(({ id }) => names.get(id) ?? 'other')
  }

  test('are found by what they ask of an image that is there', async () => {
    const own = await catalogue().newProduct()
    const imageId = await catalogue().attach(own)
    const target = { kind: 'replace', productId: own.id, imageId, change: { label: 'Rückseite' } } as const
    const ingest = await catalogue().accept({ target })
    const page = { before: null, limit: 1 }
    for (const text of ['rückse', imageId.toUpperCase(), own.sku]) {
      expect(await catalogue().database.ingests.list(own.tenantId, { text }, page)).toEqual([ingest])
    }
  })

  test('are newest first, and hold what a look at one holds', async () => {
    expect(await found({ product: refOf(product) })).toEqual(Object.keys(all).toReversed())
    const { ingests } = catalogue().database
    const [newest] = await ingests.list(product.tenantId, { states: ['committed'] }, { before: null, limit: 1 })
    expect(newest).toEqual(await ingests.find(product.tenantId, present(newest).id))
  })

  test('are of a product, however it is named', async () => {
    const { id, number, sku } = product
    for (const ref of [
      { kind: 'id', id },
      { kind: 'number', number },
      { kind: 'sku', sku },
    ] as const)
      expect(await found({ product: ref })).toHaveLength(6)
    for (const ref of [
      { kind: 'id', id: newId() as ProductId },
      { kind: 'number', number: 987_654_321 },
      { kind: 'sku', sku: newId() },
    ] as const)
      expect(await found({ product: ref })).toEqual([])
  })

  test('are of certain states', async () => {
    const ofProduct = (states: NonNullable<IngestFilter['states']>) => found({ product: refOf(product), states })
    expect(await ofProduct(['received'])).toEqual(['ofFile', 'plain'])
    expect(await ofProduct(['failed', 'rejected'])).toEqual(['failed', 'rejected'])
    expect(await ofProduct(['parked'])).toEqual([])
    expect(await ofProduct([])).toEqual([])
  })

  test('are of a time, both ends included', async () => {
    const { createdAt } = all.committed
    const [before, after] = [new Date(createdAt.getTime() - 1), new Date(createdAt.getTime() + 1)]
    const ofProduct = (filter: IngestFilter) => found({ product: refOf(product), ...filter })
    expect(await ofProduct({ createdFrom: createdAt, createdTo: createdAt })).toContain('committed')
    expect(await ofProduct({ createdFrom: after })).not.toContain('committed')
    expect(await ofProduct({ createdTo: before })).not.toContain('committed')
    expect(await ofProduct({ createdFrom: after, createdTo: before })).toEqual([])
  })

  test.for([
    ['100%_', ['plain']],
    ['100__', []],
    ['OF IT.jpg', ['plain']],
    ['blue cHAIR', ['plain']],
    ['kside', ['running']],
    ['stool', ['committed']],
    ['image_TRUNC', ['rejected']],
    ['after 7 bytes', ['rejected']],
    ['attempts_exhausted', ['failed']],
    [DIGEST.toUpperCase(), ['committed']],
    [DIGEST.slice(1), []],
    ['', ['ofFile', 'failed', 'rejected', 'committed', 'running', 'plain']],
  ] as const)('hold those that the text %j is found in', async ([text, names]) => {
    expect(await found({ product: refOf(product), text })).toEqual(names)
  })

  test('hold those that an id or a SKU is found in whole', async () => {
    const { result, id } = present(await catalogue().database.ingests.find(product.tenantId, all.committed.id))
    expect(await found({ text: id })).toEqual(['committed'])
    expect(await found({ text: id.toUpperCase() })).toEqual(['committed'])
    expect(await found({ text: id.slice(0, -1), product: refOf(product) })).toEqual([])
    expect(await found({ text: present(result?.imageId) })).toEqual(['committed'])
    expect(await found({ text: present(result).fileId })).toEqual(['ofFile', 'committed'])
    expect(await found({ text: product.id })).toHaveLength(6)
    expect(await found({ text: product.sku.toUpperCase() })).toHaveLength(6)
    expect(await found({ text: product.sku.slice(0, -1), product: refOf(product) })).toEqual([])
  })

  test('join all that is asked', async () => {
    const filter = { product: refOf(product), states: ['received'], text: 'chair', createdTo: new Date(Date.now() + 60_000) }
    expect(await found({ ...filter, states: ['received'] })).toEqual(['plain'])
    expect(await found({ ...filter, states: ['running'] })).toEqual([])
  })

  test('are read page by page, nobody twice and nobody missed, while new ones come in', async () => {
    const other = await catalogue().newProduct()
    const wanted: IngestId[] = []
    for (const _ of range(11)) wanted.push((await catalogue().acceptFor(other)).id)
    const seen: IngestId[] = []
    let before: IngestId | null = null
    for (const length of [4, 4, 3, 0]) {
      const filter = { product: refOf(other) }
      const page: readonly Ingest[] = await catalogue().database.ingests.list(other.tenantId, filter, { before, limit: 4 })
      expect(page).toHaveLength(length)
      seen.push(...page.map(({ id }) => id))
      before = page.at(-1)?.id ?? before
      await catalogue().acceptFor(other)
    }
    expect(seen).toEqual(wanted.toReversed())
  })
}
