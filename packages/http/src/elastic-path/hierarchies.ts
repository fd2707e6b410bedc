/** Hierarchies: trees that stand beside each other, each with its nodes (docs/dialects/elastic-path-hierarchies.md). */
import type { FastifyInstance, FastifyRequest } from 'fastify'
import { type Hierarchy, type HierarchyId, type IntakeWorld, SluiceError } from '@sluice/core'
import { callerOf } from '../authenticate.ts'
import type { DialectContext } from '../dialect.ts'
import { dataOf, identifierOf } from './body.ts'
import { failedValidation, filterInvalid } from './errors.ts'
import { hierarchyChange, newHierarchy } from './hierarchies-fields.ts'
import { ownerGiven } from './hierarchies-owner.ts'
import { hierarchyView } from './hierarchies-views.ts'
import { pageOf, pageView, queryOf } from './paging.ts'

const ALL = '/pcm/hierarchies'
const ONE = `${ALL}/:hierarchyID`

export type InHierarchy = { Params: { readonly hierarchyID: string } }

export function hierarchyRoutes(app: FastifyInstance, { world }: DialectContext): void {
  const { database, limits, newId } = world
  const { hierarchies } = database

  app.post(ALL, { config: { access: 'writer' } }, async (request, reply) => {
    const caller = callerOf(request)
    const data = dataOf(request)
    const owner = ownerGiven(caller, data, 'store') ?? 'store'
    const id = newId() as HierarchyId
    const made = await hierarchies.create({ id, tenantId: caller.tenantId, ...newHierarchy(data, limits), owner })
    return reply.code(201).send({ data: hierarchyView(made) })
  })

  app.get(ALL, { config: { access: 'reader' } }, async (request) => {
    refuseFilter(request)
    const page = pageOf(request, limits)
    return pageView(request, page, await hierarchies.list(callerOf(request).tenantId, page), hierarchyView)
  })

  app.get<InHierarchy>(ONE, { config: { access: 'reader' } }, async (request) => ({
    data: hierarchyView(await hierarchyOf(world, request)),
  }))

  app.put<InHierarchy>(ONE, { config: { access: 'writer' } }, async (request) => {
    const caller = callerOf(request)
    const id = hierarchyIdOf(request)
    const data = dataOf(request)
    const attributes = hierarchyChange(data, limits)
    // Clients of this API may leave the id out: it stands in the path.
    if (data['id'] !== undefined && identifierOf(data, 'hierarchy', 'data').toLowerCase() !== id) {
      throw failedValidation('data.id: Must be the id of the hierarchy in the path.')
    }
    const present = await hierarchyOf(world, request)
    const owner = ownerGiven(caller, data, present.owner)
    const change = { ...attributes, ...(owner && { owner }) }
    const isChange = Object.keys(change).length > 0
    return { data: hierarchyView(isChange ? await hierarchies.update(caller.tenantId, id, change) : present) }
  })

  app.delete<InHierarchy>(ONE, { config: { access: 'writer' } }, async (request, reply) => {
    await hierarchies.remove(callerOf(request).tenantId, hierarchyIdOf(request))
    return reply.code(204).send()
  })
}

/** The hierarchy of the path. Throws `hierarchy_unknown`. */
export async function hierarchyOf({ database }: IntakeWorld, request: FastifyRequest<InHierarchy>): Promise<Hierarchy> {
  const hierarchy = await database.hierarchies.find(callerOf(request).tenantId, hierarchyIdOf(request))
  if (!hierarchy) throw new SluiceError('hierarchy_unknown')
  return hierarchy
}

export function hierarchyIdOf({ params }: FastifyRequest<InHierarchy>): HierarchyId {
  return params.hierarchyID.toLowerCase() as HierarchyId
}

/** Hierarchies and nodes are not searched here: a list that left the filter aside would be taken for its answer. */
export function refuseFilter(request: FastifyRequest): void {
  if (queryOf(request, 'filter') !== null) throw filterInvalid()
}
