import { expect, test } from 'vitest'
import { SluiceError } from '../../errors.ts'
import type { IngestId, ProductId, TokenId } from '../../ids.ts'
import { numberedName } from '../../naming.ts'
import type { NewIngest } from '../../ports.ts'
import { isMain } from '../../product-image.ts'
import { aNewIngest, aStagedSource, newDigest, newId } from '../builders.ts'
import { LONG_MS, present, range, refOf, type Subject } from './catalogue.ts'

export function concurrencyTests({ catalogue }: Subject): void {
  const atOnce = <T>(count: number, act: (n: number) => Promise<T>) => Promise.all(range(count).map(act))
  /** The codes of those who were refused; null for those who were not. */
  const codes = (count: number, act: (n: number) => Promise<unknown>) =>
    atOnce(count, (n) =>
      act(n).then(
        () => null,
        (error: unknown) => (SluiceError.is(error) ? error.code : error),
      ),
    )
  const refused = (count: number, code: string) => [...Array.from({ length: count - 1 }, () => code), null]
  const nullLast = (a: unknown, b: unknown) => Number(a === null) - Number(b === null)

  test('fifty commits on one product give fifty names without a gap, fifty ranks and one main image', async () => {
    const product = await catalogue().newProduct()
    const ids = await atOnce(50, () => catalogue().attach(product))
    const { images, version } = await catalogue().imagesOf(product)
    expect(images.map(({ id }) => id).sort()).toEqual(ids.toSorted())
    expect(new Set(images.map(({ name }) => name))).toEqual(new Set(range(50).map((n) => numberedName('image', n))))
    expect(images.map(({ position }) => position)).toEqual(range(50))
    expect(images.filter(isMain)).toHaveLength(1)
    expect(version).toBe(product.version + 50)
  })

  test('everybody who wants the front gets it once', async () => {
    const product = await catalogue().newProduct()
    await atOnce(20, () => catalogue().attach(product, { rank: 1, main: true }))
    const { images } = await catalogue().imagesOf(product)
    expect(images.map(({ position }) => position)).toEqual(range(20))
    expect(images.filter(isMain)).toHaveLength(1)
  })

  test('one ingest that is committed by ten becomes one image', async () => {
    const product = await catalogue().newProduct()
    const ingest = await catalogue().acceptFor(product)
    expect(await atOnce(10, () => catalogue().commit(ingest))).toEqual(range(10).map(() => 'committed'))
    const { images, version } = await catalogue().imagesOf(product)
    expect(images.map(({ name }) => name)).toEqual(['image'])
    expect(version).toBe(product.version + 1)
    const done = present(await catalogue().database.ingests.find(product.tenantId, ingest.id))
    expect(done.result).toEqual({ fileId: images[0]?.file.id, imageId: images[0]?.id })
  })

  test('the same bytes that are committed by ten are ten files of one blob', async () => {
    const digest = newDigest()
    const product = await catalogue().newProduct()
    const { source } = aNewIngest({ tenantId: product.tenantId })
    const same = source.kind === 'staged' ? { ...source, digest } : source
    await atOnce(10, async () => catalogue().commit(await catalogue().acceptFor(product, {}, { source: same })))
    const { images } = await catalogue().imagesOf(product)
    expect(new Set(images.map(({ file }) => file.id)).size).toBe(10)
    expect(new Set(images.map(({ file }) => file.facts.digest))).toEqual(new Set([digest]))
  })

  test('an end and a commit at once agree on what happened', async () => {
    const product = await catalogue().newProduct()
    const outcomes = await atOnce(10, async () => {
      const ingest = await catalogue().acceptFor(product)
      const { ingests } = catalogue().database
      const [state, ended] = await Promise.all([
        catalogue().commit(ingest),
        ingests.end(ingest.id, 'rejected', { code: 'image_corrupt', detail: '' }, []),
      ])
      expect(state).toBe(ended ? 'rejected' : 'committed')
      expect(await ingests.find(product.tenantId, ingest.id)).toMatchObject({ state })
      return state
    })
    const { images } = await catalogue().imagesOf(product)
    expect(images).toHaveLength(outcomes.filter((state) => state === 'committed').length)
  })

  test('one key is reserved by one', async () => {
    const key = newId()
    const { idempotency } = catalogue().database
    const answers = await atOnce(20, () => idempotency.reserve(catalogue().home, key, newId() as IngestId, LONG_MS, LONG_MS))
    expect(answers.map(({ kind }) => kind).sort()).toEqual([...range(19).map(() => 'in_flight'), 'reserved'])
  })

  test('one ingest that is accepted by ten is one ingest', async () => {
    const wanted = aNewIngest({ tenantId: catalogue().home })
    const { ingests } = catalogue().database
    const accepted = await atOnce(10, () => ingests.accept(wanted))
    expect(new Set(accepted.map(({ createdAt }) => createdAt.getTime())).size).toBe(1)
    expect(await ingests.timeline(wanted.tenantId, wanted.id)).toHaveLength(1)
  })

  test('one replay of ten goes through', async () => {
    const { ingests } = catalogue().database
    const { id, tenantId } = await catalogue().accept()
    await ingests.end(id, 'failed', { code: 'internal_error', detail: '' }, [])
    const answers = await atOnce(10, () => ingests.replay(tenantId, [id], LONG_MS))
    expect(answers.flat()).toHaveLength(1)
    expect((await ingests.find(tenantId, id))?.epoch).toBe(1)
  })

  test('ten replays of the same fifty, whatever their order, replay each once', async () => {
    const { ingests } = catalogue().database
    const ids: IngestId[] = []
    for (const _ of range(50)) {
      const { id } = await catalogue().accept()
      await ingests.end(id, 'failed', { code: 'internal_error', detail: '' }, [])
      ids.push(id)
    }
    let turn = 0
    const answers = await atOnce(10, () => ingests.replay(catalogue().home, turn++ % 2 ? ids : ids.toReversed(), LONG_MS))
    expect(
      answers
        .flat()
        .map(({ id }) => id)
        .toSorted(),
    ).toEqual(ids.toSorted())
    for (const id of ids) expect((await ingests.timeline(catalogue().home, id)).at(-1)?.step).toBe('replay')
  })

  test('one SKU goes to one of ten products, one hash to one of ten tokens', async () => {
    const { products, tokens } = catalogue().database
    const [tenantId, sku, sha256Hex] = [catalogue().home, newId(), newDigest()]
    const answers = await codes(10, () => products.create({ id: newId() as ProductId, tenantId, sku, title: null }))
    expect(answers.sort(nullLast)).toEqual(refused(10, 'sku_taken'))
    const made = await atOnce(10, () =>
      tokens.create({ id: newId() as TokenId, tenantId, name: '', role: 'reader', sha256Hex, prefix: '', expiresAt: null }),
    )
    expect(new Set(made.map(({ tokenId }) => tokenId)).size).toBe(1)
  })

  test('one of ten changes to the same version goes through, and the others are told', async () => {
    const product = await catalogue().newProduct()
    await atOnce(4, () => catalogue().attach(product))
    const { version, images: attached } = await catalogue().imagesOf(product)
    const ids = attached.filter((image) => !isMain(image)).map(({ id }) => id)
    const { images } = catalogue().database
    const answers = await codes(10, (n) => images.setMain(product.tenantId, refOf(product), ids[n % 3] ?? null, version))
    expect(answers.sort(nullLast)).toEqual(refused(10, 'version_mismatched'))
    expect((await catalogue().imagesOf(product)).version).toBe(version + 1)
  })

  test('of thirty-two who replace the main image by another, one succeeds', async () => {
    const product = await catalogue().newProduct()
    const ids = await atOnce(4, () => catalogue().attach(product))
    const { images, version } = await catalogue().imagesOf(product)
    const before = present(images.find(isMain)).id
    const others = ids.filter((id) => id !== before)
    const wanted = (n: number) => present(others[n % 3])
    const port = catalogue().database.images
    const answers = await codes(32, (n) => port.setMain(product.tenantId, refOf(product), wanted(n), null, before))
    expect(answers.toSorted(nullLast)).toEqual(refused(32, 'main_image_changed'))
    const after = await catalogue().imagesOf(product)
    expect(after.images.filter(isMain).map(({ id }) => id)).toEqual([wanted(answers.indexOf(null) + 1)])
    expect(after.version).toBe(version + 1)
  })

  test.for([true, false])('of thirty-two who attach the new main image, one succeeds; there is one: %s', async (isThere) => {
    const product = await catalogue().newProduct()
    const before = isThere ? await catalogue().attach(product) : null
    const placement = { main: true, replacesMain: { imageId: before } }
    const ingests = await atOnce(32, () => catalogue().acceptFor(product, placement))
    const answers = await codes(32, (n) => catalogue().commit(present(ingests[n - 1])))
    expect(answers.toSorted(nullLast)).toEqual(refused(32, 'main_image_changed'))
    const { images } = await catalogue().imagesOf(product)
    const winner = present(ingests[answers.indexOf(null)])
    const done = await catalogue().database.ingests.find(product.tenantId, winner.id)
    expect(images.filter(isMain).map(({ id }) => id)).toEqual([done?.result?.imageId])
    expect(images).toHaveLength(isThere ? 2 : 1)
  })

  test('those who set the main image and those who attach it, at once, agree on one', async () => {
    const product = await catalogue().newProduct()
    const [main, other] = [await catalogue().attach(product), await catalogue().attach(product)]
    const ingests = await atOnce(16, () => catalogue().acceptFor(product, { main: true, replacesMain: { imageId: main } }))
    const { images } = catalogue().database
    const answers = await codes(32, (n) =>
      n <= 16 ? catalogue().commit(present(ingests[n - 1])) : images.setMain(product.tenantId, refOf(product), other, null, main),
    )
    expect(answers.toSorted(nullLast)).toEqual(refused(32, 'main_image_changed'))
    expect((await catalogue().imagesOf(product)).images.filter(isMain)).toHaveLength(1)
  })

  test('twenty who fill one slot end with one image', async () => {
    const product = await catalogue().newProduct()
    const ids = await atOnce(20, async () => {
      const ingest = await catalogue().acceptFor(product, { slot: 'picture' })
      await catalogue().commit(ingest)
      return (await catalogue().database.ingests.find(product.tenantId, ingest.id))?.result?.imageId
    })
    expect(new Set(ids).size).toBe(1)
    const { images, version } = await catalogue().imagesOf(product)
    expect(images.map(({ id }) => id)).toEqual([ids[0]])
    expect(version).toBe(product.version + 20)
  })

  test('twenty who want a file once on a product end with one image; who wants another gets another', async () => {
    const product = await catalogue().newProduct()
    await catalogue().attach(product)
    const fileId = present((await catalogue().imagesOf(product)).images[0]).file.id
    const other = await catalogue().newProduct()
    const hang = async (oncePerFile: boolean) => {
      const ingest = await catalogue().acceptFor(other, { oncePerFile }, { source: { kind: 'file', fileId } })
      await catalogue().commit(ingest)
      return (await catalogue().database.ingests.find(other.tenantId, ingest.id))?.result?.imageId
    }
    const ids = new Set(await atOnce(20, () => hang(true)))
    expect((await catalogue().imagesOf(other)).images.map(({ id }) => id)).toEqual([...ids])
    expect(ids.size).toBe(1)
    expect(ids).not.toContain(await hang(false))
    expect(ids).toContain(await hang(true))
    expect((await catalogue().imagesOf(other)).images).toHaveLength(2)
  })

  test('the same bytes that are to serve again are one file, whoever comes first', async () => {
    const source = aStagedSource({ reusesFile: true, digest: newDigest() })
    const files = await atOnce(20, async () => {
      const product = await catalogue().newProduct()
      const ingest = await catalogue().acceptFor(product, {}, { source })
      await catalogue().commit(ingest)
      return (await catalogue().imagesOf(product)).images[0]?.file.id
    })
    expect(new Set(files).size).toBe(1)
    expect(files[0]).toBeDefined()
  })

  test('a file that is removed while it is hung on products is on none of them in the end', async () => {
    const digest = newDigest()
    const products = await atOnce(4, () => catalogue().newProduct())
    const { files } = catalogue().database
    const hang = async (n: number, source: Partial<NewIngest>) =>
      catalogue().commit(await catalogue().acceptFor(present(products[n % 4]), {}, source))
    const staged = { source: aStagedSource({ reusesFile: true, digest, fileName: 'a.jpg' }) }
    await hang(0, staged)
    const fileId = present((await catalogue().imagesOf(present(products[0]))).images[0]).file.id
    const answers = await codes(40, (n) =>
      n % 10 === 9 ? files.remove(catalogue().home, fileId) : hang(n, n % 2 ? staged : { source: { kind: 'file', fileId } }),
    )
    expect(answers.filter((code) => code !== null && code !== 'file_reference_unknown')).toEqual([])
    expect(await files.find(catalogue().home, fileId)).toBeNull()
    for (const product of products) {
      const { images } = await catalogue().imagesOf(product)
      expect(images.map(({ file }) => file.id)).not.toContain(fileId)
      const order = images.map(({ id }) => id)
      await catalogue().database.images.reorder(product.tenantId, refOf(product), order, null)
    }
  })

  test('attaching, replacing, filling slots, reordering, removing and keeping at once leave one sound product', async () => {
    const product = await catalogue().newProduct()
    await atOnce(6, () => catalogue().attach(product))
    const { images } = catalogue().database
    const of = [product.tenantId, refOf(product)] as const
    const answers = await codes(80, async (n) => {
      const list = await catalogue().imagesOf(product)
      const ids = list.images.map(({ id }) => id)
      const one = present(ids[n % ids.length])
      const acts = [
        () => catalogue().attach(product, { rank: (n % 5) + 1, main: n % 2 === 0 }),
        () => catalogue().attach(product, { store: 1, roles: ['image'], position: n }),
        () => images.reorder(...of, ids.toReversed(), null),
        async () => {
          const target = { kind: 'replace', productId: product.id, imageId: one, change: { rank: 1 } } as const
          await catalogue().commit(await catalogue().accept({ target }))
        },
        async () => catalogue().commit(await catalogue().acceptFor(product, { slot: `${n % 2}` })),
        () => images.remove(...of, one, 'promote', null),
        () => images.edit(...of, one, { store: 1, roles: ['thumbnail'], label: `${n}` }, null),
        () => images.keepOnly(...of, ids, list.version),
      ]
      await present(acts[n % acts.length])()
    })
    const expected = new Set<unknown>([null, 'order_incomplete', 'image_unknown', 'version_mismatched'])
    expect(answers.filter((code) => !expected.has(code))).toEqual([])
    const list = await catalogue().imagesOf(product)
    expect(list.images.filter(isMain).length).toBeLessThanOrEqual(1)
    const roles = list.images.flatMap((image) => image.roles)
    expect(new Set(roles).size).toBe(roles.length)
    expect(new Set(list.images.map(({ name }) => name)).size).toBe(list.images.length)
    const ids = new Set(list.images.map(({ id }) => id))
    expect(list.storeRoles.filter(({ imageId }) => imageId !== null && !ids.has(imageId))).toEqual([])
    await images.reorder(...of, [...ids], list.version)
  })

  test('twenty who set the main image, without a version, end with one', async () => {
    const product = await catalogue().newProduct()
    await atOnce(21, () => catalogue().attach(product))
    const { version, images: attached } = await catalogue().imagesOf(product)
    const ids = attached.filter((image) => !isMain(image)).map(({ id }) => id)
    const { images } = catalogue().database
    const versions = await atOnce(20, (n) => images.setMain(product.tenantId, refOf(product), ids[n - 1] ?? null, null))
    expect(versions.toSorted((a, b) => a - b)).toEqual(range(20).map((n) => version + n))
    expect((await catalogue().imagesOf(product)).images.filter(isMain)).toHaveLength(1)
  })
}
