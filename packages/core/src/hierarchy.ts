import { SluiceError } from './errors.ts'
import type { HierarchyId, NodeId, ProductId, TenantId } from './ids.ts'
import type { Limits } from './limits.ts'
import type { Owner } from './product-image.ts'

/** What a person reads of a hierarchy or a node, by locale (`fr-FR`). */
export type Translations = Readonly<Record<string, { readonly name?: string; readonly description?: string }>>

/** A tree of nodes. */
export interface Hierarchy {
  readonly id: HierarchyId
  readonly tenantId: TenantId
  readonly name: string
  readonly slug: string | null
  readonly description: string | null
  readonly locales: Translations
  readonly owner: Owner
  readonly createdAt: Date
  readonly updatedAt: Date
}

export interface Node {
  readonly id: NodeId
  readonly hierarchyId: HierarchyId
  /** Null at the root. */
  readonly parent: { readonly id: NodeId; readonly name: string } | null
  /** From the root down to the parent. */
  readonly path: readonly { readonly id: NodeId; readonly name: string; readonly slug: string | null }[]
  /** Name and slug are unique among the children of one parent, and nowhere else. */
  readonly name: string
  readonly slug: string | null
  readonly description: string | null
  readonly locales: Translations
  readonly curatedProducts: readonly ProductId[]
  /** Higher comes first; children that have one come before those that have none, and these by `updatedAt`, newest first. */
  readonly sortOrder: number | null
  readonly owner: Owner
  readonly createdAt: Date
  readonly updatedAt: Date
}

export type HierarchyFields = Pick<Hierarchy, 'name' | 'slug' | 'description' | 'locales' | 'owner'>

export type NodeFields = Pick<Node, 'name' | 'slug' | 'description' | 'locales' | 'curatedProducts' | 'sortOrder' | 'owner'>

/** A child as a request names it. Without a sort order it keeps the one that it has. */
export interface ChildRef {
  readonly id: NodeId
  readonly sortOrder?: number
}

/** Throws when nodes would come to lie on this level, counted from 1 at the root. */
export function refuseDeep(level: number, { nodeDepthMax }: Pick<Limits, 'nodeDepthMax'>): void {
  if (level <= nodeDepthMax) return
  throw new SluiceError('node_too_deep', `A hierarchy may have ${nodeDepthMax} levels.`, { details: { nodeDepthMax } })
}
