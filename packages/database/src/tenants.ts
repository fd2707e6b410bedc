import type { TenantId, Tenants } from '@sluice/core'
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
  }
}
