/** Products, and what else describes a catalogue. */
import type { Attribute, Channel, StoreView } from '../catalogue.ts'
import type { ChildRef, Hierarchy, HierarchyFields, Node, NodeFields } from '../hierarchy.ts'
import type { HierarchyId, NodeId, ProductId, TenantId } from '../ids.ts'
import type { Limits } from '../limits.ts'
import type { Product, ProductRef } from '../product-image.ts'

export interface Products {
  /** Throws `sku_taken`. Versions begin at 1. The same id and SKU again return what is there. */
  create(product: NewProduct): Promise<Product>
  find(tenantId: TenantId, ref: ProductRef): Promise<Product | null>
  /**
   * Throws `product_unknown`, and `owned_by_organization` unless it gives the product to the store. The version is that of the
   * images, and stays.
   */
  update(tenantId: TenantId, ref: ProductRef, change: ProductChange): Promise<Product>
  /** Newest first, models not among them. */
  list(tenantId: TenantId, page: OffsetPage): Promise<Listed<Product>>
}

export type NewProduct = {
  readonly id: ProductId
  readonly tenantId: TenantId
  readonly sku: string
  readonly title: string | null
} & Partial<Pick<Product, 'kind' | 'status' | 'owner' | 'websites' | 'acceptsImages' | 'extra'>>

export type ProductChange = Partial<Pick<Product, 'title' | 'status' | 'owner' | 'websites' | 'acceptsImages' | 'extra'>>

export interface OffsetPage {
  readonly offset: number
  readonly limit: number
}

export interface Listed<Item> {
  readonly items: readonly Item[]
  /** Of all pages. */
  readonly total: number
}

/** All `put…` create or replace; all `remove…` are fine with what is not there. Lists are by code, store views by number. */
export interface Catalogue {
  putAttribute(tenantId: TenantId, attribute: Attribute): Promise<void>
  findAttribute(tenantId: TenantId, code: string): Promise<Attribute | null>
  listAttributes(tenantId: TenantId): Promise<readonly Attribute[]>
  removeAttribute(tenantId: TenantId, code: string): Promise<void>
  putChannel(tenantId: TenantId, channel: Channel): Promise<void>
  findChannel(tenantId: TenantId, code: string): Promise<Channel | null>
  listChannels(tenantId: TenantId): Promise<readonly Channel[]>
  removeChannel(tenantId: TenantId, code: string): Promise<void>
  /** The number of a new one is the next of the tenant; that of a known one stays. */
  putStore(tenantId: TenantId, store: Omit<StoreView, 'number'>): Promise<StoreView>
  findStore(tenantId: TenantId, ref: number | string): Promise<StoreView | null>
  listStores(tenantId: TenantId): Promise<readonly StoreView[]>
}

/**
 * Changes to one hierarchy hold its row lock, so they happen one after the other; each is all or nothing. They throw
 * `hierarchy_unknown`, `node_unknown`, `nodes_missing` (details: `missingIds`), `node_name_taken`, `node_slug_taken`,
 * `node_cyclic`. Names and slugs of nodes that would stand beside each other twice, in one request too, are taken.
 * What belongs to the organization, or stands in a hierarchy that does, is `owned_by_organization`: it is neither changed, nor moved
 * or removed, nor does it gain or lose children. All that is possible is to give it to the store.
 */
export interface Hierarchies {
  /** The same id again returns what is there; so for nodes. Where a node would lie too deep, `node_too_deep` is thrown. */
  create(hierarchy: { readonly id: HierarchyId; readonly tenantId: TenantId } & HierarchyFields): Promise<Hierarchy>
  find(tenantId: TenantId, id: HierarchyId): Promise<Hierarchy | null>
  /** Newest first. */
  list(tenantId: TenantId, page: OffsetPage): Promise<Listed<Hierarchy>>
  update(tenantId: TenantId, id: HierarchyId, change: Partial<HierarchyFields>): Promise<Hierarchy>
  /** With all its nodes. */
  remove(tenantId: TenantId, id: HierarchyId): Promise<void>
  createNode(
    tenantId: TenantId,
    hierarchyId: HierarchyId,
    node: { readonly id: NodeId; readonly parentId: NodeId | null } & NodeFields,
    limits: Pick<Limits, 'nodeDepthMax'>,
  ): Promise<Node>
  findNode(tenantId: TenantId, hierarchyId: HierarchyId, nodeId: NodeId): Promise<Node | null>
  updateNode(tenantId: TenantId, hierarchyId: HierarchyId, nodeId: NodeId, change: Partial<NodeFields>): Promise<Node>
  /** With all that lies below it. */
  removeNode(tenantId: TenantId, hierarchyId: HierarchyId, nodeId: NodeId): Promise<void>
  /** Null for the root level; `all` for every depth. In the order of siblings. Throws `hierarchy_unknown`, `node_unknown`. */
  listNodes(tenantId: TenantId, hierarchyId: HierarchyId, parent: NodeId | null | 'all', page: OffsetPage): Promise<Listed<Node>>
  /** Moves the children, with what lies below them, under the parent, or to the root level; the children count as updated now. */
  adopt(
    tenantId: TenantId,
    hierarchyId: HierarchyId,
    parent: NodeId | null,
    children: readonly ChildRef[],
    limits: Pick<Limits, 'nodeDepthMax'>,
  ): Promise<void>
}
