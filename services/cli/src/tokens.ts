import { isUuid, type TokenId, type TokenRecord, type TokenRole } from '@sluice/core'
import { createToken, StartError, withDatabase } from '@sluice/runtime'
import { printTable, say } from './print.ts'

interface CreateOptions {
  readonly name: string
  readonly role: TokenRole
  readonly days?: string
}

const DAY_MS = 86_400_000

export async function createTokenCommand({ name, role, days }: CreateOptions): Promise<void> {
  const expiresAt = days === undefined ? null : new Date(Date.now() + readDays(days) * DAY_MS)
  await withDatabase(async (database, tenantId) => {
    const { secret } = await createToken(database, tenantId, { name, role, expiresAt })
    say(secret)
  })
}

export async function listTokensCommand(): Promise<void> {
  await withDatabase(async (database, tenantId) => {
    const tokens = await database.tokens.list(tenantId)
    printTable(['id', 'name', 'role', 'begins with', 'created', 'last used', 'state'], tokens.map(rowOf))
  })
}

export async function revokeTokenCommand(id: string): Promise<void> {
  await withDatabase(async (database, tenantId) => {
    const isRevoked = isUuid(id) && (await database.tokens.revoke(tenantId, id as TokenId))
    if (!isRevoked) throw new StartError(`There is no token ${id}: "sluice token list" shows them all.`)
    say('The token is revoked.')
  })
}

function rowOf({ tokenId, name, role, prefix, createdAt, expiresAt, revokedAt, lastUsedAt }: TokenRecord): string[] {
  const state = revokedAt
    ? 'revoked'
    : expiresAt === null
      ? 'active'
      : expiresAt > new Date()
        ? `until ${expiresAt.toISOString()}`
        : 'expired'
  return [tokenId, name, role, `${prefix}…`, createdAt.toISOString(), lastUsedAt?.toISOString() ?? 'never', state]
}

function readDays(text: string): number {
  const days = Number(text)
  if (Number.isInteger(days) && days >= 1 && days <= 3650) return days
  throw new StartError('--days must be a whole number from 1 to 3650.')
}
