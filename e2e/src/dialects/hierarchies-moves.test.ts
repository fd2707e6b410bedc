/** Many moves in one hierarchy: at once, where together they would make a circle, and in any sequence, for the order of children. */
import {
  type Arbitrary,
  array,
  assert,
  asyncProperty,
  constantFrom,
  integer,
  nat,
  oneof,
  option,
  record,
  uniqueArray,
} from 'fast-check'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import type { Answer, Json } from '../api.ts'
import { openStack, type Stack } from '../stack.ts'
import { type Child, idsOf, treeWords } from './hierarchies.ts'

describe('moves', () => {
  let stack: Stack
  const { adopt, call, data, list, newHierarchy, newNode } = treeWords(() => stack)

  beforeAll(async () => {
    stack = await openStack('embedded')
  })
  afterAll(async () => stack?.[Symbol.asyncDispose]())

  const range = (length: number) => Array.from({ length }, (_, index) => index)
  const pick = <T>(items: readonly T[]): T => items[Math.floor(Math.random() * items.length)] as T

  /** Throws unless each node has a way down from the root level, on which nobody stands twice, and which the lists of children confirm. */
  async function expectForest(hierarchy: string, nodes: readonly string[]): Promise<void> {
    const all = await list(`/${hierarchy}/nodes`)
    expect(idsOf(all).toSorted()).toEqual(nodes.toSorted())
    const parents = new Map(all.map(({ id, relationships }) => [id, relationships.parent?.data.id ?? null]))
    for (const { id, meta } of all) {
      const way: string[] = []
      for (let at = id as string | null; at !== null; at = parents.get(at) ?? null) {
        expect(way).not.toContain(at)
        way.unshift(at)
      }
      expect(idsOf(meta.breadcrumbs)).toEqual([hierarchy, ...way])
    }
    const reached: string[] = []
    for (let level = [`/${hierarchy}`]; level.length > 0;) {
      const below = (await Promise.all(level.map((path) => list(`${path}/children`)))).flat()
      reached.push(...idsOf(below))
      level = below.map(({ id }) => `/${hierarchy}/nodes/${id}`)
    }
    expect(reached.toSorted()).toEqual(nodes.toSorted())
  }

  const isTold = ({ status, body }: Answer) =>
    status === 200 ||
    status === 204 ||
    (status === 422 && /lie below itself|unique amongst/.test(body['errors'][0].detail)) ||
    status === 409

  test('32 at once, eight times over, leave a forest, and each is done or told', async () => {
    const hierarchy = await newHierarchy()
    const nodes: string[] = []
    for (const n of range(12))
      nodes.push(await newNode(hierarchy, { attributes: { slug: `slug-${n % 8}` }, parent: nodes.at(-1) ?? null }))
    const parentOf = (id: string) => `/${hierarchy}/nodes/${id}/relationships/parent`
    const moves: readonly (() => Promise<Answer>)[] = [
      () => adopt(hierarchy, pick(nodes), [{ id: pick(nodes) }]),
      () => adopt(hierarchy, pick(nodes), [{ id: pick(nodes), sortOrder: 1 }, { id: pick(nodes) }]),
      () => adopt(hierarchy, null, [{ id: pick(nodes) }]),
      () => call('PUT', parentOf(pick(nodes)), { data: { type: 'node', id: pick(nodes) } }),
      () => call('DELETE', parentOf(pick(nodes))),
    ]
    let done = 0
    for (let round = 0; round < 8; round++) {
      const answers = await Promise.all(range(32).map(() => pick(moves)()))
      expect(answers.filter((answer) => !isTold(answer)).map(({ status, body }) => [status, body])).toEqual([])
      done += answers.filter(({ status }) => status < 300).length
      await expectForest(hierarchy, nodes)
    }
    expect(done).toBeGreaterThan(0)
  })

  test('all of a ring at once: the one that would close it is told, and only that one', async () => {
    const hierarchy = await newHierarchy()
    for (let round = 0; round < 8; round++) {
      const ring: string[] = []
      for (const _ of range(8)) ring.push(await newNode(hierarchy))
      const answers = await Promise.all(
        ring.map((id, index) => adopt(hierarchy, ring[(index + 1) % ring.length] ?? '', [{ id }])),
      )
      const statuses = answers.map(({ status }) => status).toSorted((a, b) => a - b)
      expect(statuses).toEqual([...range(7).map(() => 200), 422])
    }
    await expectForest(hierarchy, idsOf(await list(`/${hierarchy}/nodes`)))
  })

  test('into a subtree that is being removed: the nodes go with it, or stay where they were', async () => {
    const hierarchy = await newHierarchy()
    for (let round = 0; round < 8; round++) {
      const [top, free] = [await newNode(hierarchy), await newNode(hierarchy)]
      const below = await newNode(hierarchy, { parent: top })
      const [removed, moved] = await Promise.all([
        call('DELETE', `/${hierarchy}/nodes/${top}`),
        adopt(hierarchy, below, [{ id: free }]),
      ])
      expect([removed.status, moved.status]).toEqual([204, expect.toSatisfy((status) => status === 200 || status === 404)])
      const left = idsOf(await list(`/${hierarchy}/nodes`))
      expect(left).not.toContain(top)
      expect(left).not.toContain(below)
      await expectForest(hierarchy, left)
    }
  })

  /** Links some nodes, or edits the first of them; returns those that it touched, with the sort orders that it gave. */
  async function take(step: Step, hierarchy: string, parent: string, nodes: readonly string[]): Promise<readonly Child[]> {
    const touched = step.touched.map(({ index, order }) => {
      const id = nodes[index] ?? ''
      return order === undefined ? { id } : { id, sortOrder: order }
    })
    if (step.kind === 'link') {
      await data(200, adopt(hierarchy, parent, touched))
      return touched
    }
    const [first] = touched
    if (!first) return []
    const { id, sortOrder } = first
    const attributes = { description: 'edited' }
    const body = { type: 'node', id, attributes, ...(sortOrder !== undefined && { meta: { sort_order: sortOrder } }) }
    await data(200, call('PUT', `/${hierarchy}/nodes/${id}`, { data: body }))
    return [first]
  }

  test('and edits in any sequence leave the children in their order: sort orders from above, then the last that was touched', async () => {
    const play = async (steps: readonly Step[]) => {
      const hierarchy = await newHierarchy()
      const parent = await newNode(hierarchy)
      const nodes: string[] = []
      for (const _ of range(6)) nodes.push(await newNode(hierarchy))
      const linked = new Set<string>()
      const orders = new Map<string, number>()
      const lastStep = new Map<string, number>()
      for (const [at, step] of steps.entries()) {
        for (const { id, sortOrder } of await take(step, hierarchy, parent, nodes)) {
          if (step.kind === 'link') linked.add(id)
          if (sortOrder !== undefined) orders.set(id, sortOrder)
          lastStep.set(id, at)
        }
      }
      const children = await list(`/${hierarchy}/nodes/${parent}/children`, 2)
      expect(new Set(idsOf(children))).toEqual(linked)
      for (const { id, meta } of children) expect(meta.sort_order).toBe(orders.get(id))
      expect(children.toSorted(asSiblings)).toEqual(children)
      const bySteps = children.toSorted((one, other) => (lastStep.get(one['id']) ?? 0) - (lastStep.get(other['id']) ?? 0))
      const times = bySteps.map(({ meta }) => Date.parse(meta.updated_at))
      expect(times).toEqual(times.toSorted((a, b) => a - b))
    }
    await assert(asyncProperty(array(STEP, { minLength: 1, maxLength: 8 }), play), { numRuns: 25 })
  })
})

const ORDER = option(oneof(integer({ min: -3, max: 3 }), constantFrom(-(2 ** 31), 2 ** 31 - 1)), { nil: undefined })
const TOUCHED = uniqueArray(record({ index: nat({ max: 5 }), order: ORDER }), {
  minLength: 1,
  maxLength: 4,
  selector: ({ index }) => index,
})
const STEP = record({ kind: constantFrom('link' as const, 'edit' as const), touched: TOUCHED })
type Step = typeof STEP extends Arbitrary<infer Value> ? Value : never

/** Sorting is stable, so that equals are in order however they stand. */
function asSiblings(one: Json, other: Json): number {
  const [a, b] = [one['meta'].sort_order ?? -Infinity, other['meta'].sort_order ?? -Infinity]
  return a === b ? Date.parse(other['meta'].updated_at) - Date.parse(one['meta'].updated_at) : b - a
}
