import { isUuid, SluiceError, type TenantId, type Tenants, WEIGHT_MAX } from '@sluice/core'
import type { Db } from './connection.ts'
import { eq } from './drizzle.ts'
import { isText } from './rows.ts'
import { tenants } from './schema.ts'
import type { Runner } from './transaction.ts'

export function openTenants({ query }: Runner): Tenants {
  return {
    async findByName(name) {
      if (!isText(name)) return null
      const [row] = await query((db) => db.select({ id: tenants.id }).from(tenants).where(eq(tenants.name, name)))
      return row ? (row.id as TenantId) : null
    },
    async exists(tenantId) {
      if (!isUuid(tenantId)) return false
      return (await query((db) => db.select({ id: tenants.id }).from(tenants).where(eq(tenants.id, tenantId)))).length > 0
    },
    async setWeight(tenantId, weight) {
      if (!Number.isInteger(weight) || weight < 1 || weight > WEIGHT_MAX) throw new SluiceError('request_invalid')
      const update = (db: Db) => db.update(tenants).set({ weight }).where(eq(tenants.id, tenantId)).returning({ id: tenants.id })
      return (await query(update)).length > 0
    },
  }
}
