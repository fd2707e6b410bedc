/** Nodes of a hierarchy, and the lists in which they stand. */
import type { FastifyInstance, FastifyRequest } from 'fastify'
import { type IntakeWorld, type Node, type NodeFields, type NodeId, SluiceError } from '@sluice/core'
import { callerOf } from '../authenticate.ts'
import type { DialectContext } from '../dialect.ts'
import { dataOf, identifierOf } from './body.ts'
import { failedValidation } from './errors.ts'
import { hierarchyIdOf, hierarchyOf, type InHierarchy, refuseFilter } from './hierarchies.ts'
import { newNode, nodeChange, optionalRecord } from './hierarchies-fields.ts'
import { ownerGiven } from './hierarchies-owner.ts'
import { nodeView } from './hierarchies-views.ts'
import { pageOf, pageView } from './paging.ts'

const HIERARCHY = '/pcm/hierarchies/:hierarchyID'
const ALL = `${HIERARCHY}/nodes`
const ONE = `${ALL}/:nodeID`

export type AtNode = { Params: { readonly hierarchyID: string; readonly nodeID: string } }

export function nodeRoutes(app: FastifyInstance, context: DialectContext): void {
  const { world } = context
  const { database, limits, newId } = world
  const { hierarchies } = database

  app.post<InHierarchy>(ALL, { config: { access: 'writer' } }, async (request, reply) => {
    const caller = callerOf(request)
    const data = dataOf(request)
    const fields = newNode(data, limits)
    const parentId = parentOf(data)
    const owner = ownerGiven(caller, data, 'store') ?? 'store'
    const hierarchy = await hierarchyOf(world, request)
    await requireCurated(world, request, fields)
    const node = { id: newId() as NodeId, parentId, ...fields, owner }
    const made = await hierarchies.createNode(caller.tenantId, hierarchy.id, node, limits).catch((error: unknown) => {
      throw parentId !== null && SluiceError.is(error, 'node_unknown') ? parentMissing(parentId) : error
    })
    return reply.code(201).send({ data: nodeView(hierarchy, made) })
  })

  app.get<AtNode>(ONE, { config: { access: 'reader' } }, (request) => nodeAnswer(world, request))

  app.put<AtNode>(ONE, { config: { access: 'writer' } }, async (request) => {
    const caller = callerOf(request)
    const data = dataOf(request)
    const { nodeId } = nodeAt(request)
    if (identifierOf(data, 'node', 'data').toLowerCase() !== nodeId) {
      throw failedValidation('data.id: Must be the id of the node in the path.')
    }
    const fields = nodeChange(data, limits)
    const [hierarchy, present] = await Promise.all([hierarchyOf(world, request), nodeOf(world, request)])
    const owner = ownerGiven(caller, data, hierarchy.owner === 'organization' ? hierarchy.owner : present.owner)
    await requireCurated(world, request, fields)
    const change = { ...fields, ...(owner && { owner }) }
    const isChange = Object.keys(change).length > 0
    const changed = isChange ? await hierarchies.updateNode(caller.tenantId, hierarchy.id, nodeId, change) : present
    return { data: nodeView(hierarchy, changed) }
  })

  app.delete<AtNode>(ONE, { config: { access: 'writer' } }, async (request, reply) => {
    const { hierarchyId, nodeId } = nodeAt(request)
    await hierarchies.removeNode(callerOf(request).tenantId, hierarchyId, nodeId)
    return reply.code(204).send()
  })

  app.get<InHierarchy>(ALL, { config: { access: 'reader' } }, (request) => listAnswer(world, request, 'all'))
  app.get<InHierarchy>(`${HIERARCHY}/children`, { config: { access: 'reader' } }, (request) => listAnswer(world, request, null))
  app.get<AtNode>(`${ONE}/children`, { config: { access: 'reader' } }, (request) =>
    listAnswer(world, request, nodeAt(request).nodeId),
  )
}

export function nodeAt(request: FastifyRequest<AtNode>) {
  return { hierarchyId: hierarchyIdOf(request), nodeId: request.params.nodeID.toLowerCase() as NodeId }
}

/** The node of the path. Throws `node_unknown`. */
export async function nodeOf({ database }: IntakeWorld, request: FastifyRequest<AtNode>): Promise<Node> {
  const { hierarchyId, nodeId } = nodeAt(request)
  const node = await database.hierarchies.findNode(callerOf(request).tenantId, hierarchyId, nodeId)
  if (!node) throw new SluiceError('node_unknown')
  return node
}

/** The node of the path as it is now. */
export async function nodeAnswer(world: IntakeWorld, request: FastifyRequest<AtNode>): Promise<object> {
  const [hierarchy, node] = await Promise.all([hierarchyOf(world, request), nodeOf(world, request)])
  return { data: nodeView(hierarchy, node) }
}

/** A node that a body names as the parent, and that is not in the hierarchy. */
export function parentMissing(id: NodeId, at = 'data.relationships.parent.data.id') {
  return failedValidation(`${at}: The node does not exist in this hierarchy.`, [id])
}

async function listAnswer(world: IntakeWorld, request: FastifyRequest<InHierarchy>, parent: NodeId | null | 'all') {
  refuseFilter(request)
  const page = pageOf(request, world.limits)
  const hierarchy = await hierarchyOf(world, request)
  const listed = await world.database.hierarchies.listNodes(hierarchy.tenantId, hierarchy.id, parent, page)
  return pageView(request, page, listed, (node) => nodeView(hierarchy, node))
}

/** Null at the root level. */
function parentOf(data: Readonly<Record<string, unknown>>): NodeId | null {
  const at = 'data.relationships'
  const { parent } = optionalRecord(data['relationships'], at)
  const { data: given } = optionalRecord(parent, `${at}.parent`)
  if (given === undefined || given === null) return null
  return identifierOf(optionalRecord(given, `${at}.parent.data`), 'node', `${at}.parent.data`).toLowerCase() as NodeId
}

async function requireCurated(
  { database }: IntakeWorld,
  request: FastifyRequest,
  { curatedProducts = [] }: Partial<Pick<NodeFields, 'curatedProducts'>>,
): Promise<void> {
  const { tenantId } = callerOf(request)
  const isThere = await Promise.all(curatedProducts.map((id) => database.products.find(tenantId, { kind: 'id', id })))
  const missing = curatedProducts.filter((_, index) => !isThere[index])
  if (missing.length > 0) throw failedValidation('data.attributes.curated_products: Not all of the products exist.', missing)
}
