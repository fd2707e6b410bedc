/** Rows that no API makes: tokens of every condition, one of them of another tenant. */
import { randomUUID } from 'node:crypto'
import { hashToken } from '@sluice/core'
import postgres from 'postgres'

const ROLES = { reader: 'reader', writer: 'writer', revoked: 'admin', expired: 'admin', stranger: 'admin' } as const
type Condition = keyof typeof ROLES

/** The secrets, by what is the matter with them. */
export async function addTokens(databaseUrl: string): Promise<Readonly<Record<Condition, string>>> {
  const secrets = {
    reader: randomUUID(),
    writer: randomUUID(),
    revoked: randomUUID(),
    expired: randomUUID(),
    stranger: randomUUID(),
  }
  const sql = postgres(databaseUrl, { max: 1 })
  try {
    const [own] = await sql<{ id: string }[]>`select id from tenants where name = 'default'`
    const [other] = await sql<{ id: string }[]>`insert into tenants (id, name) values (${randomUUID()}, 'other') returning id`
    const add = (condition: Condition, tenantId = own?.id, more: object = {}) => {
      const [role, sha256] = [ROLES[condition], hashToken(secrets[condition])]
      return sql`insert into tokens ${sql({ id: randomUUID(), tenant_id: tenantId, name: role, role, sha256, prefix: 'x', ...more })}`
    }
    await add('reader')
    await add('writer')
    await add('revoked', own?.id, { revoked_at: new Date() })
    await add('expired', own?.id, { expires_at: new Date(Date.now() - 1_000) })
    await add('stranger', other?.id)
    return secrets
  } finally {
    await sql.end()
  }
}
