import * as fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import type { Digest, FileId, ImageId, TenantId } from './ids.ts'
import type { ImportMode, ImportRow, ProductPlan, RowWishes } from './import.ts'
import { type PlannedState, planProduct } from './plan-product.ts'
import { MAIN_ROLE, type ProductImage } from './product-image.ts'
import { aFacts } from './testing/index.ts'

type Row = Pick<ImportRow, 'line' | 'source' | 'wishes'>

/** Digests by a letter, so that orders can be read. */
const digest = (letter: string) => letter.codePointAt(0)?.toString(16).padStart(64, '0') as Digest

function row(line: number, letter: string, wishes: RowWishes = {}): Row {
  return { line, source: { kind: 'bytes', digest: digest(letter) }, wishes }
}

let made = 0

function image(letter: string, position: number, change: Partial<ProductImage> = {}): ProductImage {
  made += 1
  const id = `${letter}-${made}`
  const file = {
    id: id as FileId,
    number: made,
    tenantId: 't' as TenantId,
    code: id,
    name: null,
    facts: aFacts({ digest: digest(letter) }),
    createdAt: new Date(0),
  }
  const dates = { createdAt: new Date(0), updatedAt: new Date(0) }
  return {
    id: id as ImageId,
    number: made,
    productId: 'p' as ProductImage['productId'],
    name: `image_${made}`,
    position,
    label: '',
    excluded: false,
    hasGlobalValues: true,
    roles: [],
    storeValues: [],
    slot: null,
    file,
    uploader: null,
    ...dates,
    ...change,
  }
}

function gallery(letters: string): ProductImage[] {
  return Array.from(letters, (letter, index) => image(letter, index + 1, index === 0 ? { roles: [MAIN_ROLE] } : {}))
}

const stateOf = (images: readonly ProductImage[]): PlannedState => ({
  images,
  storeRoles: [],
  acceptsImages: true,
  exists: true,
  urls: new Map(),
})

const plan = (rows: readonly Row[], images: readonly ProductImage[], mode: ImportMode = 'add') =>
  planProduct(rows, stateOf(images), { mode, imagesPerProductMax: 100, mayDetach: true })

const letterOf = ({ file }: ProductImage) => String.fromCodePoint(Number.parseInt(file.facts.digest, 16))
const lettersOf = (images: readonly ProductImage[]) => images.map(letterOf).join('')

/** What the workers and the pipeline make of a plan, on plain lists. */
function carryOut(
  images: readonly ProductImage[],
  rows: readonly Row[],
  { changes, positions, placements, detach }: ProductPlan,
) {
  const takeRoles = (roles: readonly string[]) => (other: ProductImage) => ({
    ...other,
    roles: other.roles.filter((role) => !roles.includes(role)),
  })
  let all: ProductImage[] = [...images]
  for (const { imageId, change } of changes) {
    const given = [...(change.roles ?? []), ...(change.main === true ? [MAIN_ROLE] : [])]
    const others = all.map(takeRoles(given))
    const changed = (other: ProductImage): ProductImage => {
      const kept = other.roles.filter((role) => (role === MAIN_ROLE ? change.main !== false : change.roles === undefined))
      const { label = other.label, excluded = other.excluded } = change
      return { ...other, label, excluded, roles: [...new Set([...kept, ...given])].sort() }
    }
    all = others.map((other) => (other.id === imageId ? changed(other) : other))
  }
  const keys = new Map(positions.map(({ imageId, position }) => [imageId, position]))
  all = all.map((other) => ({ ...other, position: keys.get(other.id) ?? other.position }))
  // In reverse: new images may arrive in any order.
  for (const { line, placement } of placements.toReversed()) {
    const source = rows.find((other) => other.line === line)?.source
    const letter = source?.kind === 'bytes' ? String.fromCodePoint(Number.parseInt(source.digest, 16)) : '?'
    const { label, excluded, roles, position } = placement
    all = [...all.map(takeRoles(roles)), image(letter, position ?? 0, { label, excluded, roles: [...roles].sort() })]
  }
  return all.filter(({ id }) => !detach.includes(id)).sort((a, b) => a.position - b.position || a.number - b.number)
}

const outcome = (rows: readonly Row[], images: readonly ProductImage[], mode?: ImportMode) =>
  lettersOf(carryOut(images, rows, plan(rows, images, mode)))

describe('where images go', () => {
  test('what no row names stays, and what is new comes after it', () => {
    expect(outcome([row(1, 'c'), row(2, 'd')], gallery('ab'))).toBe('abcd')
  })

  test('an image stands at the rank that its row says, whatever comes before it', () => {
    expect(outcome([row(1, 'x', { position: 1 }), row(2, 'y', { position: 3 })], gallery('ab'))).toBe('xayb')
    expect(outcome([row(1, 'y', { position: 3 }), row(2, 'x', { position: 1 })], gallery('ab'))).toBe('xayb')
    expect(outcome([row(1, 'x', { position: 1 }), row(2, 'y', { position: 1 })], gallery('ab'))).toBe('xyab')
    expect(outcome([row(1, 'x', { position: 50 })], gallery('ab'))).toBe('abx')
  })

  test('a sync leaves exactly what the rows name, in their order', () => {
    expect(outcome([row(1, 'c'), row(2, 'x'), row(3, 'a')], gallery('abc'), 'sync')).toBe('cxa')
  })

  test('the n-th row of some bytes means the n-th image of them', () => {
    const images = gallery('aab')
    const { rows, placements } = plan([row(1, 'a', { label: 'one' }), row(2, 'a', { label: 'two' }), row(3, 'a')], images)
    expect(rows.map(({ imageId }) => imageId)).toEqual([images[0]?.id, images[1]?.id, null])
    expect(placements).toHaveLength(1)
  })

  test('images that are only pushed back are not told as reordered', () => {
    const { rows } = plan([row(1, 'x', { position: 1 }), row(2, 'a', { position: 2 })], gallery('ab'))
    expect(rows.map(({ action }) => action)).toEqual(['attach', 'skip'])
    const moved = plan([row(1, 'b', { position: 1 })], gallery('ab'))
    expect(moved.rows).toMatchObject([{ action: 'reorder', changes: ['position'] }])
  })
})

describe('who is the main image', () => {
  const mainOf = (images: readonly ProductImage[]) => lettersOf(images.filter(({ roles }) => roles.includes(MAIN_ROLE)))
  const main = (rows: readonly Row[], images: readonly ProductImage[], mode?: ImportMode) =>
    mainOf(carryOut(images, rows, plan(rows, images, mode)))

  test('the one that a row says, or else the one that it was, or else the first new one', () => {
    expect(main([row(1, 'c', { main: true })], gallery('ab'))).toBe('c')
    expect(main([row(1, 'c')], gallery('ab'))).toBe('a')
    expect(main([row(1, 'c'), row(2, 'd', { position: 1 })], [])).toBe('d')
    expect(main([row(1, 'c', { main: false }), row(2, 'd')], [])).toBe('d')
  })

  test('the first that stays, when it goes', () => {
    expect(main([row(1, 'b'), row(2, 'c')], gallery('abc'), 'sync')).toBe('b')
    expect(main([row(1, 'a', { main: false })], gallery('ab'))).toBe('')
  })
})

describe('what cannot be', () => {
  test('one role for two images, which is the first row’s', () => {
    const { rows } = plan([row(1, 'a', { roles: ['thumbnail'] }), row(2, 'b', { roles: ['thumbnail'] })], [])
    expect(rows.map(({ action, problem }) => [action, problem?.code])).toEqual([
      ['attach', undefined],
      ['refuse', 'row_conflicted'],
    ])
  })

  test('more images than a product may have, or any where it takes none', () => {
    const rows = Array.from({ length: 4 }, (_, n) => row(n + 1, String.fromCodePoint(100 + n)))
    const rules = { mode: 'add', imagesPerProductMax: 3, mayDetach: true } as const
    const planned = planProduct(rows, stateOf(gallery('ab')), rules)
    expect(planned.rows.map(({ action }) => action)).toEqual(['attach', 'refuse', 'refuse', 'refuse'])
    const none = planProduct(rows, { ...stateOf([]), acceptsImages: false }, rules)
    expect(new Set(none.rows.map(({ problem }) => problem?.code))).toEqual(new Set(['images_unsupported']))
  })

  test('taking off what no row names, where a row is refused', () => {
    const rows = [row(1, 'a', { main: true }), row(2, 'x', { main: true })]
    expect(plan(rows, gallery('abc'), 'sync').detach).toEqual([])
  })
})

describe('whatever the rows are', () => {
  const ROLES = ['small_image', 'thumbnail']
  const wishes: fc.Arbitrary<RowWishes> = fc.record(
    {
      label: fc.constantFrom('', 'x', 'y'),
      position: fc.integer({ min: 1, max: 8 }),
      roles: fc.subarray(ROLES),
      main: fc.boolean(),
      excluded: fc.boolean(),
    },
    { requiredKeys: [] },
  )
  const rows = fc
    .array(fc.tuple(fc.constantFrom('a', 'b', 'c', 'd', 'e'), wishes), { maxLength: 7 })
    .map((given) => given.map(([letter, wish], index) => row(index + 1, letter, wish)))
  const images = fc
    .array(fc.tuple(fc.constantFrom('a', 'b', 'c', 'd'), fc.integer({ min: 1, max: 5 })), { maxLength: 5 })
    .map((given) =>
      given
        .map(([letter, position], index) => image(letter, position, { roles: index === 0 ? [MAIN_ROLE, 'thumbnail'] : [] }))
        .sort((a, b) => a.position - b.position || a.number - b.number),
    )

  test('planned again when it is done, all of it is the same already', () => {
    fc.assert(
      fc.property(rows, images, fc.constantFrom<ImportMode>('add', 'sync'), (given, before, mode) => {
        const first = plan(given, before, mode)
        const refused = new Set(first.rows.filter(({ action }) => action === 'refuse').map(({ line }) => line))
        const sound = given.filter(({ line }) => !refused.has(line))
        const after = carryOut(before, sound, plan(sound, before, mode))
        const again = plan(sound, after, mode)
        expect(again.rows.map(({ action }) => action)).toEqual(sound.map(() => 'skip'))
        expect([again.changes, again.positions, again.placements, again.detach]).toEqual([[], [], [], []])
      }),
      { numRuns: 2_000 },
    )
  })
})
