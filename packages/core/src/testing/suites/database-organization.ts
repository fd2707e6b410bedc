import { expect, test } from 'vitest'
import type { HierarchyId, NodeId } from '../../ids.ts'
import { newId } from '../builders.ts'
import { expectRefusal, type Subject } from './catalogue.ts'
import { ALL, hierarchyWords } from './hierarchies.ts'

/** Hierarchies and nodes that the organization keeps to itself. */
export function organizationTests({ catalogue }: Subject): void {
  const { hierarchies, newHierarchy, newNode } = hierarchyWords(catalogue)

  test("nothing changes in a hierarchy that is the organization's, until it is given to the store", async () => {
    const hierarchy = await newHierarchy()
    const { tenantId, id } = hierarchy
    const root = await newNode(hierarchy, 'root')
    const below = await newNode(hierarchy, 'below', { parentId: root.id })
    await hierarchies().update(tenantId, id, { owner: 'organization' })
    const everything = async () => [
      await hierarchies().find(tenantId, id),
      await hierarchies().listNodes(tenantId, id, 'all', ALL),
    ]
    const before = await everything()

    const refused = [
      () => hierarchies().update(tenantId, id, { name: 'x' }),
      () => hierarchies().update(tenantId, id, { owner: 'organization', name: 'x' }),
      () => hierarchies().remove(tenantId, id),
      () => newNode(hierarchy, 'x'),
      () => newNode(hierarchy, 'x', { parentId: root.id }),
      () => hierarchies().updateNode(tenantId, id, root.id, { name: 'x' }),
      () => hierarchies().removeNode(tenantId, id, below.id),
      () => hierarchies().adopt(tenantId, id, null, [{ id: below.id }]),
    ]
    for (const change of refused) await expectRefusal(change(), 'owned_by_organization')
    expect(await everything()).toEqual(before)

    expect(await hierarchies().update(tenantId, id, { owner: 'store' })).toMatchObject({ owner: 'store' })
    await hierarchies().removeNode(tenantId, id, root.id)
  })

  test("a node that is the organization's is not changed, moved or removed, and neither gains nor loses children", async () => {
    const hierarchy = await newHierarchy()
    const { tenantId, id } = hierarchy
    const top = await newNode(hierarchy, 'top')
    const owned = await newNode(hierarchy, 'owned', { parentId: top.id })
    const below = await newNode(hierarchy, 'below', { parentId: owned.id })
    const free = await newNode(hierarchy, 'free')
    await hierarchies().updateNode(tenantId, id, owned.id, { owner: 'organization' })
    const everything = async () => await hierarchies().listNodes(tenantId, id, 'all', ALL)
    const before = await everything()

    const refused = [
      () => hierarchies().updateNode(tenantId, id, owned.id, { sortOrder: 1 }),
      () => hierarchies().adopt(tenantId, id, null, [{ id: free.id, sortOrder: 1 }, { id: owned.id }]),
      () => hierarchies().adopt(tenantId, id, owned.id, [{ id: free.id }]),
      () => hierarchies().adopt(tenantId, id, free.id, [{ id: below.id }]),
      () => newNode(hierarchy, 'x', { parentId: owned.id }),
      () => hierarchies().removeNode(tenantId, id, owned.id),
      () => hierarchies().removeNode(tenantId, id, below.id),
      () => hierarchies().removeNode(tenantId, id, top.id),
      () => hierarchies().remove(tenantId, id),
    ]
    for (const change of refused) await expectRefusal(change(), 'owned_by_organization')
    expect(await everything()).toEqual(before)

    // What stands above it or below it is the store's, and may change.
    await hierarchies().adopt(tenantId, id, free.id, [{ id: top.id }])
    await hierarchies().updateNode(tenantId, id, below.id, { name: 'still below' })
    await hierarchies().updateNode(tenantId, id, owned.id, { owner: 'store', name: 'given' })
    await hierarchies().removeNode(tenantId, id, free.id)
    expect(await everything()).toEqual({ items: [], total: 0 })
  })

  test('what is not there is unknown before anybody asks whose it is', async () => {
    const hierarchy = await newHierarchy()
    const { tenantId, id } = hierarchy
    const owned = await newNode(hierarchy, 'owned', { owner: 'organization' })
    const absent = newId() as NodeId
    await expectRefusal(hierarchies().update(tenantId, newId() as HierarchyId, { owner: 'store' }), 'hierarchy_unknown')
    await expectRefusal(hierarchies().updateNode(tenantId, id, absent, { owner: 'store' }), 'node_unknown')
    await expectRefusal(hierarchies().adopt(tenantId, id, absent, [{ id: owned.id }]), 'node_unknown')
    await expectRefusal(hierarchies().adopt(tenantId, id, owned.id, [{ id: absent }]), 'nodes_missing')
  })
}
