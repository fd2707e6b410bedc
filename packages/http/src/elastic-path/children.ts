/** Where nodes stand: below another node, or at the root level of their hierarchy. A node has one parent, so that linking moves. */
import type { FastifyInstance, FastifyRequest } from 'fastify'
import { type ChildRef, type Limits, type NodeId, SluiceError } from '@sluice/core'
import { callerOf } from '../authenticate.ts'
import type { DialectContext } from '../dialect.ts'
import { dataOf, identifierOf, listOf } from './body.ts'
import { failedValidation } from './errors.ts'
import { hierarchyIdOf, hierarchyOf, type InHierarchy } from './hierarchies.ts'
import { sortOrderOf } from './hierarchies-fields.ts'
import { hierarchyView } from './hierarchies-views.ts'
import { type AtNode, nodeAnswer, nodeAt, nodeOf, parentMissing } from './nodes.ts'

const HIERARCHY = '/pcm/hierarchies/:hierarchyID'
const PARENT = `${HIERARCHY}/nodes/:nodeID/relationships/parent`

export function childRoutes(app: FastifyInstance, { world }: DialectContext): void {
  const { database, limits } = world
  const { hierarchies } = database

  app.post<AtNode>(`${HIERARCHY}/nodes/:nodeID/relationships/children`, { config: { access: 'writer' } }, async (request) => {
    const { hierarchyId, nodeId } = nodeAt(request)
    await hierarchies.adopt(callerOf(request).tenantId, hierarchyId, nodeId, childrenOf(request, limits), limits)
    return nodeAnswer(world, request)
  })

  app.post<InHierarchy>(`${HIERARCHY}/relationships/children`, { config: { access: 'writer' } }, async (request) => {
    await hierarchies.adopt(callerOf(request).tenantId, hierarchyIdOf(request), null, childrenOf(request, limits), limits)
    return { data: hierarchyView(await hierarchyOf(world, request)) }
  })

  app.put<AtNode>(PARENT, { config: { access: 'writer' } }, async (request, reply) => {
    const parentId = identifierOf(dataOf(request), 'node', 'data').toLowerCase() as NodeId
    // What is missing in the path is 404, what is missing in the body 422.
    const { id, hierarchyId } = await nodeOf(world, request)
    const { tenantId } = callerOf(request)
    await hierarchies.adopt(tenantId, hierarchyId, parentId, [{ id }], limits).catch((error: unknown) => {
      if (SluiceError.is(error, 'node_unknown')) throw parentMissing(parentId, 'data.id')
      throwGone(error)
    })
    return reply.code(204).send()
  })

  app.delete<AtNode>(PARENT, { config: { access: 'writer' } }, async (request, reply) => {
    const { id, hierarchyId, parent } = await nodeOf(world, request)
    const { tenantId } = callerOf(request)
    if (parent) await hierarchies.adopt(tenantId, hierarchyId, null, [{ id }], limits).catch(throwGone)
    return reply.code(204).send()
  })
}

function childrenOf(request: FastifyRequest, { relationsMax }: Limits): readonly ChildRef[] {
  const children = listOf(request, relationsMax)
  if (children.length === 0) throw failedValidation('data can not be empty')
  return children.map((child, index) => {
    const at = `data[${index}]`
    const id = identifierOf(child, 'node', at) as NodeId
    const sortOrder = sortOrderOf(child, at) ?? undefined
    return sortOrder === undefined ? { id } : { id, sortOrder }
  })
}

/** The node of the path was there before its move, and is not any more. */
function throwGone(error: unknown): never {
  throw SluiceError.is(error, 'nodes_missing') ? new SluiceError('node_unknown', undefined, { cause: error }) : error
}
