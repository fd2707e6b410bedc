import type { TokenId } from './ids.ts'
import { type Database, TOKEN_USE_MS } from './ports.ts'
import { recentMap } from './recent-map.ts'

const REMEMBERED_MAX = 10_000

/**
 * A database that notes which tokens let somebody in: by the token itself, by a key that was issued for it, by a signature. No request
 * waits for it, and none fails with it; one statement at a time is under way, for all the tokens that have come up meanwhile.
 */
export function noteTokenUse<Opened extends Database>(database: Opened, nowMs: () => number = () => performance.now()): Opened {
  const { tokens, nonces } = database
  const noted = recentMap<TokenId, number>(REMEMBERED_MAX)
  const waiting = new Set<TokenId>()
  let isWriting = false

  function note(tokenId: TokenId): void {
    if (nowMs() - (noted.get(tokenId) ?? -TOKEN_USE_MS) < TOKEN_USE_MS || waiting.size >= REMEMBERED_MAX) return
    noted.set(tokenId, nowMs())
    waiting.add(tokenId)
    if (!isWriting) void write()
  }

  async function write(): Promise<void> {
    isWriting = true
    while (waiting.size > 0) {
      const tokenIds = [...waiting]
      waiting.clear()
      // A minute later there may be another.
      await tokens.noteUse(tokenIds).catch(() => undefined)
    }
    isWriting = false
  }

  return {
    ...database,
    tokens: {
      ...tokens,
      async authenticate(hash) {
        const caller = await tokens.authenticate(hash)
        if (caller) note(caller.tokenId)
        return caller
      },
      async redeem(hash) {
        const caller = await tokens.redeem(hash)
        if (caller) note(caller.tokenId)
        return caller
      },
    },
    nonces: {
      ...nonces,
      // Only who has signed rightly gets here: to ask for an active token by its id is no use of it.
      async use(tokenId, ...rest) {
        const isFirst = await nonces.use(tokenId, ...rest)
        if (isFirst) note(tokenId)
        return isFirst
      },
    },
  }
}
