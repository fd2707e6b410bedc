import * as fc from 'fast-check'
import { expect, test } from 'vitest'
import type { ImageId } from '../../ids.ts'
import type { Placement } from '../../ingest.ts'
import type { ImageChange } from '../../ports.ts'
import { DEFAULT_ROLES, type ImageList, isMain, type Product, type ProductImage } from '../../product-image.ts'
import { memoryDatabase } from '../memory-database.ts'
import { type Catalogue, openCatalogue, refOf, type Subject } from './catalogue.ts'

/** One thing that can happen to a product. Images are named by their rank, counted round and round. */
type Act =
  | { readonly kind: 'attach'; readonly stem: string; readonly placement: Partial<Placement> }
  | { readonly kind: 'edit'; readonly at: number; readonly change: ImageChange }
  | { readonly kind: 'replace'; readonly at: number; readonly change: ImageChange }
  | { readonly kind: 'keepOnly'; readonly keys: readonly number[] }
  | { readonly kind: 'remove'; readonly at: number; readonly main: 'promote' | 'clear' }
  | { readonly kind: 'reorder'; readonly keys: readonly number[] }
  | { readonly kind: 'setMain'; readonly at: number | null }

const rank = fc.integer({ min: 1, max: 9 })
const at = fc.nat({ max: 20 })
const roles = fc.subarray([...DEFAULT_ROLES])

const position = fc.integer({ min: -2, max: 6 })
const store = fc.constantFrom(1, 2)
const label = fc.constantFrom('', 'x')
const excluded = fc.boolean()

/** Everywhere by rank or by position, or in one store view. */
const placement: fc.Arbitrary<Partial<Placement>> = fc.oneof(
  fc.record({ rank: fc.option(rank), roles, main: fc.constantFrom(true, false, null) }),
  fc.record({ position, roles, label, excluded }),
  fc.record({ store, position: fc.option(position), roles, label, excluded }),
  fc.record({ slot: fc.constantFrom('a', 'b'), roles }),
)
const change: fc.Arbitrary<ImageChange> = fc.oneof(
  fc.record({ rank, roles, main: fc.boolean() }, { requiredKeys: [] }),
  fc.record({ position, label, excluded, roles }, { requiredKeys: [] }),
  fc.record({ store, position, label, excluded, roles }, { requiredKeys: ['store'] }),
)

const act: fc.Arbitrary<Act> = fc.oneof(
  {
    weight: 3,
    arbitrary: fc.record({
      kind: fc.constant('attach'),
      stem: fc.constantFrom('image', 'image_2', 'image_3', 'image_2_2'),
      placement,
    }),
  },
  {
    weight: 2,
    arbitrary: fc.record({ kind: fc.constantFrom('edit', 'replace'), at, change }),
  },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('keepOnly'), keys: fc.array(fc.nat(), { maxLength: 20 }) }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('remove'), at, main: fc.constantFrom('promote', 'clear') }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('reorder'), keys: fc.array(fc.nat(), { maxLength: 20 }) }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('setMain'), at: fc.option(at) }) },
)

export function propertyTests({ catalogue, propertyRuns }: Subject): void {
  test('keep names unique for ever, ranks whole, roles single and versions growing, and end as the shortest database does', async () => {
    await using shortest = await openCatalogue(async () => memoryDatabase())
    const property = fc.asyncProperty(fc.array(act, { maxLength: 25 }), async (history) => {
      const [list, expected] = [await live(catalogue(), history), await live(shortest, history)]
      expect(described(list)).toEqual(described(expected))
    })
    await fc.assert(property, { numRuns: propertyRuns })
  })
}

/** Lets a history happen to a new product; what must hold at all times is looked at after each act. */
async function live(catalogue: Catalogue, history: readonly Act[]): Promise<ImageList> {
  const product = await catalogue.newProduct()
  const owners = new Map<string, ImageId>()
  let list = await catalogue.imagesOf(product)
  for (const act of history) {
    const before = list
    await perform(catalogue, product, before, act)
    list = await catalogue.imagesOf(product)
    expectSound(list, owners)
    const isChange = act.kind === 'attach' || 'keys' in act || before.images.length > 0
    const isMade = act.kind === 'setMain' ? mainIdOf(list) !== mainIdOf(before) : isChange
    expect(list.version - before.version).toBe(isMade ? 1 : 0)
  }
  await expectRanks(catalogue, product, list)
  return list
}

function mainIdOf({ images }: ImageList): ImageId | null {
  return images.find(isMain)?.id ?? null
}

async function perform(catalogue: Catalogue, product: Product, { images }: ImageList, act: Act): Promise<void> {
  const port = catalogue.database.images
  const of = [product.tenantId, refOf(product)] as const
  const idAt = (at: number) => images[at % images.length]?.id
  if (act.kind === 'attach') {
    await catalogue.attach(product, act.placement, act.stem)
  } else if (act.kind === 'reorder') {
    await port.reorder(...of, shuffled(images, act.keys), null)
  } else if (act.kind === 'keepOnly') {
    const order = shuffled(images, act.keys)
    await port.keepOnly(...of, order.slice(0, act.keys.length || order.length), null)
  } else if (act.kind === 'setMain' && act.at === null) {
    await port.setMain(...of, null, null)
  } else {
    const id = idAt(act.at ?? 0)
    if (id === undefined) return
    if (act.kind === 'replace') {
      const target = { kind: 'replace', productId: product.id, imageId: id, change: act.change } as const
      await catalogue.commit(await catalogue.accept({ target }))
    } else if (act.kind === 'edit') await port.edit(...of, id, act.change, null)
    else if (act.kind === 'remove') await port.remove(...of, id, act.main, null)
    else await port.setMain(...of, id, null)
  }
}

function shuffled(images: readonly ProductImage[], keys: readonly number[]): readonly ImageId[] {
  const order = images.map(({ id }, index) => ({ id, key: keys[index] ?? index })).sort((a, b) => a.key - b.key)
  return order.map(({ id }) => id)
}

/** `owners` remembers who was given which name, also those who are gone. */
function expectSound({ images }: ImageList, owners: Map<string, ImageId>): void {
  for (const { name, id } of images) {
    expect(owners.get(name) ?? id).toBe(id)
    owners.set(name, id)
  }
  const given = images.flatMap(({ roles }) => roles)
  expect(given).toHaveLength(new Set(given).size)
  const places = images.map(({ position, number }) => ({ position, number }))
  expect(places).toEqual(places.toSorted((a, b) => a.position - b.position || a.number - b.number))
  const slots = images.flatMap(({ slot }) => slot ?? [])
  expect(slots).toHaveLength(new Set(slots).size)
}

async function expectRanks({ database }: Catalogue, product: Product, { images }: ImageList): Promise<void> {
  const found = await Promise.all(images.map(({ id }) => database.images.find(product.tenantId, refOf(product), id)))
  expect(found.map((one) => one?.rank)).toEqual(images.map((_, index) => index + 1))
}

/** All but ids, numbers and times, which differ from one database to the next. */
function described({ images, storeRoles }: ImageList) {
  const nameOf = new Map(images.map(({ id, name }) => [id, name]))
  return {
    images: images.map(({ name, position, roles, label, excluded, hasGlobalValues, slot, storeValues }) => ({
      name,
      position,
      roles,
      label,
      excluded,
      hasGlobalValues,
      slot,
      storeValues,
    })),
    storeRoles: storeRoles.map(({ imageId, ...line }) => ({ ...line, image: imageId && nameOf.get(imageId) })),
  }
}
