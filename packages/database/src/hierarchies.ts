import {
  type Hierarchies,
  type Hierarchy,
  type HierarchyId,
  isUuid,
  type NodeId,
  type Owner,
  refuseDeep,
  refuseOwned,
  SluiceError,
  type TenantId,
} from '@sluice/core'
import { adopt } from './adopt.ts'
import type { Db } from './connection.ts'
import { and, desc, eq, type InferSelectModel, sql } from './drizzle.ts'
import { clearNames, findNode, hasNode, listNodes } from './nodes.ts'
import { refuseMove } from './organization.ts'
import { pageOf } from './page.ts'
import { hierarchies, nodes } from './schema.ts'
import type { Runner } from './transaction.ts'

export function openHierarchies({ query, transaction }: Runner): Hierarchies {
  async function find(tenantId: TenantId, id: HierarchyId): Promise<Hierarchy | null> {
    if (!isUuid(id)) return null
    const [row] = await query((db) => db.select().from(hierarchies).where(isIt(tenantId, id)))
    return row ? hierarchyOf(row) : null
  }

  /** Work on one hierarchy or its nodes, while nobody else works on them: two moves at once could make a circle. */
  function change<T>(tenantId: TenantId, id: HierarchyId, work: (db: Db, owner: Owner) => Promise<T>): Promise<T> {
    return transaction(async (db) => {
      if (!isUuid(id)) throw new SluiceError('hierarchy_unknown')
      const [row] = await db.select({ owner: hierarchies.owner }).from(hierarchies).where(isIt(tenantId, id)).for('update')
      if (!row) throw new SluiceError('hierarchy_unknown')
      return work(db, row.owner)
    })
  }

  function changeNodes<T>(tenantId: TenantId, id: HierarchyId, work: (db: Db) => Promise<T>): Promise<T> {
    return change(tenantId, id, async (db, owner) => {
      refuseOwned(owner)
      return work(db)
    })
  }

  return {
    find,
    async create(hierarchy) {
      const [row] = await query((db) => db.insert(hierarchies).values(hierarchy).onConflictDoNothing().returning())
      const made = row ? hierarchyOf(row) : await find(hierarchy.tenantId, hierarchy.id)
      if (!made) throw new SluiceError('request_invalid', 'The id of the hierarchy is taken.')
      return made
    },
    async list(tenantId, page) {
      const own = eq(hierarchies.tenantId, tenantId)
      const { items, total } = await query((db) => pageOf(db, hierarchies, own, desc(hierarchies.number), page))
      return { items: items.map(hierarchyOf), total }
    },
    update: (tenantId, id, fields) =>
      change(tenantId, id, async (db, owner) => {
        if (fields.owner !== 'store') refuseOwned(owner)
        const set = { ...fields, updatedAt: sql`clock_timestamp()` }
        const [row] = await db.update(hierarchies).set(set).where(isIt(tenantId, id)).returning()
        if (!row) throw new SluiceError('hierarchy_unknown')
        return hierarchyOf(row)
      }),
    remove: (tenantId, id) =>
      changeNodes(tenantId, id, async (db) => {
        // All at once: the foreign keys would go down a deep tree one level within the other.
        const removed = await db.delete(nodes).where(eq(nodes.hierarchyId, id)).returning({ owner: nodes.owner })
        for (const { owner } of removed) refuseOwned(owner)
        await db.delete(hierarchies).where(isIt(tenantId, id))
      }),

    createNode: (tenantId, hierarchyId, node, limits) =>
      changeNodes(tenantId, hierarchyId, async (db) => {
        const known = await findNode(db, tenantId, hierarchyId, node.id)
        if (known) return known
        const { parentId } = node
        if (parentId !== null) {
          const parent = existing(await findNode(db, tenantId, hierarchyId, parentId))
          refuseOwned(parent.owner)
          refuseDeep(parent.path.length + 2, limits)
        }
        await clearNames(db, hierarchyId, parentId, [node], [])
        await db.insert(nodes).values({ tenantId, hierarchyId, ...node })
        return existing(await findNode(db, tenantId, hierarchyId, node.id))
      }),
    findNode: (tenantId, hierarchyId, nodeId) => query((db) => findNode(db, tenantId, hierarchyId, nodeId)),
    updateNode: (tenantId, hierarchyId, nodeId, fields) =>
      changeNodes(tenantId, hierarchyId, async (db) => {
        const { name, slug, parent, owner } = existing(await findNode(db, tenantId, hierarchyId, nodeId))
        if (fields.owner !== 'store') refuseOwned(owner)
        await clearNames(db, hierarchyId, parent?.id ?? null, [{ name, slug, ...fields }], [nodeId])
        const set = { ...fields, updatedAt: sql`clock_timestamp()` }
        await db
          .update(nodes)
          .set(set)
          .where(and(eq(nodes.hierarchyId, hierarchyId), eq(nodes.id, nodeId)))
        return existing(await findNode(db, tenantId, hierarchyId, nodeId))
      }),
    removeNode: (tenantId, hierarchyId, nodeId) =>
      changeNodes(tenantId, hierarchyId, async (db) => {
        if (!(await hasNode(db, hierarchyId, nodeId))) throw new SluiceError('node_unknown')
        await refuseMove(db, hierarchyId, [nodeId], null)
        await removeTree(db, hierarchyId, nodeId)
      }),
    listNodes: (tenantId, hierarchyId, parent, page) => query((db) => listNodes(db, tenantId, hierarchyId, parent, page)),
    adopt: (tenantId, hierarchyId, parent, children, limits) =>
      changeNodes(tenantId, hierarchyId, (db) => adopt(db, hierarchyId, parent, children, limits)),
  }
}

function isIt(tenantId: TenantId, id: HierarchyId) {
  return and(eq(hierarchies.tenantId, tenantId), eq(hierarchies.id, id))
}

function existing<T>(found: T | null): T {
  if (found === null) throw new SluiceError('node_unknown')
  return found
}

async function removeTree(db: Db, hierarchyId: HierarchyId, nodeId: NodeId): Promise<void> {
  const removed = await db.execute<{ owner: Owner }>(sql`
    with recursive below as (
      select id from nodes where hierarchy_id = ${hierarchyId} and id = ${nodeId}
      union select nodes.id from below join nodes on nodes.hierarchy_id = ${hierarchyId} and nodes.parent_id = below.id
    ) delete from nodes where id in (select id from below) returning owner`)
  for (const { owner } of removed) refuseOwned(owner)
}

function hierarchyOf(found: InferSelectModel<typeof hierarchies>): Hierarchy {
  const { number: _, ...row } = found
  return { ...row, id: row.id as HierarchyId, tenantId: row.tenantId as TenantId }
}
