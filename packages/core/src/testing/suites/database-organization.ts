import { expect, test } from 'vitest'
import type { HierarchyId, ImageId, NodeId } from '../../ids.ts'
import { DEFAULT_LIMITS } from '../../limits.ts'
import { newId } from '../builders.ts'
import { expectRefusal, range, refOf, type Subject } from './catalogue.ts'
import { ALL, hierarchyWords } from './hierarchies.ts'

/** Products, hierarchies and nodes that the organization keeps to itself. */
export function organizationTests(subject: Subject): void {
  productTests(subject)
  hierarchyTests(subject)
}

function productTests({ catalogue }: Subject): void {
  const [products, images] = [() => catalogue().database.products, () => catalogue().database.images]

  test("nothing changes in a product that is the organization's, until it is given to the store", async () => {
    const product = await catalogue().newProduct()
    const { tenantId } = product
    const ref = refOf(product)
    const ids = [await catalogue().attach(product, { slot: 'front' }), await catalogue().attach(product)] as const
    const [first, second] = ids
    const attaching = await catalogue().acceptFor(product)
    const filling = await catalogue().acceptFor(product, { slot: 'front' })
    const replacing = await catalogue().accept({
      target: { kind: 'replace', productId: product.id, imageId: first, change: { label: 'x' } },
    })
    await products().update(tenantId, ref, { owner: 'organization' })
    const everything = async () => [await products().find(tenantId, ref), await catalogue().imagesOf(product)]
    const before = await everything()

    const refused = [
      () => products().update(tenantId, ref, { title: 'x' }),
      () => products().update(tenantId, ref, { owner: 'organization', status: 'draft' }),
      () => images().edit(tenantId, ref, first, { label: 'x' }, null),
      () => images().edit(tenantId, ref, second, { store: 1, roles: ['thumbnail'] }, null),
      () => images().remove(tenantId, ref, first, 'promote', null),
      () => images().reorder(tenantId, ref, [second, first], null),
      () => images().keepOnly(tenantId, ref, [second], null),
      () => images().setMain(tenantId, ref, second, null),
      () => images().setMain(tenantId, ref, null, null),
      () => catalogue().commit(attaching),
      () => catalogue().commit(filling),
      () => catalogue().commit(replacing),
    ]
    for (const change of refused) await expectRefusal(change(), 'owned_by_organization')
    // Whose it is matters more than what was expected of it, or which image was meant.
    await expectRefusal(images().edit(tenantId, ref, newId() as ImageId, {}, 99), 'owned_by_organization')
    expect(await everything()).toEqual(before)

    expect(await products().update(tenantId, ref, { owner: 'store', title: 'given' })).toMatchObject({ title: 'given' })
    for (const ingest of [attaching, filling, replacing]) expect(await catalogue().commit(ingest)).toBe('committed')
    const order = (await catalogue().imagesOf(product)).images.map(({ id }) => id).toReversed()
    await images().reorder(tenantId, ref, order, null)
    expect((await catalogue().imagesOf(product)).images.map(({ id }) => id)).toEqual(order)
  })

  test('a product is either changed or given to the organization first, never half of each', async () => {
    const product = await catalogue().newProduct()
    const { tenantId } = product
    const attachings = await Promise.all(range(8).map(() => catalogue().acceptFor(product)))
    const attached = Promise.allSettled(attachings.map((ingest) => catalogue().commit(ingest)))
    await products().update(tenantId, refOf(product), { owner: 'organization' })
    const seen = (await catalogue().imagesOf(product)).images.length
    const count = (await attached).filter(({ status }) => status === 'fulfilled').length
    expect([seen, (await catalogue().imagesOf(product)).images.length]).toEqual([count, count])
  })
}

function hierarchyTests({ catalogue }: Subject): void {
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
      () => hierarchies().adopt(tenantId, id, null, [{ id: below.id }], DEFAULT_LIMITS),
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
      () => hierarchies().adopt(tenantId, id, null, [{ id: free.id, sortOrder: 1 }, { id: owned.id }], DEFAULT_LIMITS),
      () => hierarchies().adopt(tenantId, id, owned.id, [{ id: free.id }], DEFAULT_LIMITS),
      () => hierarchies().adopt(tenantId, id, free.id, [{ id: below.id }], DEFAULT_LIMITS),
      () => newNode(hierarchy, 'x', { parentId: owned.id }),
      () => hierarchies().removeNode(tenantId, id, owned.id),
      () => hierarchies().removeNode(tenantId, id, below.id),
      () => hierarchies().removeNode(tenantId, id, top.id),
      () => hierarchies().remove(tenantId, id),
    ]
    for (const change of refused) await expectRefusal(change(), 'owned_by_organization')
    expect(await everything()).toEqual(before)

    // What stands above it or below it is the store's, and may change.
    await hierarchies().adopt(tenantId, id, free.id, [{ id: top.id }], DEFAULT_LIMITS)
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
    await expectRefusal(hierarchies().adopt(tenantId, id, absent, [{ id: owned.id }], DEFAULT_LIMITS), 'node_unknown')
    await expectRefusal(hierarchies().adopt(tenantId, id, owned.id, [{ id: absent }], DEFAULT_LIMITS), 'nodes_missing')
    expect(await hierarchies().findNode(tenantId, id, owned.id)).toMatchObject({ owner: 'organization', parent: null })
  })
}
