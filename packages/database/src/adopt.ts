import { type ChildRef, type HierarchyId, isUuid, type Limits, type NodeId, refuseDeep, SluiceError } from '@sluice/core'
import type { Db } from './connection.ts'
import { sql } from './drizzle.ts'
import { clearNames, hasNode } from './nodes.ts'
import { refuseMove } from './organization.ts'
import { arrayLiteral } from './rows.ts'

/** Brings nodes below another parent. Whoever calls this holds the row of the hierarchy. */
export async function adopt(
  db: Db,
  hierarchyId: HierarchyId,
  parent: NodeId | null,
  children: readonly ChildRef[],
  limits: Pick<Limits, 'nodeDepthMax'>,
): Promise<void> {
  if (parent !== null && !(await hasNode(db, hierarchyId, parent))) throw new SluiceError('node_unknown')
  const orders = new Map(children.map(({ id, sortOrder }) => [id.toLowerCase(), sortOrder ?? null]))
  const ids = [...orders.keys()]
  const found = await findAll(db, hierarchyId, ids)
  const known = new Set(found.map(({ id }) => id))
  const missingIds = ids.filter((id) => !known.has(id))
  if (missingIds.length > 0) throw new SluiceError('nodes_missing', undefined, { details: { missingIds } })
  await refuseMove(db, hierarchyId, ids, parent)
  if (parent !== null && (await liesBelow(db, hierarchyId, parent, ids))) throw new SluiceError('node_cyclic')
  refuseDeep(await levelsWith(db, parent, ids, limits), limits)
  await clearNames(db, hierarchyId, parent, found, ids)
  await move(db, hierarchyId, parent, orders)
}

async function findAll(db: Db, hierarchyId: HierarchyId, ids: readonly string[]) {
  return db.execute<{ id: string; name: string; slug: string | null }>(sql`
    select id, name, slug from nodes
    where hierarchy_id = ${hierarchyId} and id = any(${arrayLiteral(ids.filter(isUuid))}::uuid[])`)
}

/** Whether the node is one of these, or stands below one of them. */
async function liesBelow(db: Db, hierarchyId: HierarchyId, nodeId: NodeId, ids: readonly string[]): Promise<boolean> {
  const rows = await db.execute(sql`
    with recursive above as (
      select id, parent_id from nodes where hierarchy_id = ${hierarchyId} and id = ${nodeId}
      union select nodes.id, nodes.parent_id from above join nodes on nodes.id = above.parent_id
    ) select from above where id = any(${arrayLiteral(ids)}::uuid[]) limit 1`)
  return rows.length > 0
}

/** The levels above these nodes and their own, if they came below the parent; neither is counted far beyond what may be. */
async function levelsWith(
  db: Db,
  parent: NodeId | null,
  ids: readonly string[],
  { nodeDepthMax }: Pick<Limits, 'nodeDepthMax'>,
): Promise<number> {
  const [row] = await db.execute<{ levels: number }>(sql`
    with recursive above as (
      select parent_id, 1 as level from nodes where id = ${parent}::uuid
      union all
      select nodes.parent_id, level + 1 from above join nodes on nodes.id = above.parent_id where level <= ${nodeDepthMax}
    ), below as (
      select id, 1 as level from nodes where id = any(${arrayLiteral(ids)}::uuid[])
      union all
      select nodes.id, level + 1 from below join nodes on nodes.parent_id = below.id where level <= ${nodeDepthMax}
    ) select (coalesce((select max(level) from above), 0) + coalesce((select max(level) from below), 0))::int as levels`)
  return row?.levels ?? 0
}

/** All at one time, so that their order among themselves is not left to chance. */
async function move(
  db: Db,
  hierarchyId: HierarchyId,
  parent: NodeId | null,
  orders: ReadonlyMap<string, number | null>,
): Promise<void> {
  const given = JSON.stringify([...orders].map(([id, order]) => ({ id, order })))
  await db.execute(sql`
    update nodes set parent_id = ${parent}, updated_at = (select clock_timestamp()),
      sort_order = coalesce(given."order", sort_order)
    from json_to_recordset(${given}::json) as given (id uuid, "order" integer)
    where nodes.hierarchy_id = ${hierarchyId} and nodes.id = given.id`)
}
