import { beforeEach, expect, test } from 'vitest'
import { type Facts, type File, fileCode } from '../../file.ts'
import type { FileId, TenantId } from '../../ids.ts'
import type { FileCondition } from '../../ports.ts'
import { isMain } from '../../product-image.ts'
import { aCommit, aFacts, aStagedSource, newDigest, newId } from '../builders.ts'
import { expectRefusal, LIMITS, present, range, refOf, type Subject } from './catalogue.ts'

export function fileTests({ catalogue }: Subject): void {
  const files = () => catalogue().database.files
  /** So that each test has files of its own. */
  let tenantId: TenantId
  beforeEach(async () => {
    tenantId = await catalogue().newTenant()
  })

  async function store(name: string | null, facts: Partial<Facts> = {}, reuses = false): Promise<FileId> {
    const ingest = await catalogue().accept({ tenantId, source: aStagedSource({ reusesFile: reuses, fileName: name }) })
    const file = { kind: 'new', id: newId() as FileId, name, facts: aFacts(facts), reuses } as const
    expect(await catalogue().database.ingests.commit(aCommit(ingest, { file }), LIMITS)).toBe('committed')
    return present(present(await catalogue().database.ingests.find(tenantId, ingest.id)).result).fileId
  }
  const find = async (id: FileId) => present(await files().find(tenantId, id))
  const namesOf = (found: readonly File[]) => found.map(({ name }) => name)

  findTests()
  reuseTests()
  listTests()
  removeTests()

  function findTests(): void {
    test('a file is found by the code that its id and name make', async () => {
      for (const name of ['Größe 1.JPG', null]) {
        const file = await find(await store(name))
        expect(file.code).toBe(fileCode(file.id, name))
        expect(await files().findByCode(tenantId, file.code)).toEqual(file)
        expect(await files().findByCode(catalogue().stranger, file.code)).toBeNull()
      }
      for (const code of ['', 'a/b/c/d/abcd_a.jpg', '\0', '%']) expect(await files().findByCode(tenantId, code)).toBeNull()
    })

    test('many files are found at once, those that there are', async () => {
      const ids = [await store('a.jpg'), await store('b.jpg')]
      const absent = [newId(), 'no id', '\0'] as FileId[]
      const found = await files().findMany(tenantId, [...ids, ...absent, ...ids])
      expect(new Set(namesOf(found))).toEqual(new Set(['a.jpg', 'b.jpg']))
      expect(found).toHaveLength(2)
      expect(found.find(({ name }) => name === 'a.jpg')).toEqual(await find(present(ids[0])))
      expect(await files().findMany(catalogue().stranger, ids)).toEqual([])
      expect(await files().findMany(tenantId, [])).toEqual([])
    })
  }

  function reuseTests(): void {
    test('a file of the same bytes and name serves again where that is asked for, and nowhere else', async () => {
      const digest = newDigest()
      const first = await store('a.jpg', { digest }, true)
      expect(await store('a.jpg', { digest }, true)).toBe(first)
      expect(await store('b.jpg', { digest }, true)).not.toBe(first)
      expect(await store(null, { digest }, true)).toBe(await store(null, { digest }, true))
      expect(await store('a.jpg', {}, true)).not.toBe(first)
      expect(await store('a.jpg', { digest })).not.toBe(first)
      expect((await files().list(tenantId, [], { offset: 0, limit: 9, withTotal: true })).total).toBe(5)
    })

    test('the oldest of several equal files serves', async () => {
      const digest = newDigest()
      const first = await store('a.jpg', { digest })
      await store('a.jpg', { digest })
      expect(await store('a.jpg', { digest }, true)).toBe(first)
    })

    test("another tenant's file does not serve", async () => {
      const digest = newDigest()
      const first = await store('a.jpg', { digest }, true)
      tenantId = await catalogue().newTenant()
      expect(await store('a.jpg', { digest }, true)).not.toBe(first)
    })

    test('a file that serves again hangs on the product like any other', async () => {
      const digest = newDigest()
      const product = await catalogue().newProduct(tenantId)
      const first = await store('a.jpg', { digest }, true)
      const ingest = await catalogue().acceptFor(
        product,
        {},
        { source: aStagedSource({ digest, reusesFile: true, fileName: 'a.jpg' }) },
      )
      await catalogue().commit(ingest)
      expect((await catalogue().imagesOf(product)).images.map(({ file }) => file.id)).toEqual([first])
    })
  }

  function listTests(): void {
    const list = async (...filter: FileCondition[]) =>
      namesOf((await files().list(tenantId, filter, { offset: 0, limit: 99, withTotal: false })).items)

    test('files are listed in the order in which they were stored, in pages', async () => {
      for (const n of range(5)) await store(`${n}.jpg`)
      const page = (offset: number, withTotal: boolean) => files().list(tenantId, [], { offset, limit: 2, withTotal })
      const [first, last, beyond] = [await page(0, true), await page(4, false), await page(6, true)]
      expect([namesOf(first.items), first.total]).toEqual([['1.jpg', '2.jpg'], 5])
      expect([namesOf(last.items), last.total]).toEqual([['5.jpg'], 0])
      expect([namesOf(beyond.items), beyond.total]).toEqual([[], 5])
      expect(first.items[0]).toEqual(await find(present(first.items[0]).id))
    })

    test('files are found by name, exactly or by a pattern in which only the star is special', async () => {
      for (const name of ['Chair.jpg', 'chair_50%.png', 'chair\\x.png', 'table.jpg', null]) await store(name)
      const like = (value: string) => list({ field: 'name', operator: 'like', value })
      expect(await list({ field: 'name', operator: 'eq', value: 'Chair.jpg' })).toEqual(['Chair.jpg'])
      expect(await list({ field: 'name', operator: 'eq', value: 'chair*' })).toEqual([])
      expect(await like('CHAIR*')).toEqual(['Chair.jpg', 'chair_50%.png', 'chair\\x.png'])
      expect(await like('*.png')).toEqual(['chair_50%.png', 'chair\\x.png'])
      expect(await like('*_50%*')).toEqual(['chair_50%.png'])
      expect(await like('*\\x*')).toEqual(['chair\\x.png'])
      expect(await like('*a*e*')).toEqual(['table.jpg'])
      expect(await like('*')).toHaveLength(4)
      expect(await like('chair')).toEqual([])
      expect(await like('c_air.jpg')).toEqual([])
      expect(await like('*\0*')).toEqual([])
    })

    test('files are found by their measures, whatever their EXIF says', async () => {
      const exif = { Image: { width: 7, Copyright: 'a\0b "width":8 \\u0000 \ud800' } }
      for (const n of range(4)) await store(`${n}`, { width: n * 10, height: 100 - n, bytes: n * 3_000_000_000, exif })
      expect(await list({ field: 'width', operator: 'eq', value: 20 })).toEqual(['2'])
      expect(await list({ field: 'width', operator: 'lt', value: 20 })).toEqual(['1'])
      expect(await list({ field: 'width', operator: 'le', value: 20 })).toEqual(['1', '2'])
      expect(await list({ field: 'width', operator: 'gt', value: 20.5 })).toEqual(['3', '4'])
      expect(await list({ field: 'bytes', operator: 'ge', value: 9_000_000_000 })).toEqual(['3', '4'])
      const both = [
        { field: 'height', operator: 'ge', value: 97 },
        { field: 'width', operator: 'ge', value: 20 },
        { field: 'name', operator: 'like', value: '*' },
      ] as const
      expect(await list(...both)).toEqual(['2', '3'])
      const { total } = await files().list(tenantId, both, { offset: 0, limit: 1, withTotal: true })
      expect(total).toBe(2)
    })
  }

  function removeTests(): void {
    test('a file goes with the images that show it, from each product as a new version', async () => {
      const products = [await catalogue().newProduct(tenantId), await catalogue().newProduct(tenantId)] as const
      const [fileId, otherId] = [await store('a.jpg'), await store('b.jpg')]
      const hang = async (id: FileId, n: 0 | 1) =>
        catalogue().commit(await catalogue().acceptFor(products[n], {}, { source: { kind: 'file', fileId: id } }))
      for (const [id, n] of [
        [fileId, 0],
        [otherId, 0],
        [fileId, 0],
        [fileId, 1],
      ] as const)
        await hang(id, n)
      const before = [await catalogue().imagesOf(products[0]), await catalogue().imagesOf(products[1])] as const

      expect(await files().remove(tenantId, fileId)).toBe(true)
      expect(await files().find(tenantId, fileId)).toBeNull()
      const after = [await catalogue().imagesOf(products[0]), await catalogue().imagesOf(products[1])] as const
      expect(after.map(({ version }) => version)).toEqual(before.map(({ version }) => version + 1))
      expect(after.map(({ images }) => images.map(({ file }) => file.id))).toEqual([[otherId], []])
      expect(after[0].images.filter(isMain)).toEqual([])
      const order = after[0].images.map(({ id }) => id)
      expect(await catalogue().database.images.reorder(tenantId, refOf(products[0]), order, null)).toBe(after[0].version + 1)
      expect(await files().remove(tenantId, fileId)).toBe(false)
    })

    test('a file that a product of the organization shows stays, and stays on all products', async () => {
      const products = [await catalogue().newProduct(tenantId), await catalogue().newProduct(tenantId)] as const
      const fileId = await store('a.jpg')
      for (const product of products)
        await catalogue().commit(await catalogue().acceptFor(product, {}, { source: { kind: 'file', fileId } }))
      await catalogue().database.products.update(tenantId, refOf(products[1]), { owner: 'organization' })
      const everything = async () => [await catalogue().imagesOf(products[0]), await catalogue().imagesOf(products[1])]
      const before = await everything()
      await expectRefusal(files().remove(tenantId, fileId), 'owned_by_organization')
      expect([await everything(), await files().find(tenantId, fileId)]).toEqual([before, expect.anything()])
    })

    test('only a file that is there and ones own is removed', async () => {
      const id = await store('a.jpg')
      expect(await files().remove(catalogue().stranger, id)).toBe(false)
      for (const absent of [newId(), 'no id', '\0'] as FileId[]) expect(await files().remove(tenantId, absent)).toBe(false)
      expect(await files().find(tenantId, id)).not.toBeNull()
    })

    test('the bytes of a removed file stay known, and may come again', async () => {
      const facts = aFacts()
      const id = await store('a.jpg', facts, true)
      await files().remove(tenantId, id)
      expect(await files().findFacts(tenantId, facts.digest)).toEqual(facts)
      expect(await store('a.jpg', facts, true)).not.toBe(id)
    })
  }
}
