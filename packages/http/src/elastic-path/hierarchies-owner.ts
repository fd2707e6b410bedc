import type { Caller, Owner } from '@sluice/core'
import { requireRole } from '../authenticate.ts'
import { failedValidation } from './errors.ts'
import { metaOf } from './hierarchies-fields.ts'

/**
 * The owner that `meta.owner` asks for; undefined where that is what there is, so that a body may be sent back as it was read.
 * Giving something to the organization, or back to the store, is for admins.
 */
export function ownerGiven(caller: Caller, data: Readonly<Record<string, unknown>>, present: Owner): Owner | undefined {
  const { owner = null } = metaOf(data, 'data')
  if (owner !== null && owner !== 'store' && owner !== 'organization') {
    throw failedValidation('data.meta.owner: Must be "store" or "organization".')
  }
  if (owner === null || owner === present) return undefined
  requireRole(caller, 'admin')
  return owner
}
