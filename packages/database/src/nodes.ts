/** Nodes as they are read, and the names that are free among siblings. */
import {
  type HierarchyId,
  isUuid,
  type Listed,
  type Node,
  type NodeId,
  type OffsetPage,
  type ProductId,
  SluiceError,
  type TenantId,
} from '@sluice/core'
import type { Db } from './connection.ts'
import { sql } from './drizzle.ts'
import { arrayLiteral, rowOf } from './rows.ts'
import { nodes } from './schema.ts'

/** Nobody makes a tree as deep. What lies above is told up to here. */
const DEPTH_MAX = 1_000

/** The way down to the nodes of the query around it, as JSON. */
const PATH = sql`(
  with recursive above as (
    select id, name, slug, parent_id, 1 as distance from nodes where id = found.parent_id
    union all
    select nodes.id, nodes.name, nodes.slug, nodes.parent_id, distance + 1
    from above join nodes on nodes.id = above.parent_id where distance < ${sql.raw(String(DEPTH_MAX))}
  ) select coalesce(json_agg(json_build_object('id', id, 'name', name, 'slug', slug) order by distance desc), '[]')
  from above) as path`

/** Higher orders first, then those without one, then what changed last. */
const SIBLINGS = sql`sort_order desc nulls last, updated_at desc, number desc`

export async function findNode(db: Db, tenantId: TenantId, hierarchyId: HierarchyId, nodeId: NodeId): Promise<Node | null> {
  if (!isUuid(hierarchyId) || !isUuid(nodeId)) return null
  const [row] = await db.execute(sql`
    select found.*, ${PATH} from nodes as found
    where tenant_id = ${tenantId} and hierarchy_id = ${hierarchyId} and id = ${nodeId}`)
  return row ? nodeOf(row) : null
}

export async function hasNode(db: Db, hierarchyId: HierarchyId, nodeId: NodeId): Promise<boolean> {
  if (!isUuid(nodeId)) return false
  const rows = await db.execute(sql`select from nodes where hierarchy_id = ${hierarchyId} and id = ${nodeId}`)
  return rows.length > 0
}

export async function listNodes(
  db: Db,
  tenantId: TenantId,
  hierarchyId: HierarchyId,
  parent: NodeId | null | 'all',
  { offset, limit }: OffsetPage,
): Promise<Listed<Node>> {
  if (!isUuid(hierarchyId)) throw new SluiceError('hierarchy_unknown')
  const parentId = parent === 'all' ? null : parent
  if (parentId !== null && !isUuid(parentId)) throw new SluiceError('node_unknown')
  const level = parent === 'all' ? sql`true` : sql`parent_id is not distinct from ${parentId}::uuid`
  const listed = sql`tenant_id = ${tenantId} and hierarchy_id = ${hierarchyId} and ${level}`
  const order = parent === 'all' ? sql`number` : SIBLINGS
  const rows = await db.execute<{ known: boolean; parent_known: boolean; total: number; place: unknown }>(sql`
    select whole.*, found.*, ${PATH} from (select
      exists (select from hierarchies where tenant_id = ${tenantId} and id = ${hierarchyId}) as known,
      exists (select from nodes where hierarchy_id = ${hierarchyId} and id = ${parentId}::uuid) as parent_known,
      (select count(*)::int from nodes where ${listed}) as total) as whole
    left join (
      select nodes.*, row_number() over (order by ${order}) as place from nodes where ${listed}
      order by ${order} limit ${limit} offset ${offset}
    ) as found on true
    order by place`)
  const [first] = rows
  if (!first?.known) throw new SluiceError('hierarchy_unknown')
  if (parentId !== null && !first.parent_known) throw new SluiceError('node_unknown')
  return { items: rows.filter(({ place }) => place !== null).map(nodeOf), total: first.total }
}

interface Named {
  readonly name: string
  readonly slug: string | null
}

/** Throws when the names that are to stand below the parent are not free there; those of the nodes that are named do not count. */
export async function clearNames(
  db: Db,
  hierarchyId: HierarchyId,
  parentId: NodeId | null,
  wanted: readonly Named[],
  except: readonly string[],
): Promise<void> {
  const names = wanted.map(({ name }) => name)
  const slugs = wanted.flatMap(({ slug }) => slug ?? [])
  const taken = await db.execute<{ name: string; slug: string | null }>(sql`
    select name, slug from nodes
    where hierarchy_id = ${hierarchyId} and coalesce(parent_id, hierarchy_id) = ${parentId ?? hierarchyId}
      and (name = any(${arrayLiteral(names)}::text[]) or slug = any(${arrayLiteral(slugs)}::text[]))
      and not id = any(${arrayLiteral(except)}::uuid[])`)
  const takenNames = new Set(taken.map(({ name }) => name))
  const takenSlugs = new Set(taken.map(({ slug }) => slug))
  if (repeats(names) || names.some((name) => takenNames.has(name))) throw new SluiceError('node_name_taken')
  if (repeats(slugs) || slugs.some((slug) => takenSlugs.has(slug))) throw new SluiceError('node_slug_taken')
}

function repeats(texts: readonly string[]): boolean {
  return new Set(texts).size < texts.length
}

function nodeOf(raw: Record<string, unknown>): Node {
  const { number: _, tenantId: __, parentId: ___, ...row } = rowOf(nodes, raw)
  const path = raw['path'] as Node['path']
  const above = path.at(-1)
  return {
    ...row,
    id: row.id as NodeId,
    hierarchyId: row.hierarchyId as HierarchyId,
    curatedProducts: row.curatedProducts as readonly ProductId[],
    parent: above ? { id: above.id, name: above.name } : null,
    path,
  }
}
