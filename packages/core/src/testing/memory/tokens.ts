import { SluiceError } from '../../errors.ts'
import type { TokenId } from '../../ids.ts'
import { type Caller, ISSUED_MAX, type IssuedKey, TOKEN_USE_MS, type TokenRecord, type Tokens } from '../../ports.ts'
import type { Tables } from './tables.ts'

interface Issued {
  readonly tokenId: TokenId
  readonly kind: IssuedKey['kind']
  readonly expiresAtMs: number
}

export function memoryTokens({ tokens, now, nextNumber }: Tables): Tokens {
  /** By their hash, in the order in which they were issued. */
  const issued = new Map<string, Issued>()
  const publicKeys = new Map<TokenId, string>()
  const nowMs = () => now().getTime()

  function callerOf(token: TokenRecord | undefined): Caller | null {
    if (!token || token.revokedAt || (token.expiresAt && token.expiresAt <= now())) return null
    const { tokenId, tenantId, role, name, number } = token
    return { tokenId, tenantId, role, name, number }
  }

  const byId = (id: TokenId) => tokens.values().find(({ tokenId }) => tokenId === id)

  /** The token that a key stands for, while the key is good. */
  function parentOf(hash: string, kind: IssuedKey['kind']): TokenRecord | undefined {
    const key = issued.get(hash)
    return key?.kind === kind && key.expiresAtMs > nowMs() ? byId(key.tokenId) : undefined
  }

  function forget(isForgotten: (key: Issued) => boolean, limit: number): number {
    const forgotten = [...issued].filter(([, key]) => isForgotten(key)).slice(0, limit)
    for (const [hash] of forgotten) issued.delete(hash)
    return forgotten.length
  }

  return {
    authenticate: async (hash) => callerOf(tokens.get(hash) ?? parentOf(hash, 'access')),
    findActive: async (id) => callerOf(byId(id)),
    async create({ id: tokenId, sha256Hex, ...rest }) {
      const known = tokens.get(sha256Hex)
      if (known) return known
      const token = { ...rest, tokenId, number: nextNumber(), createdAt: now(), revokedAt: null, lastUsedAt: null }
      tokens.set(sha256Hex, token)
      return token
    },
    async noteUse(ids) {
      for (const [hash, token] of tokens) {
        if (!ids.includes(token.tokenId)) continue
        const isRecent = token.lastUsedAt !== null && nowMs() - token.lastUsedAt.getTime() < TOKEN_USE_MS
        if (!isRecent) tokens.set(hash, { ...token, lastUsedAt: now() })
      }
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

    async issue(tokenId, keys) {
      if (keys.length === 0) return
      if (!byId(tokenId)) throw new SluiceError('token_invalid')
      forget((key) => key.tokenId === tokenId && key.expiresAtMs <= nowMs(), Infinity)
      const own = issued.values().filter((key) => key.tokenId === tokenId)
      forget((key) => key.tokenId === tokenId, Math.max(0, [...own].length + keys.length - ISSUED_MAX))
      for (const { sha256Hex, kind, ttlMs } of keys) {
        if (!issued.has(sha256Hex)) issued.set(sha256Hex, { tokenId, kind, expiresAtMs: nowMs() + ttlMs })
      }
    },
    async redeem(hash) {
      const token = parentOf(hash, 'refresh')
      if (token) issued.delete(hash)
      return callerOf(token)
    },
    forgetExpired: async (limit) => forget(({ expiresAtMs }) => expiresAtMs <= nowMs(), limit),

    findPublicKey: async (id) => (callerOf(byId(id)) && publicKeys.get(id)) ?? null,
    async setPublicKey(tenantId, id, pem) {
      if (byId(id)?.tenantId !== tenantId) return false
      if (pem === null) publicKeys.delete(id)
      else publicKeys.set(id, pem)
      return true
    },
  }
}
