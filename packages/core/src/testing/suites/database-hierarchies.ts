import { describe, expect, test } from 'vitest'
import type { HierarchyFields } from '../../hierarchy.ts'
import type { HierarchyId, NodeId, ProductId } from '../../ids.ts'
import { DEFAULT_LIMITS } from '../../limits.ts'
import { newId } from '../builders.ts'
import { eventually, expectRefusal, type Subject } from './catalogue.ts'
import { ALL, hierarchyWords } from './hierarchies.ts'

const FIELDS: HierarchyFields = {
  name: 'Furniture',
  slug: 'furniture',
  description: 'All of it',
  locales: { 'fr-FR': { name: 'Meubles', description: 'Tous' }, 'de-DE': { name: 'Möbel' } },
  owner: 'organization',
}

export function hierarchyTests({ catalogue, openOwn }: Subject): void {
  const { hierarchies, newHierarchy, newNode, namesBelow } = hierarchyWords(catalogue)

  describe('hierarchies', () => {
    test('are what they were made, also when they are made again', async () => {
      const { home } = catalogue()
      const made = { id: newId() as HierarchyId, tenantId: home, ...FIELDS }
      const hierarchy = await hierarchies().create(made)
      expect(hierarchy).toEqual({ ...made, createdAt: expect.any(Date), updatedAt: expect.any(Date) })
      expect(await hierarchies().create({ ...made, name: 'x' })).toEqual(hierarchy)
      expect(await hierarchies().find(home, made.id)).toEqual(hierarchy)
    })

    test('change in what is named', async () => {
      const { home } = catalogue()
      const made = { ...FIELDS, id: newId() as HierarchyId, tenantId: home, owner: 'store' } as const
      const hierarchy = await hierarchies().create(made)
      const change = { name: 'Chairs', slug: null, locales: {} }
      const changed = await hierarchies().update(home, made.id, change)
      expect(changed).toEqual({ ...hierarchy, ...change, updatedAt: changed.updatedAt })
      expect(changed.updatedAt.getTime()).toBeGreaterThanOrEqual(hierarchy.updatedAt.getTime())
      expect(await hierarchies().update(home, made.id, {})).toMatchObject(change)
    })

    test('are listed newest first, by pages', async () => {
      await using own = await openOwn()
      const words = hierarchyWords(() => own)
      const made = [await words.newHierarchy(), await words.newHierarchy(), await words.newHierarchy()].toReversed()
      const list = (offset: number, limit: number) => own.database.hierarchies.list(own.home, { offset, limit })
      expect(await list(0, 10)).toEqual({ items: made, total: 3 })
      expect(await list(1, 1)).toEqual({ items: made.slice(1, 2), total: 3 })
      expect(await list(3, 1)).toEqual({ items: [], total: 3 })
      expect(await own.database.hierarchies.list(own.stranger, ALL)).toEqual({ items: [], total: 0 })
    })

    test('go with all their nodes', async () => {
      const hierarchy = await newHierarchy()
      const root = await newNode(hierarchy, 'root')
      const below = await newNode(hierarchy, 'below', { parentId: root.id })
      await hierarchies().remove(hierarchy.tenantId, hierarchy.id)
      expect(await hierarchies().find(hierarchy.tenantId, hierarchy.id)).toBeNull()
      expect(await hierarchies().findNode(hierarchy.tenantId, hierarchy.id, below.id)).toBeNull()
      await expectRefusal(hierarchies().remove(hierarchy.tenantId, hierarchy.id), 'hierarchy_unknown')
    })

    test("that are not there, or are another tenant's, are unknown", async () => {
      const theirs = await newHierarchy()
      const node = await newNode(theirs, 'node')
      const strange = [
        [catalogue().home, newId() as HierarchyId],
        [catalogue().home, 'none' as HierarchyId],
        [catalogue().stranger, theirs.id],
      ] as const
      for (const [tenantId, id] of strange) {
        expect(await hierarchies().find(tenantId, id)).toBeNull()
        expect(await hierarchies().findNode(tenantId, id, node.id)).toBeNull()
        await expectRefusal(hierarchies().update(tenantId, id, { name: 'x' }), 'hierarchy_unknown')
        await expectRefusal(hierarchies().remove(tenantId, id), 'hierarchy_unknown')
        await expectRefusal(hierarchies().listNodes(tenantId, id, null, ALL), 'hierarchy_unknown')
        await expectRefusal(hierarchies().listNodes(tenantId, id, node.id, ALL), 'hierarchy_unknown')
        await expectRefusal(hierarchies().updateNode(tenantId, id, node.id, { name: 'x' }), 'hierarchy_unknown')
        await expectRefusal(hierarchies().removeNode(tenantId, id, node.id), 'hierarchy_unknown')
        await expectRefusal(hierarchies().adopt(tenantId, id, null, [{ id: node.id }], DEFAULT_LIMITS), 'hierarchy_unknown')
        const made = { ...node, id: newId() as NodeId, parentId: null }
        await expectRefusal(hierarchies().createNode(tenantId, id, made, DEFAULT_LIMITS), 'hierarchy_unknown')
      }
      expect(await hierarchies().findNode(theirs.tenantId, theirs.id, node.id)).toEqual(node)
    })
  })

  describe('nodes', () => {
    test('are what they were made, also when they are made again', async () => {
      const { id, tenantId } = await newHierarchy()
      const made = { ...FIELDS, id: newId() as NodeId, curatedProducts: [newId() as ProductId], sortOrder: -3 }
      const node = await hierarchies().createNode(tenantId, id, { ...made, parentId: null }, DEFAULT_LIMITS)
      const times = { createdAt: expect.any(Date), updatedAt: expect.any(Date) }
      expect(node).toEqual({ ...made, hierarchyId: id, parent: null, path: [], ...times })
      expect(await hierarchies().createNode(tenantId, id, { ...made, name: 'x', parentId: null }, DEFAULT_LIMITS)).toEqual(node)
      expect(await hierarchies().findNode(tenantId, id, node.id)).toEqual(node)
    })

    test('tell their parent and the way down to it', async () => {
      const hierarchy = await newHierarchy()
      const root = await newNode(hierarchy, 'root', { slug: 'r' })
      const middle = await newNode(hierarchy, 'middle', { parentId: root.id })
      const leaf = await newNode(hierarchy, 'leaf', { parentId: middle.id })
      const path = [
        { id: root.id, name: 'root', slug: 'r' },
        { id: middle.id, name: 'middle', slug: null },
      ]
      expect(leaf).toMatchObject({ parent: { id: middle.id, name: 'middle' }, path })
      const { items } = await hierarchies().listNodes(hierarchy.tenantId, hierarchy.id, middle.id, ALL)
      expect(items).toEqual([leaf])
    })

    test('change in what is named', async () => {
      const hierarchy = await newHierarchy()
      const root = await newNode(hierarchy, 'root')
      const node = await newNode(hierarchy, 'node', { parentId: root.id, slug: 'n' })
      const change = { description: 'new', curatedProducts: [newId() as ProductId], sortOrder: 7, name: 'node', slug: 'n' }
      const changed = await hierarchies().updateNode(hierarchy.tenantId, hierarchy.id, node.id, change)
      expect(changed).toEqual({ ...node, ...change, updatedAt: changed.updatedAt })
      const cleared = { sortOrder: null, slug: null }
      expect(await hierarchies().updateNode(hierarchy.tenantId, hierarchy.id, node.id, cleared)).toMatchObject(cleared)
      expect(await hierarchies().findNode(hierarchy.tenantId, hierarchy.id, root.id)).toEqual(root)
    })

    test('have names and slugs of their own among their siblings, and only there', async () => {
      const hierarchy = await newHierarchy()
      const root = await newNode(hierarchy, 'root', { slug: 'root' })
      const node = await newNode(hierarchy, 'a', { parentId: root.id, slug: 's' })
      await expectRefusal(newNode(hierarchy, 'a', { parentId: root.id }), 'node_name_taken')
      await expectRefusal(newNode(hierarchy, 'b', { parentId: root.id, slug: 's' }), 'node_slug_taken')
      await expectRefusal(newNode(hierarchy, 'root'), 'node_name_taken')
      const other = await newNode(hierarchy, 'b', { parentId: root.id })
      await newNode(hierarchy, 'c', { parentId: root.id })
      const update = (change: object) => hierarchies().updateNode(hierarchy.tenantId, hierarchy.id, other.id, change)
      await expectRefusal(update({ name: 'a' }), 'node_name_taken')
      await expectRefusal(update({ slug: 's' }), 'node_slug_taken')
      expect(await namesBelow(hierarchy, root.id)).toEqual(['c', 'b', 'a'])
      await newNode(hierarchy, 'a', { parentId: node.id, slug: 's' })
      await newNode(await newHierarchy(), 'root', { slug: 'root' })
    })

    test('go with all that lies below them', async () => {
      const hierarchy = await newHierarchy()
      const root = await newNode(hierarchy, 'root')
      const branch = await newNode(hierarchy, 'branch', { parentId: root.id })
      const leaf = await newNode(hierarchy, 'leaf', { parentId: branch.id })
      const other = await newNode(hierarchy, 'other', { parentId: root.id })
      await hierarchies().removeNode(hierarchy.tenantId, hierarchy.id, branch.id)
      const { items } = await hierarchies().listNodes(hierarchy.tenantId, hierarchy.id, 'all', ALL)
      expect(items.map(({ id }) => id)).toEqual([root.id, other.id])
      await expectRefusal(hierarchies().removeNode(hierarchy.tenantId, hierarchy.id, leaf.id), 'node_unknown')
    })

    test('of another hierarchy are unknown', async () => {
      const [hierarchy, other] = [await newHierarchy(), await newHierarchy()] as const
      const { tenantId, id } = hierarchy
      for (const nodeId of [(await newNode(other, 'strange')).id, newId() as NodeId, 'none' as NodeId]) {
        expect(await hierarchies().findNode(tenantId, id, nodeId)).toBeNull()
        await expectRefusal(hierarchies().updateNode(tenantId, id, nodeId, { name: 'x' }), 'node_unknown')
        await expectRefusal(hierarchies().removeNode(tenantId, id, nodeId), 'node_unknown')
        await expectRefusal(hierarchies().listNodes(tenantId, id, nodeId, ALL), 'node_unknown')
        await expectRefusal(newNode(hierarchy, 'x', { parentId: nodeId }), 'node_unknown')
      }
    })

    test('stand by their order, those without one behind, and then what changed last', async () => {
      const hierarchy = await newHierarchy()
      const plain = await newNode(hierarchy, 'plain')
      await newNode(hierarchy, 'low', { sortOrder: -1 })
      await newNode(hierarchy, 'high', { sortOrder: 10 })
      await newNode(hierarchy, 'newer')
      await newNode(hierarchy, 'also high', { sortOrder: 10 })
      expect(await namesBelow(hierarchy, null)).toEqual(['also high', 'high', 'low', 'newer', 'plain'])
      await eventually(async () => {
        await hierarchies().updateNode(hierarchy.tenantId, hierarchy.id, plain.id, { description: 'x' })
        expect(await namesBelow(hierarchy, null)).toEqual(['also high', 'high', 'low', 'plain', 'newer'])
      })
    })

    test('are listed by pages, one level or all of them', async () => {
      const hierarchy = await newHierarchy()
      const { tenantId, id } = hierarchy
      const b = await newNode(hierarchy, 'b', { sortOrder: 1 })
      const below = await newNode(hierarchy, 'below', { parentId: b.id })
      const a = await newNode(hierarchy, 'a', { sortOrder: 2 })
      const list = (parent: NodeId | null | 'all', offset: number, limit: number) =>
        hierarchies().listNodes(tenantId, id, parent, { offset, limit })
      expect(await list(null, 0, 10)).toEqual({ items: [a, b], total: 2 })
      expect(await list(null, 1, 1)).toEqual({ items: [b], total: 2 })
      expect(await list(null, 2, 1)).toEqual({ items: [], total: 2 })
      expect(await list('all', 0, 10)).toEqual({ items: [b, below, a], total: 3 })
      expect(await list(b.id, 0, 10)).toEqual({ items: [below], total: 1 })
      expect(await list(below.id, 0, 10)).toEqual({ items: [], total: 0 })
    })

    test('may lie deep, and go at once', async () => {
      const hierarchy = await newHierarchy()
      const root = await newNode(hierarchy, 'root')
      let deepest = root
      for (let depth = 1; depth <= 60; depth++) deepest = await newNode(hierarchy, 'n', { parentId: deepest.id })
      expect(deepest.path).toHaveLength(60)
      expect(deepest.path[0]?.id).toBe(root.id)
      await hierarchies().removeNode(hierarchy.tenantId, hierarchy.id, root.id)
      expect((await hierarchies().listNodes(hierarchy.tenantId, hierarchy.id, 'all', ALL)).total).toBe(0)
    })
  })
}
