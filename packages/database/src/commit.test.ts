import { randomUUID } from 'node:crypto'
import { type FileId, isMain, numberedName, type ImageId, type ImageList, type Product, SluiceError } from '@sluice/core'
import { afterAll, beforeAll, describe, expect, inject, it, vi } from 'vitest'
import { type Catalogue, concurrently, factsOf, openCatalogue, range } from './test-catalogue.ts'

let catalogue: Catalogue
beforeAll(async () => {
  catalogue = await openCatalogue(inject('postgresUrl'))
})
afterAll(() => catalogue[Symbol.asyncDispose]())

async function imagesOf({ tenantId, id }: Product): Promise<ImageList> {
  const list = await catalogue.database.images.list(tenantId, { kind: 'id', id })
  if (!list) throw new Error('the product is gone')
  return list
}
const sorted = (names: Iterable<string>) => [...names].sort()

describe('commits on one product', () => {
  it('gives fifty at once fifty names, fifty positions and one main image', async () => {
    const product = await catalogue.newProduct()
    await Promise.all(range(50).map(() => catalogue.attach(product)))
    const { images, version } = await imagesOf(product)
    expect(sorted(images.map((image) => image.name))).toEqual(sorted(range(50).map((n) => numberedName('image', n))))
    expect(images.map((image) => image.position)).toEqual(range(50))
    expect(images.filter(isMain)).toHaveLength(1)
    expect(version).toBe(product.version + 50)
  })

  it('gives six hundred over sixteen connections no name twice and leaves none out', async () => {
    const product = await catalogue.newProduct()
    await concurrently(16, range(600), () => catalogue.attach(product))
    const { images } = await imagesOf(product)
    expect(sorted(images.map((image) => image.name))).toEqual(sorted(range(600).map((n) => numberedName('image', n))))
  })

  it('never gives a name again, not after its image is gone', async () => {
    const product = await catalogue.newProduct()
    const ids = [await catalogue.attach(product), await catalogue.attach(product)]
    for (const id of ids)
      await catalogue.database.images.remove(product.tenantId, { kind: 'id', id: product.id }, id, 'promote', null)
    await catalogue.attach(product)
    expect((await imagesOf(product)).images.map((image) => image.name)).toEqual(['image_3'])
  })

  it('steps over names that came from other stems', async () => {
    const product = await catalogue.newProduct()
    for (const stem of ['a_2', 'a_3', 'a', 'a', 'a_2', 'a_4', 'a']) await catalogue.attach(product, {}, stem)
    expect((await imagesOf(product)).images.map((image) => image.name)).toEqual([
      'a_2',
      'a_3',
      'a',
      'a_4',
      'a_2_2',
      'a_4_2',
      'a_5',
    ])
  })

  it('keeps order, main image and count through attaching, reordering, removing and choosing at once', async () => {
    const product = await catalogue.newProduct()
    const ref = { kind: 'id', id: product.id } as const
    const { images } = catalogue.database
    const { tenantId } = product
    for (const _ of range(10)) await catalogue.attach(product)
    await concurrently(16, range(240), async (n) => {
      const list = await imagesOf(product)
      const ids = list.images.map((image) => image.id)
      const one = ids[n % ids.length] as ImageId
      const acts = [
        () => catalogue.attach(product, { rank: (n % 7) + 1, main: n % 2 === 0 }),
        () => images.reorder(tenantId, ref, ids.toReversed(), list.version),
        () => images.setMain(tenantId, ref, one, null),
        () => images.edit(tenantId, ref, one, { rank: 1, roles: ['thumbnail'] }, null),
        () => (n % 3 === 0 ? images.remove(tenantId, ref, one, 'promote', null) : Promise.resolve()),
      ]
      await acts[n % acts.length]?.().catch(onlyExpected)
    })
    const list = await imagesOf(product)
    const [counted] = await catalogue.sql`select image_count from products where id = ${product.id}`
    expect(counted?.['image_count']).toBe(list.images.length)
    expect(list.images.filter(isMain)).toHaveLength(1)
    expect(new Set(list.images.map((image) => image.name)).size).toBe(list.images.length)
    expect(new Set(list.images.map((image) => image.position)).size).toBe(list.images.length)
  })

  /** What a caller who was overtaken must be told; a deadlock is not among it. */
  function onlyExpected(error: unknown): void {
    if (!SluiceError.is(error, 'version_mismatched') && !SluiceError.is(error, 'image_unknown')) throw error
  }

  it('puts an image at its rank and moves the others back', async () => {
    const product = await catalogue.newProduct()
    const [a, b] = [await catalogue.attach(product), await catalogue.attach(product)]
    const c = await catalogue.attach(product, { rank: 2 })
    const d = await catalogue.attach(product, { rank: 1 })
    const e = await catalogue.attach(product, { rank: 99 })
    expect((await imagesOf(product)).images.map((image) => image.id)).toEqual([d, a, c, b, e])
  })

  it('puts an image between two that share a position', async () => {
    const product = await catalogue.newProduct()
    const [a, b, c] = [await catalogue.attach(product), await catalogue.attach(product), await catalogue.attach(product)]
    await catalogue.sql`update product_images set position = 5 where product_id = ${product.id}`
    await catalogue.database.images.edit(product.tenantId, { kind: 'id', id: product.id }, a, { rank: 2 }, null)
    expect((await imagesOf(product)).images.map((image) => image.id)).toEqual([b, a, c])
  })
})

describe('a commit that is made twice', () => {
  it('changes nothing the second time, whatever became of the first answer', async () => {
    const product = await catalogue.newProduct()
    const ingest = await catalogue.accept(product)
    expect(await catalogue.commit(ingest)).toBe('committed')
    expect(await catalogue.commit(ingest)).toBe('committed')
    expect((await imagesOf(product)).images).toHaveLength(1)
  })

  it('makes one image when sixteen workers have the same job', async () => {
    const product = await catalogue.newProduct()
    const ingest = await catalogue.accept(product)
    const states = await Promise.all(range(16).map(() => catalogue.commit(ingest)))
    expect(new Set(states)).toEqual(new Set(['committed']))
    const list = await imagesOf(product)
    expect(list.images).toHaveLength(1)
    expect(list.version).toBe(product.version + 1)
  })
})

describe('a file that is removed', () => {
  it('leaves no product that it was hung on while its removal waited for another', async () => {
    const [first, second] = [await catalogue.newProduct(), await catalogue.newProduct()]
    const ingest = await catalogue.accept(first)
    await catalogue.commit(ingest)
    const { database, sql, tenantId } = catalogue
    const fileId = (await database.ingests.find(tenantId, ingest.id))?.result?.fileId as FileId
    const hangOnSecond = async () => {
      const source = { kind: 'file', fileId } as const
      await catalogue.commit(await catalogue.accept(second, { source }), { file: { kind: 'existing', id: fileId } })
    }
    const removal = await sql.begin(async (held) => {
      await held`select from products where id = ${first.id} for update`
      const removing = database.files.remove(tenantId, fileId)
      await vi.waitFor(async () => {
        const waiting = await sql`
          select from pg_stat_activity where datname = current_database() and wait_event_type = 'Lock'`
        expect(waiting).toHaveLength(1)
      })
      await hangOnSecond()
      return { removing }
    })
    expect(await removal.removing).toBe(true)
    for (const product of [first, second]) expect((await imagesOf(product)).images).toEqual([])
    expect((await imagesOf(second)).version).toBe(second.version + 2)
  })
})

describe('facts', () => {
  it('come back as they were given, with characters that jsonb refuses', async () => {
    const product = await catalogue.newProduct()
    const ingest = await catalogue.accept(product)
    const exif = { Photo: { UserComment: 'a\0b', Odd: '\ud800' } }
    const facts = { ...factsOf(ingest), exif, warnings: ['nul: \0'] }
    await catalogue.commit(ingest, {
      file: { kind: 'new', id: randomUUID() as never, name: null, facts, reuses: false },
      timeline: [{ at: new Date(), step: 'store', attempt: 1, outcome: 'done', durationMs: 1.5, detail: 'a\0b' }],
    })
    expect((await imagesOf(product)).images[0]?.file.facts).toEqual(facts)
    const timeline = await catalogue.database.ingests.timeline(product.tenantId, ingest.id)
    expect(timeline.map((entry) => entry.step)).toEqual(['accept', 'store', 'finish'])
  })
})
