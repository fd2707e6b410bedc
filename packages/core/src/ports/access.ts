/** Who may do what, and what was answered before. */
import type { IngestId, TenantId, TokenId } from '../ids.ts'

export const WEIGHT_MAX = 1_000

export interface Tenants {
  /** The tenant `default` exists from the first migration. */
  findByName(name: string): Promise<TenantId | null>
  exists(tenantId: TenantId): Promise<boolean>
  /** Its share of the queue while others wait too, from 1, which is everybody's at first, to `WEIGHT_MAX`. False when there is no such tenant. */
  setWeight(tenantId: TenantId, weight: number): Promise<boolean>
}

export const TOKEN_ROLES = ['admin', 'writer', 'reader'] as const

export type TokenRole = (typeof TOKEN_ROLES)[number]

/** Who asks. The tenant comes from here and from nowhere else. */
export interface Caller {
  readonly tokenId: TokenId
  readonly tenantId: TenantId
  readonly role: TokenRole
  readonly name: string
  /** The integer identity for dialects whose clients know only integers. */
  readonly number: number
}

export interface TokenRecord extends Caller {
  /** The first characters, to recognise a token by; never enough to use it. */
  readonly prefix: string
  readonly createdAt: Date
  readonly expiresAt: Date | null
  readonly revokedAt: Date | null
  /** Of a request that it let in, to the minute; null when there was none. */
  readonly lastUsedAt: Date | null
}

export interface Tokens {
  /** The caller behind a token, or behind an access token that was issued for it. Null when the hash is unknown, revoked, or expired by the database's clock. */
  authenticate(sha256Hex: string): Promise<Caller | null>
  /** The same question for a session that was opened with a token. */
  findActive(tokenId: TokenId): Promise<Caller | null>
  /** Creating the same hash again changes nothing and returns what is there. */
  create(token: {
    id: TokenId
    tenantId: TenantId
    name: string
    role: TokenRole
    sha256Hex: string
    prefix: string
    expiresAt: Date | null
  }): Promise<TokenRecord>
  /** They were used just now. Of those that were noted within `TOKEN_USE_MS` nothing changes. */
  noteUse(tokenIds: readonly TokenId[]): Promise<void>
  /** Newest first. */
  list(tenantId: TenantId): Promise<readonly TokenRecord[]>
  /** False when there is no such token. Revoking twice is fine. */
  revoke(tenantId: TenantId, tokenId: TokenId): Promise<boolean>
  /**
   * Short-lived keys that act as the token, as long as that is active: an access token authenticates, a refresh token can be
   * redeemed once. Those of the token that have expired are removed; of those that have not, the newest `ISSUED_MAX` stay.
   */
  issue(tokenId: TokenId, keys: readonly IssuedKey[]): Promise<void>
  /** The caller behind a refresh token, which is void from now on. Null for all else. */
  redeem(sha256Hex: string): Promise<Caller | null>
  /** Removes issued keys that have expired; returns how many. */
  forgetExpired(limit: number): Promise<number>
  /** The PEM of the key that checks RSA-SHA1 signatures of OAuth 1.0a; null when the token has none, or is not active. */
  findPublicKey(tokenId: TokenId): Promise<string | null>
  /** False when there is no such token. */
  setPublicKey(tenantId: TenantId, tokenId: TokenId, pem: string | null): Promise<boolean>
}

/** How exact the last use of a token is: to write it with each request would be a write for each read. */
export const TOKEN_USE_MS = 60_000

export interface IssuedKey {
  readonly sha256Hex: string
  readonly kind: 'access' | 'refresh'
  readonly ttlMs: number
}

/** Issued keys of one token that are valid at the same time. */
export const ISSUED_MAX = 1_000

/** Single use within a window of time, by the database's clock. */
export interface Nonces {
  /**
   * False when this nonce was used before with this timestamp, or when the timestamp, in seconds, lies further than `keepMs`
   * from now: what could have been forgotten is refused. `keepMs` is at most `NONCE_MS_MAX`.
   */
  use(tokenId: TokenId, timestamp: number, nonce: string, keepMs: number): Promise<boolean>
  /** Lets go of what `use` refuses for its age, where that costs next to nothing. */
  forget(): Promise<void>
}

/** The longest that a nonce can be remembered. */
export const NONCE_MS_MAX = 1_800_000

/** What was answered to a request, to be answered again. */
export interface RecordedAnswer {
  readonly status: number
  readonly headers: Readonly<Record<string, string>>
  readonly body: string
}

export type Reservation =
  | { readonly kind: 'reserved' }
  | { readonly kind: 'in_flight' }
  | { readonly kind: 'known'; readonly fingerprint: string; readonly ingestId: IngestId; readonly answer: RecordedAnswer | null }

/** draft-ietf-httpapi-idempotency-key-header. Times are the database's. */
export interface IdempotencyKeys {
  /**
   * The owner is the ingest that the request is going to make. A reservation whose lease has ended is taken over; a key older
   * than `keepMs` is forgotten. An owner may reserve again what is not bound yet.
   */
  reserve(tenantId: TenantId, key: string, owner: IngestId, leaseMs: number, keepMs: number): Promise<Reservation>
  /** No effect unless the key is bound to the owner. */
  record(tenantId: TenantId, key: string, owner: IngestId, answer: RecordedAnswer): Promise<void>
  /** Gives a key back that came to nothing; no effect once it is bound to an ingest, or for another owner. */
  release(tenantId: TenantId, key: string, owner: IngestId): Promise<void>
  /** Removes keys older than `keepMs`; returns how many. */
  forget(keepMs: number, limit: number): Promise<number>
}
