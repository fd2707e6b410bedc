import { SluiceError } from '../../errors.ts'
import { type Hierarchy, type Node, refuseDeep } from '../../hierarchy.ts'
import type { HierarchyId, NodeId, TenantId } from '../../ids.ts'
import type { Hierarchies, OffsetPage } from '../../ports.ts'
import { refuseOwned } from '../../product-image.ts'
import type { Tables } from './tables.ts'

interface HierarchyRow {
  readonly hierarchy: Hierarchy
  readonly number: number
}

/** A node without what others say of it. */
interface NodeRow extends Omit<Node, 'parent' | 'path'> {
  readonly number: number
  readonly parentId: NodeId | null
}

export function memoryHierarchies({ now, nextNumber }: Tables): Hierarchies {
  const hierarchies = new Map<HierarchyId, HierarchyRow>()
  const nodes = new Map<NodeId, NodeRow>()

  function known(tenantId: TenantId, id: HierarchyId): HierarchyRow {
    const row = hierarchies.get(id)
    if (row?.hierarchy.tenantId !== tenantId) throw new SluiceError('hierarchy_unknown')
    return row
  }

  function knownNode(hierarchyId: HierarchyId, id: NodeId): NodeRow {
    const row = nodes.get(id)
    if (row?.hierarchyId !== hierarchyId) throw new SluiceError('node_unknown')
    return row
  }

  /** The hierarchy, where its nodes may be changed. */
  function ofStore(tenantId: TenantId, id: HierarchyId): HierarchyRow {
    const row = known(tenantId, id)
    refuseOwned(row.hierarchy.owner)
    return row
  }

  /** The nodes that leave their place, and those that lose or gain them. */
  function refuseMove(moved: readonly NodeRow[], to: NodeId | null): void {
    const touched = [to, ...moved.flatMap(({ id, parentId }) => [id, parentId])]
    for (const id of touched) if (id !== null) refuseOwned(nodes.get(id)?.owner)
  }

  const childrenOf = (hierarchyId: HierarchyId, parentId: NodeId | null) =>
    [...nodes.values()].filter((node) => node.hierarchyId === hierarchyId && node.parentId === parentId)

  /** From the root down to the node itself. */
  function downTo(id: NodeId | null): readonly NodeRow[] {
    const row = id === null ? undefined : nodes.get(id)
    return row ? [...downTo(row.parentId), row] : []
  }

  function nodeOf(node: NodeRow): Node {
    const { number: _, parentId, ...row } = node
    const path = downTo(parentId).map(({ id, name, slug }) => ({ id, name, slug }))
    const above = path.at(-1)
    return { ...row, path, parent: above ? { id: above.id, name: above.name } : null }
  }

  function clearNames(
    hierarchyId: HierarchyId,
    parentId: NodeId | null,
    wanted: readonly Named[],
    except: readonly NodeId[],
  ): void {
    const staying = childrenOf(hierarchyId, parentId).filter(({ id }) => !except.includes(id))
    const beside = [...staying, ...wanted]
    if (repeats(beside.map(({ name }) => name))) throw new SluiceError('node_name_taken')
    if (repeats(beside.flatMap(({ slug }) => slug ?? []))) throw new SluiceError('node_slug_taken')
  }

  /** From the node itself down. */
  function treeOf(row: NodeRow): readonly NodeRow[] {
    return [row, ...childrenOf(row.hierarchyId, row.id).flatMap(treeOf)]
  }

  function heightOf(row: NodeRow): number {
    return 1 + Math.max(0, ...childrenOf(row.hierarchyId, row.id).map(heightOf))
  }

  function removeAll(rows: readonly NodeRow[]): void {
    for (const row of rows) refuseOwned(row.owner)
    for (const { id } of rows) nodes.delete(id)
  }

  return {
    async create(made) {
      const there = hierarchies.get(made.id)?.hierarchy
      if (there) return there
      const hierarchy = { ...made, createdAt: now(), updatedAt: now() }
      hierarchies.set(made.id, { hierarchy, number: nextNumber() })
      return hierarchy
    },
    async find(tenantId, id) {
      const found = hierarchies.get(id)?.hierarchy
      return found?.tenantId === tenantId ? found : null
    },
    async list(tenantId, page) {
      const own = [...hierarchies.values()].filter(({ hierarchy }) => hierarchy.tenantId === tenantId)
      return pageOf(
        own.sort((a, b) => b.number - a.number).map(({ hierarchy }) => hierarchy),
        page,
      )
    },
    async update(tenantId, id, change) {
      const row = change.owner === 'store' ? known(tenantId, id) : ofStore(tenantId, id)
      const hierarchy = { ...row.hierarchy, ...change, updatedAt: now() }
      hierarchies.set(id, { ...row, hierarchy })
      return hierarchy
    },
    async remove(tenantId, id) {
      ofStore(tenantId, id)
      removeAll([...nodes.values()].filter(({ hierarchyId }) => hierarchyId === id))
      hierarchies.delete(id)
    },

    async createNode(tenantId, hierarchyId, node, limits) {
      ofStore(tenantId, hierarchyId)
      const there = nodes.get(node.id)
      if (there?.hierarchyId === hierarchyId) return nodeOf(there)
      if (node.parentId !== null) refuseOwned(knownNode(hierarchyId, node.parentId).owner)
      refuseDeep(downTo(node.parentId).length + 1, limits)
      clearNames(hierarchyId, node.parentId, [node], [])
      const row = { ...node, hierarchyId, number: nextNumber(), createdAt: now(), updatedAt: now() }
      nodes.set(node.id, row)
      return nodeOf(row)
    },
    async findNode(tenantId, hierarchyId, id) {
      const row = nodes.get(id)
      const isIt = hierarchies.get(hierarchyId)?.hierarchy.tenantId === tenantId && row?.hierarchyId === hierarchyId
      return isIt ? nodeOf(row) : null
    },
    async updateNode(tenantId, hierarchyId, id, change) {
      ofStore(tenantId, hierarchyId)
      const before = knownNode(hierarchyId, id)
      if (change.owner !== 'store') refuseOwned(before.owner)
      const row = { ...before, ...change, updatedAt: now() }
      clearNames(hierarchyId, row.parentId, [row], [id])
      nodes.set(id, row)
      return nodeOf(row)
    },
    async removeNode(tenantId, hierarchyId, id) {
      ofStore(tenantId, hierarchyId)
      const row = knownNode(hierarchyId, id)
      refuseMove([row], null)
      removeAll(treeOf(row))
    },
    async listNodes(tenantId, hierarchyId, parent, page) {
      known(tenantId, hierarchyId)
      if (parent !== null && parent !== 'all') knownNode(hierarchyId, parent)
      const all = [...nodes.values()].filter((node) => node.hierarchyId === hierarchyId)
      const listed = parent === 'all' ? all.sort((a, b) => a.number - b.number) : childrenOf(hierarchyId, parent).sort(asSiblings)
      const { items, total } = pageOf(listed, page)
      return { items: items.map(nodeOf), total }
    },
    async adopt(tenantId, hierarchyId, parentId, children, limits) {
      ofStore(tenantId, hierarchyId)
      if (parentId !== null) knownNode(hierarchyId, parentId)
      const orders = new Map(children.map(({ id, sortOrder }) => [id, sortOrder]))
      const ids = [...orders.keys()]
      const missingIds = ids.filter((id) => nodes.get(id)?.hierarchyId !== hierarchyId)
      if (missingIds.length > 0) throw new SluiceError('nodes_missing', undefined, { details: { missingIds } })
      const moved = ids.map((id) => knownNode(hierarchyId, id))
      refuseMove(moved, parentId)
      if (downTo(parentId).some(({ id }) => orders.has(id))) throw new SluiceError('node_cyclic')
      refuseDeep(downTo(parentId).length + Math.max(0, ...moved.map(heightOf)), limits)
      clearNames(hierarchyId, parentId, moved, ids)
      for (const node of moved) {
        nodes.set(node.id, { ...node, parentId, sortOrder: orders.get(node.id) ?? node.sortOrder, updatedAt: now() })
      }
    },
  }
}

type Named = Pick<Node, 'name' | 'slug'>

function repeats(texts: readonly string[]): boolean {
  return new Set(texts).size < texts.length
}

function asSiblings(a: NodeRow, b: NodeRow): number {
  const byOrder = (b.sortOrder ?? -Infinity) - (a.sortOrder ?? -Infinity)
  return (a.sortOrder === b.sortOrder ? 0 : byOrder) || Number(b.updatedAt) - Number(a.updatedAt) || b.number - a.number
}

function pageOf<Item>(items: readonly Item[], { offset, limit }: OffsetPage) {
  return { items: items.slice(offset, offset + limit), total: items.length }
}
