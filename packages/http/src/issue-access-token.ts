/**
 * Short-lived tokens in exchange for a client's credentials, as OAuth 2 has them: the client is one of our tokens, by its id, and
 * proves that with its secret. What is issued acts as a token, for as long as that token is active.
 */
import { type Caller, hashToken, type IntakeWorld, type IssuedKey, newTokenSecret, SluiceError, type TokenId } from '@sluice/core'

/**
 * Tells what was issued from the tokens themselves: the database takes either for the same caller, and an access token that could
 * buy the next one would never end.
 */
const ISSUED_PREFIX = 'issued_'

export interface AccessToken {
  readonly accessToken: string
  readonly expiresInMs: number
  readonly expiresAt: Date
  readonly caller: Caller
}

export interface RefreshableToken extends AccessToken {
  /** Good for one exchange. */
  readonly refreshToken: string
}

type IssuingWorld = Pick<IntakeWorld, 'database' | 'limits' | 'now'>

/** For `client_credentials`: the client acts for itself. Throws `credentials_invalid`. */
export async function issueAccessToken(world: IssuingWorld, clientId: string, clientSecret: string): Promise<AccessToken> {
  const caller = await authenticateClient(world, clientId, clientSecret)
  const access = newKey('access', world.limits.accessTokenMsMax)
  await world.database.tokens.issue(caller.tokenId, [access.key])
  return tokenOf(world, caller, access)
}

/** For `password` and `refresh_token`, whose caller has been found out by other means. */
export async function issueRefreshable(world: IssuingWorld, caller: Caller): Promise<RefreshableToken> {
  const access = newKey('access', world.limits.accessTokenMsMax)
  const refresh = newKey('refresh', world.limits.refreshTokenMsMax)
  await world.database.tokens.issue(caller.tokenId, [access.key, refresh.key])
  return { ...tokenOf(world, caller, access), refreshToken: refresh.secret }
}

/** The caller behind one of our tokens and its id. Throws `credentials_invalid`, whichever of the two is wrong. */
export async function authenticateClient(world: IssuingWorld, clientId: string, clientSecret: string): Promise<Caller> {
  const caller = await findBySecret(world, clientSecret)
  if (caller?.tokenId !== (clientId.toLowerCase() as TokenId)) throw new SluiceError('credentials_invalid')
  return caller
}

/** The caller behind the secret of one of our tokens; null for all else, and for what was issued. */
export async function findBySecret({ database }: IssuingWorld, secret: string): Promise<Caller | null> {
  if (secret === '' || secret.startsWith(ISSUED_PREFIX)) return null
  return database.tokens.authenticate(hashToken(secret))
}

interface NewKey {
  readonly secret: string
  readonly key: IssuedKey
}

function newKey(kind: IssuedKey['kind'], ttlMs: number): NewKey {
  const secret = `${ISSUED_PREFIX}${newTokenSecret()}`
  return { secret, key: { sha256Hex: hashToken(secret), kind, ttlMs } }
}

function tokenOf({ now }: IssuingWorld, caller: Caller, { secret, key }: NewKey): AccessToken {
  return { accessToken: secret, expiresInMs: key.ttlMs, expiresAt: new Date(now().getTime() + key.ttlMs), caller }
}
