import { describe, expect, test } from 'vitest'
import { SluiceError } from '../../errors.ts'
import { feedImports } from '../../feed-imports.ts'
import type { Digest, ImportId, ProductId } from '../../ids.ts'
import { type Import, type ImportRow, type NewImport, type NewRow, type RowWishes } from '../../import.ts'
import { DEFAULT_LIMITS } from '../../limits.ts'
import { planImport } from '../../plan-import.ts'
import type { Product, ProductImage } from '../../product-image.ts'
import { newDigest, newId } from '../builders.ts'
import { LONG_MS, present, type Subject } from './catalogue.ts'

const WORLD = {
  limits: { ...DEFAULT_LIMITS, importIdleMs: 0, importInFlightMax: 3, importBatchProducts: 2 },
  newId,
  observer: { observe: () => undefined },
}
const TURNS_MAX = 400

/** What an image is, apart from when it was touched. */
function lasting(image: ProductImage): Omit<ProductImage, 'updatedAt'> {
  const { updatedAt: _, ...rest } = image
  return rest
}

async function refusal(act: Promise<unknown>): Promise<string | null> {
  try {
    await act
    return null
  } catch (error) {
    if (!SluiceError.is(error)) throw error
    return error.code
  }
}

/** Imports, from the rows to what they come to; the pipeline is played by commits. */
export function importTests(subject: Subject): void {
  const { catalogue } = subject
  const imports = () => catalogue().database.imports

  const open = (change: Partial<NewImport> = {}) =>
    imports().create(
      {
        id: newId() as ImportId,
        tenantId: catalogue().home,
        tokenId: newId() as NewImport['tokenId'],
        name: 'spring',
        mode: 'add',
        onError: 'skip',
        createProducts: false,
        parkMs: 0,
        ...change,
      },
      10_000,
    )

  /** A digest whose bytes the tenant has. */
  async function stored(): Promise<Digest> {
    const { accept, commit, database, home } = catalogue()
    const ingest = await accept({ target: null })
    await commit(ingest)
    const { result } = present(await database.ingests.find(home, ingest.id))
    return present(await database.files.find(home, present(result).fileId)).facts.digest
  }

  const row = (line: number, product: Pick<Product, 'sku'>, digest: Digest, wishes: RowWishes = {}): NewRow => ({
    line,
    kind: 'valid',
    product: { kind: 'sku', sku: product.sku },
    source: { kind: 'bytes', digest },
    wishes,
  })

  const add = (given: Import, rows: readonly NewRow[]) => imports().addRows(given.tenantId, given.id, rows, 1_000)
  const rowsOf = ({ tenantId, id }: Import) => imports().listRows(tenantId, id, {}, { after: null, limit: 1_000 })
  const plan = (given: Import) => planImport({ ...WORLD, database: catalogue().database }, given.tenantId, given)
  const found = async ({ tenantId, id }: Import) => present(await imports().find(tenantId, id))
  const actions = (rows: readonly ImportRow[]) => rows.map(({ action }) => action)

  /** What workers do: turns of the feeder, and commits of what it has brought; until the import rests. */
  async function work(given: Import): Promise<Import> {
    const { database } = catalogue()
    for (let turn = 0; turn < TURNS_MAX; turn++) {
      const now = await found(given)
      if (['stopped', 'finished', 'undone'].includes(now.state)) return now
      await feedImports({ ...WORLD, database })
      await commitRunning(given)
    }
    throw new Error(`the import is still ${(await found(given)).state}`)
  }

  async function commitRunning({ tenantId, id }: Import): Promise<void> {
    const { commit, database } = catalogue()
    const running = await imports().listRows(tenantId, id, { states: ['running'] }, { after: null, limit: 100 })
    for (const { ingestId } of running) {
      const ingest = ingestId && (await database.ingests.find(tenantId, ingestId))
      if (ingest?.source.kind === 'file') await commit(ingest, { file: { kind: 'existing', id: ingest.source.fileId } })
    }
  }

  async function apply(rows: readonly NewRow[], change: Partial<NewImport> = {}): Promise<Import> {
    const given = await open(change)
    await add(given, rows)
    await plan(given)
    await imports().apply(given.tenantId, given.id, null)
    return work(given)
  }

  const shown = async (product: Product) => {
    const { version, images } = await catalogue().imagesOf(product)
    return { version, digests: images.map(({ file }) => file.facts.digest), images }
  }

  describe('rows', () => {
    test('of one line are one row, the first', async () => {
      const [given, digest] = [await open(), newDigest()]
      const product = await catalogue().newProduct()
      expect(await add(given, [row(1, product, digest), row(2, product, digest)])).toEqual(new Set([1, 2]))
      expect(await add(given, [row(2, product, digest, { label: 'late' }), row(3, product, digest)])).toEqual(new Set([3]))
      const rows = await rowsOf(given)
      expect(rows.map(({ line, wishes }) => [line, wishes])).toEqual([
        [1, {}],
        [2, {}],
        [3, {}],
      ])
      expect((await imports().progress(given.tenantId, given.id)).total).toBe(3)
    })

    test('may be no more than the import may have, and come only before it is applied', async () => {
      const given = await open()
      const product = await catalogue().newProduct()
      const rows = [1, 2, 3].map((line) => row(line, product, newDigest()))
      const { tenantId, id } = given
      expect(await refusal(imports().addRows(tenantId, id, rows, 2))).toBe('import_rows_exceeded')
      expect(await rowsOf(given)).toEqual([])
      expect(await refusal(imports().addRows(catalogue().stranger, id, rows, 9))).toBe('import_unknown')
      await plan(given)
      await imports().apply(tenantId, id, null)
      expect(await refusal(add(given, rows))).toBe('import_busy')
    })

    test('make a plan void', async () => {
      const given = await open()
      expect((await plan(given)).planHash).not.toBeNull()
      await add(given, [row(1, await catalogue().newProduct(), newDigest())])
      expect(await found(given)).toMatchObject({ state: 'open', planHash: null })
      expect(await refusal(imports().apply(given.tenantId, given.id, null))).toBe('import_busy')
    })

    test('that are at fault keep what is wrong with them', async () => {
      const given = await open()
      const errors = [{ field: 'position', message: 'must be a whole number' }]
      await add(given, [{ line: 4, kind: 'invalid', product: null, errors }])
      await plan(given)
      expect(await rowsOf(given)).toMatchObject([
        { line: 4, state: 'invalid', problem: { code: 'row_invalid', details: { errors } } },
      ])
    })
  })

  describe('a plan', () => {
    test('has one hash for one state, and another for another', async () => {
      const given = await open()
      const product = await catalogue().newProduct()
      await add(given, [row(1, product, await stored())])
      const first = await plan(given)
      expect((await plan(given)).planHash).toBe(first.planHash)
      await catalogue().attach(product)
      expect((await plan(given)).planHash).not.toBe(first.planHash)
    })

    test('groups rows that name one product differently', async () => {
      const given = await open()
      const product = await catalogue().newProduct()
      const digest = await stored()
      const named = (line: number, ref: Extract<NewRow, { kind: 'valid' }>['product']): NewRow => ({
        ...row(line, product, digest),
        kind: 'valid',
        product: ref,
        source: { kind: 'bytes', digest },
        wishes: { main: true },
      })
      await add(given, [
        named(1, { kind: 'sku', sku: product.sku }),
        named(2, { kind: 'id', id: product.id }),
        named(3, { kind: 'number', number: product.number }),
        named(4, { kind: 'id', id: newId() as ProductId }),
      ])
      await plan(given)
      const rows = await rowsOf(given)
      expect(rows.map(({ action, problem }) => [action, problem?.code])).toEqual([
        ['attach', undefined],
        ['refuse', 'row_conflicted'],
        ['refuse', 'row_conflicted'],
        ['refuse', 'product_unknown'],
      ])
    })

    test('is refused when a product has moved since, and only where it was named', async () => {
      const product = await catalogue().newProduct()
      const given = await open()
      await add(given, [row(1, product, await stored())])
      const { planHash } = await plan(given)
      await catalogue().attach(product)
      const { tenantId, id } = given
      expect(await refusal(imports().apply(tenantId, id, 'another'))).toBe('plan_outdated')
      expect(await refusal(imports().apply(tenantId, id, planHash))).toBe('plan_outdated')
      await imports().apply(tenantId, id, null)
      expect(await work(given)).toMatchObject({ state: 'finished' })
      expect((await shown(product)).digests).toHaveLength(2)
    })

    test('is what is done, row by row', async () => {
      const product = await catalogue().newProduct()
      const [a, b, c] = [await stored(), await stored(), await stored()]
      await apply([row(1, product, a), row(2, product, b)])
      const given = await open({ mode: 'sync' })
      await add(given, [row(1, product, b, { label: 'b' }), row(2, product, c)])
      await plan(given)
      const planned = await rowsOf(given)
      expect(actions(planned)).toEqual(['update', 'attach', 'detach'])
      await imports().apply(given.tenantId, given.id, null)
      await work(given)
      const done = await rowsOf(given)
      expect(actions(done)).toEqual(actions(planned))
      expect(done.map(({ state }) => state)).toEqual(['done', 'done', 'done'])
      expect((await shown(product)).digests).toEqual([b, c])
    })
  })

  describe('applying', () => {
    test('brings all images to their places, a few at a time, whatever order they arrive in', async () => {
      const product = await catalogue().newProduct()
      const digests = await Promise.all([0, 1, 2, 3, 4, 5, 6].map(stored))
      const order = [3, 1, 7, 2, 6, 4, 5]
      await apply(digests.map((digest, index) => row(index + 1, product, digest, { position: order[index] ?? 1 })))
      const expected = digests.map((_, rank) => digests[order.indexOf(rank + 1)])
      expect((await shown(product)).digests).toEqual(expected)
    })

    test('does nothing where all is the same already', async () => {
      const product = await catalogue().newProduct()
      const rows = [row(1, product, await stored(), { label: 'x', position: 2 }), row(2, product, await stored())]
      await apply(rows)
      const before = await shown(product)
      const again = await apply(rows)
      expect((await rowsOf(again)).map(({ state }) => state)).toEqual(['skipped', 'skipped'])
      expect(await shown(product)).toEqual(before)
    })

    test('creates products where it may, under one id however often it is tried', async () => {
      const sku = newId()
      const given = await apply([row(1, { sku }, await stored()), row(2, { sku }, await stored())], { createProducts: true })
      expect(actions(await rowsOf(given))).toEqual(['create', 'attach'])
      const product = present(await catalogue().database.products.find(given.tenantId, { kind: 'sku', sku }))
      expect((await shown(product)).digests).toHaveLength(2)
    })

    test('fails a row whose bytes are not there, and goes on', async () => {
      const product = await catalogue().newProduct()
      const given = await apply([row(1, product, newDigest()), row(2, product, await stored())])
      expect((await rowsOf(given)).map(({ state, problem }) => [state, problem?.code])).toEqual([
        ['failed', 'file_reference_unknown'],
        ['done', undefined],
      ])
    })

    test('leaves what belongs to the organization alone', async () => {
      const { database, home, attach } = catalogue()
      const { id, sku } = await catalogue().newProduct()
      const product = present(await database.products.find(home, { kind: 'id', id }))
      await attach(product)
      await database.products.update(home, { kind: 'id', id }, { owner: 'organization' })
      const before = await shown(product)
      const given = await apply([row(1, { sku }, await stored())], { mode: 'sync' })
      expect((await rowsOf(given)).map(({ action, problem }) => [action, problem?.code])).toEqual([
        ['refuse', 'owned_by_organization'],
      ])
      expect(await shown(product)).toEqual(before)
    })

    test('waits for a product, and not for ever', async () => {
      const { database, home } = catalogue()
      const sku = newId()
      const given = await open({ parkMs: LONG_MS })
      await add(given, [row(1, { sku }, await stored())])
      await plan(given)
      expect((await rowsOf(given)).map(({ action, state }) => [action, state])).toEqual([['park', 'parked']])
      await imports().apply(given.tenantId, given.id, null)
      await feedImports({ ...WORLD, database })
      expect((await found(given)).state).toBe('applying')
      await database.products.create({ id: newId() as ProductId, tenantId: home, sku, title: null })
      await work(given)
      expect((await rowsOf(given)).map(({ state }) => state)).toEqual(['done'])

      const late = await apply([row(1, { sku: newId() }, await stored())], { parkMs: 1 })
      expect((await rowsOf(late)).map(({ problem }) => problem?.code)).toEqual(['park_expired'])
    })

    test('stops at a fault where it should, and goes on when it is resumed', async () => {
      const [one, two] = [await catalogue().newProduct(), await catalogue().newProduct()]
      const given = await apply([row(1, one, newDigest()), row(2, two, await stored())], { onError: 'stop' })
      expect(given.state).toBe('stopped')
      await imports().resume(given.tenantId, given.id)
      expect((await work(given)).state).toBe('finished')
      expect((await shown(two)).digests).toHaveLength(1)
    })

    test('may begin anew at any point: what was done is not done again', async () => {
      const products = await Promise.all([0, 1, 2].map(() => catalogue().newProduct()))
      const given = await open()
      const rows = await Promise.all(
        products.flatMap((product, p) => [0, 1].map(async (n) => row(2 * p + n + 1, product, await stored()))),
      )
      await add(given, rows)
      await plan(given)
      const { tenantId, id } = await imports().apply(given.tenantId, given.id, null)
      // A worker that dies after each write: the turn is begun again with whatever is there.
      for (let calls = 1; calls < 40; calls++) {
        let left = calls
        const dying = new Proxy(imports(), {
          get: (target, name) => {
            const method: unknown = Reflect.get(target, name)
            if (typeof method !== 'function') return method
            return async (...args: unknown[]) => {
              if (left-- <= 0) throw new Error('killed')
              return Reflect.apply(method, target, args) as unknown
            }
          },
        })
        await feedImports({ ...WORLD, database: { ...catalogue().database, imports: dying } }).catch(() => undefined)
        await imports().release(id, 0)
        await commitRunning(given)
      }
      await work(given)
      expect((await rowsOf(given)).map(({ state }) => state)).toEqual(rows.map(() => 'done'))
      for (const product of products) expect((await shown(product)).digests).toHaveLength(2)
      expect(await imports().listRows(tenantId, id, { states: ['failed'] }, { after: null, limit: 10 })).toEqual([])
    })
  })

  describe('undoing', () => {
    const essence = ({ images }: Awaited<ReturnType<typeof shown>>) => images.map(lasting)

    test('gives back what was there, with ids, numbers, names and places', async () => {
      const product = await catalogue().newProduct()
      const [a, b, c, d] = [await stored(), await stored(), await stored(), await stored()]
      await apply([row(1, product, a, { label: 'a', roles: ['thumbnail'] }), row(2, product, b), row(3, product, c)])
      await catalogue().database.images.edit(
        product.tenantId,
        { kind: 'id', id: product.id },
        present((await shown(product)).images[1]).id,
        { store: 2, label: 'in store 2', roles: ['small_image'] },
        null,
      )
      const before = await shown(product)
      const given = await apply([row(1, product, c, { label: 'c', main: true }), row(2, product, d), row(3, product, b)], {
        mode: 'sync',
      })
      expect((await shown(product)).digests).toEqual([c, d, b])
      await imports().undo(given.tenantId, given.id, false)
      expect((await work(given)).state).toBe('undone')
      const after = await shown(product)
      expect(essence(after)).toEqual(essence(before))
      expect(after.version).toBeGreaterThan(before.version)
    })

    test('leaves what others have changed, unless it is forced', async () => {
      const product = await catalogue().newProduct()
      await apply([row(1, product, await stored())])
      const before = await shown(product)
      const given = await apply([row(1, product, await stored(), { position: 1 })])
      const theirs = await catalogue().attach(product)
      const { tenantId, id } = given
      await imports().undo(tenantId, id, false)
      await work(given)
      expect((await shown(product)).digests).toHaveLength(3)
      const left = await imports().listProducts(tenantId, id, ['changed_since'], { after: null, limit: 10 })
      expect(left.map(({ problem }) => problem?.code)).toEqual(['version_mismatched'])
      await imports().undo(tenantId, id, true)
      await work(given)
      expect((await shown(product)).images.map((image) => image.id)).toEqual([present(before.images[0]).id, theirs])
    })

    test('says which images cannot come back', async () => {
      const product = await catalogue().newProduct()
      await apply([row(1, product, await stored()), row(2, product, await stored())])
      const [, second] = (await shown(product)).images
      const given = await apply([row(1, product, present((await shown(product)).digests[0]))], { mode: 'sync' })
      await catalogue().database.files.remove(product.tenantId, present(second).file.id)
      await imports().undo(given.tenantId, given.id, true)
      await work(given)
      const states = await imports().listProducts(given.tenantId, given.id, ['unrestorable'], { after: null, limit: 10 })
      expect(states.map(({ problem }) => problem?.code)).toEqual(['file_unknown'])
      expect((await shown(product)).digests).toHaveLength(1)
    })

    test('is for imports that rest', async () => {
      const given = await open()
      expect(await refusal(imports().undo(given.tenantId, given.id, false))).toBe('import_busy')
      expect(await refusal(imports().stop(given.tenantId, given.id))).toBe('import_busy')
      expect(await refusal(imports().undo(catalogue().stranger, given.id, false))).toBe('import_unknown')
    })
  })

  test('bytes that were staged for a row are needed until it is over', async () => {
    const given = await open()
    const product = await catalogue().newProduct()
    const key = `${given.tenantId}/${newId()}`
    const declared = { declaredType: null, typeMustMatch: false, fileName: null, reusesFile: false }
    const source = { kind: 'staged', key, digest: newDigest(), bytes: 10, ...declared } as const
    await add(given, [{ line: 1, kind: 'valid', product: { kind: 'id', id: product.id }, source, wishes: {} }])
    expect(await imports().stagedInUse([key, 'another'])).toEqual(new Set([key]))
    await imports().failRow(given.id, 1, { code: 'internal_error', detail: '' })
    expect(await imports().stagedInUse([key])).toEqual(new Set())
  })

  test('another tenant sees none of it', async () => {
    const { stranger } = catalogue()
    const given = await open()
    await add(given, [row(1, await catalogue().newProduct(), newDigest())])
    const page = { after: null, limit: 10 }
    expect(await imports().find(stranger, given.id)).toBeNull()
    expect(await imports().listRows(stranger, given.id, {}, page)).toEqual([])
    expect((await imports().progress(stranger, given.id)).total).toBe(0)
    expect(await imports().list(stranger, { before: null, limit: 10 })).toEqual([])
  })
}
