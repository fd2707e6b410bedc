import { beforeEach, expect, test } from 'vitest'
import { SluiceError } from '../../errors.ts'
import type { ChildRef, Hierarchy, Node } from '../../hierarchy.ts'
import type { NodeId } from '../../ids.ts'
import { newId } from '../builders.ts'
import { eventually, expectRefusal, present, range, type Subject } from './catalogue.ts'
import { ALL, hierarchyWords } from './hierarchies.ts'

/** Moving nodes below another parent. */
export function adoptionTests({ catalogue }: Subject): void {
  const { hierarchies, newHierarchy, newNode, namesBelow } = hierarchyWords(catalogue)
  let hierarchy: Hierarchy

  beforeEach(async () => {
    hierarchy = await newHierarchy()
  })

  const adopt = (parent: NodeId | null, children: readonly ChildRef[]) =>
    hierarchies().adopt(hierarchy.tenantId, hierarchy.id, parent, children, { nodeDepthMax: 12 })
  const find = async ({ id }: Node) => present(await hierarchies().findNode(hierarchy.tenantId, hierarchy.id, id))
  const all = () => hierarchies().listNodes(hierarchy.tenantId, hierarchy.id, 'all', ALL)

  test('lets no tree grow deeper than it may, however it grows', async () => {
    const chain = async (length: number) => {
      const made: Node[] = []
      for (let n = 0; n < length; n += 1) made.push(await newNode(hierarchy, newId(), { parentId: made.at(-1)?.id ?? null }))
      return made
    }
    const [tall, short] = [await chain(7), await chain(6)]
    await expectRefusal(adopt(present(tall[6]).id, [{ id: present(short[0]).id }]), 'node_too_deep')
    await adopt(present(tall[5]).id, [{ id: present(short[0]).id }])
    const deepest = await find(present(short[5]))
    expect(deepest.path).toHaveLength(11)
    const { tenantId, id } = hierarchy
    const node = { ...deepest, id: newId() as NodeId, parentId: deepest.id }
    const { parent: _, path: __, createdAt: ___, updatedAt: ____, hierarchyId: _____, ...made } = node
    await expectRefusal(hierarchies().createNode(tenantId, id, made, { nodeDepthMax: 12 }), 'node_too_deep')
    await hierarchies().createNode(tenantId, id, made, { nodeDepthMax: 13 })
  })

  test('moves the nodes with what lies below them, and nothing else', async () => {
    const [from, to] = [await newNode(hierarchy, 'from'), await newNode(hierarchy, 'to')] as const
    const moved = await newNode(hierarchy, 'moved', { parentId: from.id, sortOrder: 3 })
    const below = await newNode(hierarchy, 'below', { parentId: moved.id })
    await adopt(to.id, [{ id: moved.id }])
    const now = await find(moved)
    expect(now).toEqual({
      ...moved,
      parent: { id: to.id, name: 'to' },
      path: [{ id: to.id, name: 'to', slug: null }],
      updatedAt: now.updatedAt,
    })
    expect((await find(below)).path.map(({ name }) => name)).toEqual(['to', 'moved'])
    expect((await find(below)).updatedAt).toEqual(below.updatedAt)
    expect(await find(from)).toEqual(from)
    expect(await find(to)).toEqual(to)
    expect(await namesBelow(hierarchy, from.id)).toEqual([])
  })

  test('moves to the root level as well', async () => {
    const root = await newNode(hierarchy, 'root')
    const node = await newNode(hierarchy, 'node', { parentId: root.id })
    await adopt(null, [{ id: node.id, sortOrder: 1 }])
    expect(await find(node)).toMatchObject({ parent: null, path: [], sortOrder: 1 })
    expect(await namesBelow(hierarchy, null)).toEqual(['node', 'root'])
  })

  test('gives a sort order where one is given, and leaves the others theirs', async () => {
    const parent = await newNode(hierarchy, 'parent')
    const a = await newNode(hierarchy, 'a', { sortOrder: 1 })
    const b = await newNode(hierarchy, 'b', { sortOrder: 2 })
    const c = await newNode(hierarchy, 'c')
    await adopt(parent.id, [{ id: a.id, sortOrder: 5 }, { id: b.id }, { id: c.id, sortOrder: 0 }])
    expect([(await find(a)).sortOrder, (await find(b)).sortOrder, (await find(c)).sortOrder]).toEqual([5, 2, 0])
    expect(await namesBelow(hierarchy, parent.id)).toEqual(['a', 'b', 'c'])
  })

  test('counts the children as updated, also those that stay where they are', async () => {
    const parent = await newNode(hierarchy, 'parent')
    const first = await newNode(hierarchy, 'first', { parentId: parent.id })
    await newNode(hierarchy, 'second', { parentId: parent.id })
    await eventually(async () => {
      await adopt(parent.id, [{ id: first.id }])
      expect(await namesBelow(hierarchy, parent.id)).toEqual(['first', 'second'])
    })
    expect((await find(first)).updatedAt.getTime()).toBeGreaterThan(first.updatedAt.getTime())
  })

  test('takes a child that is named twice as one, by its last words', async () => {
    const [parent, child] = [await newNode(hierarchy, 'parent'), await newNode(hierarchy, 'child')] as const
    await adopt(parent.id, [
      { id: child.id, sortOrder: 1 },
      { id: child.id, sortOrder: 2 },
    ])
    expect(await find(child)).toMatchObject({ sortOrder: 2, parent: { id: parent.id } })
  })

  test('of nobody changes nothing', async () => {
    const parent = await newNode(hierarchy, 'parent')
    await adopt(parent.id, [])
    expect(await find(parent)).toEqual(parent)
  })

  test('refuses a parent that the hierarchy does not have', async () => {
    const child = await newNode(hierarchy, 'child')
    const strange = await newNode(await newHierarchy(), 'strange')
    for (const id of [strange.id, newId() as NodeId, 'none' as NodeId]) {
      await expectRefusal(adopt(id, [{ id: child.id }]), 'node_unknown')
    }
    expect(await find(child)).toEqual(child)
  })

  test('refuses children that the hierarchy does not have, and names them', async () => {
    const [parent, child] = [await newNode(hierarchy, 'parent'), await newNode(hierarchy, 'child')] as const
    const strange = await newNode(await newHierarchy(), 'strange')
    const missingIds = [strange.id, newId() as NodeId, 'none' as NodeId]
    const children = [child.id, ...missingIds].map((id) => ({ id }))
    await expectRefusal(adopt(parent.id, children), 'nodes_missing', { missingIds })
    expect(await find(child)).toEqual(child)
  })

  test('refuses what would lie below itself', async () => {
    const root = await newNode(hierarchy, 'root')
    const middle = await newNode(hierarchy, 'middle', { parentId: root.id })
    const leaf = await newNode(hierarchy, 'leaf', { parentId: middle.id })
    const other = await newNode(hierarchy, 'other')
    for (const [parent, child] of [
      [root, root],
      [leaf, middle],
      [leaf, root],
      [middle, root],
    ] as const) {
      await expectRefusal(adopt(parent.id, [{ id: other.id }, { id: child.id }]), 'node_cyclic')
    }
    expect((await all()).items).toEqual([root, middle, leaf, other])
  })

  test('refuses names and slugs that the parent has, or that come twice', async () => {
    const parent = await newNode(hierarchy, 'parent')
    await newNode(hierarchy, 'a', { parentId: parent.id, slug: 's' })
    const other = await newNode(hierarchy, 'other')
    const [a, s] = [await newNode(hierarchy, 'a'), await newNode(hierarchy, 'b', { slug: 's' })] as const
    const twins = [
      await newNode(hierarchy, 'twin', { slug: 'x' }),
      await newNode(hierarchy, 'twin', { parentId: other.id, slug: 'y' }),
      await newNode(hierarchy, 'z', { parentId: other.id, slug: 'x' }),
    ] as const
    const before = await all()
    await expectRefusal(adopt(parent.id, [{ id: twins[0].id }, { id: a.id }]), 'node_name_taken')
    await expectRefusal(adopt(parent.id, [{ id: twins[0].id }, { id: s.id }]), 'node_slug_taken')
    await expectRefusal(adopt(parent.id, [{ id: twins[0].id }, { id: twins[1].id }]), 'node_name_taken')
    await expectRefusal(adopt(parent.id, [{ id: twins[0].id }, { id: twins[2].id }]), 'node_slug_taken')
    expect(await all()).toEqual(before)
  })

  test('does not hold the children against themselves', async () => {
    const parent = await newNode(hierarchy, 'parent')
    const [a, b] = [
      await newNode(hierarchy, 'a', { parentId: parent.id, slug: 'a' }),
      await newNode(hierarchy, 'b', { slug: 'b' }),
    ] as const
    await adopt(parent.id, [{ id: a.id }, { id: b.id }])
    expect((await namesBelow(hierarchy, parent.id)).toSorted()).toEqual(['a', 'b'])
  })

  /** Who was refused, and why; null for who was not. */
  const outcomes = (acts: readonly Promise<unknown>[]) =>
    Promise.all(
      acts.map((act) =>
        act.then(
          () => null,
          (error: unknown) => (SluiceError.is(error) ? error.code : error),
        ),
      ),
    )

  test('never makes a circle, whatever many want at once', async () => {
    const made: Node[] = []
    for (const n of range(6)) made.push(await newNode(hierarchy, `n${n}`))
    const wishes = made.flatMap((parent) => made.map((child) => adopt(parent.id, [{ id: child.id }])))
    const codes = new Set(await outcomes(wishes))
    expect([...codes].every((code) => code === null || code === 'node_cyclic')).toBe(true)
    const { items, total } = await all()
    expect(total).toBe(6)
    // Each way down begins at the root level: nobody hangs in the air.
    const roots = new Set(items.filter(({ parent }) => parent === null).map(({ id }) => id))
    expect(items.every(({ id, path }) => roots.has(path[0]?.id ?? id) && !path.some((above) => above.id === id))).toBe(true)
  })

  test('of two that each want the other, one gets it', async () => {
    const [a, b] = [await newNode(hierarchy, 'a'), await newNode(hierarchy, 'b')] as const
    const codes = await outcomes([adopt(a.id, [{ id: b.id }]), adopt(b.id, [{ id: a.id }])])
    expect(codes.toSorted((one) => (one === null ? -1 : 1))).toEqual([null, 'node_cyclic'])
  })

  test('of many nodes of one name that come at once, one gets in', async () => {
    const parent = await newNode(hierarchy, 'parent')
    const codes = await outcomes(range(10).map(() => newNode(hierarchy, 'same', { parentId: parent.id })))
    expect(codes.filter((code) => code === null)).toHaveLength(1)
    expect(new Set(codes)).toEqual(new Set([null, 'node_name_taken']))
  })
}
