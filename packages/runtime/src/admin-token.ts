import { randomUUIDv7 } from 'node:crypto'
import {
  type Database,
  hashToken,
  newTokenSecret,
  type TenantId,
  tokenHint,
  type TokenId,
  type TokenRecord,
  type TokenRole,
} from '@sluice/core'
import { StartError } from './lifecycle-start-error.ts'

/** The tenant that exists from the first migration. */
export async function defaultTenant(database: Database): Promise<TenantId> {
  const tenantId = await database.tenants.findByName('default')
  if (!tenantId) throw new StartError('The database has no tenant "default": run "sluice migrate" first.')
  return tenantId
}

export interface NewToken {
  readonly name: string
  readonly role: TokenRole
  readonly expiresAt: Date | null
}

/** Makes a token of the tenant. The secret is returned and kept nowhere. */
export async function createToken(
  database: Database,
  tenantId: TenantId,
  token: NewToken,
  secret = newTokenSecret(),
): Promise<{ secret: string; record: TokenRecord }> {
  const record = await database.tokens.create({
    ...token,
    id: randomUUIDv7() as TokenId,
    tenantId,
    sha256Hex: hashToken(secret),
    prefix: tokenHint(secret),
  })
  return { secret, record }
}

/**
 * Sees to it that somebody can get in: the token that the configuration names, or a random one when the tenant has no admin
 * yet. Returns the secret when it is known, null when it was shown on an earlier start.
 */
export async function ensureAdminToken(database: Database, configured: string | null): Promise<string | null> {
  const tenantId = await defaultTenant(database)
  const admin = { name: 'bootstrap', role: 'admin', expiresAt: null } as const
  if (configured !== null) {
    await createToken(database, tenantId, admin, configured)
    return configured
  }
  const tokens = await database.tokens.list(tenantId)
  const now = new Date()
  const isUsable = ({ role, revokedAt, expiresAt }: TokenRecord) =>
    role === 'admin' && revokedAt === null && (expiresAt === null || expiresAt > now)
  if (tokens.some(isUsable)) return null
  return (await createToken(database, tenantId, admin)).secret
}
