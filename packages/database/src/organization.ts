import { type HierarchyId, type NodeId, SluiceError } from '@sluice/core'
import type { Db } from './connection.ts'
import { sql } from './drizzle.ts'
import { arrayLiteral } from './rows.ts'

/** Throws where one of these nodes is the organization's, or the one that loses it as a child, or the one that gains it. */
export async function refuseMove(db: Db, hierarchyId: HierarchyId, ids: readonly string[], to: NodeId | null): Promise<void> {
  const moved = sql`any(${arrayLiteral(ids)}::uuid[])`
  const owned = await db.execute(sql`
    select from nodes where hierarchy_id = ${hierarchyId} and owner = 'organization' and (
      id = ${moved} or id = ${to} or id in (select parent_id from nodes as child where child.id = ${moved})
    ) limit 1`)
  if (owned.length > 0) throw new SluiceError('owned_by_organization')
}
