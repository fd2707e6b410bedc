import type { Caller, TokenRecord, Tokens } from '../../ports.ts'
import type { Tables } from './tables.ts'

export function memoryTokens({ tokens, now }: Tables): Tokens {
  function callerOf(token: TokenRecord | undefined): Caller | null {
    if (!token || token.revokedAt || (token.expiresAt && token.expiresAt <= now())) return null
    const { tokenId, tenantId, role, name } = token
    return { tokenId, tenantId, role, name }
  }

  return {
    authenticate: async (hash) => callerOf(tokens.get(hash)),
    findActive: async (id) => callerOf(tokens.values().find(({ tokenId }) => tokenId === id)),
    async create({ id: tokenId, sha256Hex, ...rest }) {
      const known = tokens.get(sha256Hex)
      if (known) return known
      const token = { ...rest, tokenId, createdAt: now(), revokedAt: null }
      tokens.set(sha256Hex, token)
      return token
    },
    async list(tenantId) {
      const own = [...tokens.values()].filter((token) => token.tenantId === tenantId)
      return own.sort((a, b) => Number(b.createdAt) - Number(a.createdAt) || (a.tokenId < b.tokenId ? 1 : -1))
    },
    async revoke(tenantId, id) {
      const found = tokens.entries().find(([, token]) => token.tenantId === tenantId && token.tokenId === id)
      if (!found) return false
      const [hash, token] = found
      tokens.set(hash, { ...token, revokedAt: token.revokedAt ?? now() })
      return true
    },
  }
}
