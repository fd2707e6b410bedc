import type { FastifyRequest } from 'fastify'
import type { Caller, IntakeWorld } from '@sluice/core'
import { authenticate, NOBODY } from '../authenticate.ts'
import { accessDenied } from './errors.ts'
import { authenticateSigned } from './oauth1.ts'

const GUEST = { tokenId: NOBODY, number: 0, name: 'guest', role: 'reader' } as const

/** A signed request, one with our own token, or a guest. */
export async function identify(request: FastifyRequest, world: IntakeWorld): Promise<Caller> {
  const { authorization } = request.headers
  if (authorization === undefined) return guestOf(world)
  if (/^OAuth(\s|$)/i.test(authorization)) return authenticateSigned(request, authorization, world)
  return authenticate(world.database, authorization, 'Bearer')
}

async function guestOf({ database, policy }: IntakeWorld): Promise<Caller> {
  const tenantId = policy.guestTenant === null ? null : await database.tenants.findByName(policy.guestTenant)
  if (tenantId === null) throw accessDenied()
  return { ...GUEST, tenantId }
}

/**
 * Admin, customer and guest are the user types of the other system. Whoever may write is an admin; the other two see what the
 * shop shows.
 */
export function isShopper({ role }: Caller): boolean {
  return role === 'reader'
}
