/** Short words for what the tests of hierarchies do. */
import type { Hierarchy, Node, NodeFields } from '../../hierarchy.ts'
import type { HierarchyId, NodeId } from '../../ids.ts'
import { DEFAULT_LIMITS } from '../../limits.ts'
import { newId } from '../builders.ts'
import type { Catalogue } from './catalogue.ts'

export const ALL = { offset: 0, limit: 1_000 }

const PLAIN = { slug: null, description: null, locales: {}, owner: 'store' } as const

export function hierarchyWords(catalogue: () => Catalogue) {
  const hierarchies = () => catalogue().database.hierarchies

  const newHierarchy = (): Promise<Hierarchy> =>
    hierarchies().create({ id: newId() as HierarchyId, tenantId: catalogue().home, name: 'H', ...PLAIN })

  const newNode = (
    { tenantId, id }: Hierarchy,
    name: string,
    { parentId = null, ...fields }: Partial<NodeFields> & { readonly parentId?: NodeId | null } = {},
  ): Promise<Node> => {
    const node = { ...PLAIN, id: newId() as NodeId, name, curatedProducts: [], sortOrder: null, ...fields }
    return hierarchies().createNode(tenantId, id, { ...node, parentId }, DEFAULT_LIMITS)
  }

  const namesBelow = async ({ tenantId, id }: Hierarchy, parent: NodeId | null): Promise<readonly string[]> =>
    (await hierarchies().listNodes(tenantId, id, parent, ALL)).items.map(({ name }) => name)

  return { hierarchies, newHierarchy, newNode, namesBelow }
}
