/** Hierarchies and nodes as they are answered. What is not set is left out, as in the API's own examples. */
import type { Hierarchy, Node, Translations } from '@sluice/core'

export function hierarchyView(hierarchy: Hierarchy): object {
  const { id, owner, createdAt, updatedAt } = hierarchy
  return {
    type: 'hierarchy',
    id,
    attributes: attributesView(hierarchy),
    relationships: { children: { data: [], links: { related: `/hierarchies/${id}/children` } } },
    meta: { created_at: createdAt.toISOString(), owner, updated_at: updatedAt.toISOString() },
  }
}

/** A node belongs to the organization by itself, or because its hierarchy does. */
export function nodeView(hierarchy: Hierarchy, node: Node): object {
  const { id, parent, curatedProducts, sortOrder, createdAt, updatedAt } = node
  const at = `/hierarchies/${hierarchy.id}/nodes/${id}`
  return {
    type: 'node',
    id,
    attributes: { ...attributesView(node), ...(curatedProducts.length > 0 && { curated_products: curatedProducts }) },
    relationships: {
      children: { data: [], links: { related: `${at}/children` } },
      ...(parent && { parent: { data: { type: 'node', id: parent.id } } }),
      products: { data: [], links: { related: `${at}/products` } },
    },
    meta: {
      created_at: createdAt.toISOString(),
      hierarchy_id: hierarchy.id,
      breadcrumbs: [hierarchy, ...node.path, node].map(breadcrumbView),
      owner: hierarchy.owner === 'organization' ? hierarchy.owner : node.owner,
      ...(parent && { parent_name: parent.name }),
      ...(sortOrder !== null && { sort_order: sortOrder }),
      updated_at: updatedAt.toISOString(),
    },
  }
}

interface Named {
  readonly id: string
  readonly name: string
  readonly slug: string | null
}

interface Described extends Named {
  readonly description: string | null
  readonly locales: Translations
}

function attributesView({ name, slug, description, locales }: Described): object {
  return {
    ...(description !== null && { description }),
    ...(Object.keys(locales).length > 0 && { locales }),
    name,
    ...(slug !== null && { slug }),
  }
}

function breadcrumbView({ id, name, slug }: Named): object {
  return { id, name, ...(slug !== null && { slug }) }
}
