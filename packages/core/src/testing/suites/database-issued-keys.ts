import { describe, expect, test } from 'vitest'
import type { TokenId } from '../../ids.ts'
import { ISSUED_MAX, type IssuedKey, type TokenRecord } from '../../ports.ts'
import { newDigest, newId } from '../builders.ts'
import { eventually, expectRefusal, LONG_MS, range, SHORT_MS, type Subject } from './catalogue.ts'

const aKey = (kind: IssuedKey['kind'] = 'access', ttlMs = LONG_MS) => ({ sha256Hex: newDigest(), kind, ttlMs })

export function issuedKeyTests({ catalogue }: Subject): void {
  const tokens = () => catalogue().database.tokens

  const newToken = (expiresAt: Date | null = null, sha256Hex: string = newDigest()): Promise<TokenRecord> =>
    tokens().create({
      id: newId() as TokenId,
      tenantId: catalogue().home,
      name: 'shop',
      role: 'writer',
      sha256Hex,
      prefix: 'x',
      expiresAt,
    })

  const callerOf = ({ tokenId, tenantId, role, name, number }: TokenRecord) => ({ tokenId, tenantId, role, name, number })

  test('an access token acts as the token that it was issued for', async () => {
    const token = await newToken()
    const key = aKey()
    await tokens().issue(token.tokenId, [key])
    expect(await tokens().authenticate(key.sha256Hex)).toEqual(callerOf(token))
    expect(await tokens().redeem(key.sha256Hex)).toBeNull()
    expect(await tokens().authenticate(key.sha256Hex)).toEqual(callerOf(token))
  })

  test('a refresh token is redeemed once, and authenticates nobody', async () => {
    const token = await newToken()
    const key = aKey('refresh')
    await tokens().issue(token.tokenId, [key])
    expect(await tokens().authenticate(key.sha256Hex)).toBeNull()
    expect(await tokens().redeem(key.sha256Hex)).toEqual(callerOf(token))
    expect(await tokens().redeem(key.sha256Hex)).toBeNull()
  })

  test('of many who redeem one refresh token at once, one gets it', async () => {
    const token = await newToken()
    const key = aKey('refresh')
    await tokens().issue(token.tokenId, [key])
    const callers = await Promise.all(range(10).map(() => tokens().redeem(key.sha256Hex)))
    expect(callers.filter((caller) => caller !== null)).toEqual([callerOf(token)])
  })

  test('a token and what nobody issued are not redeemed', async () => {
    const sha256Hex = newDigest()
    await newToken(null, sha256Hex)
    expect(await tokens().redeem(sha256Hex)).toBeNull()
    expect(await tokens().redeem(newDigest())).toBeNull()
    expect(await tokens().authenticate(sha256Hex)).not.toBeNull()
  })

  test('both end with their time', async () => {
    const { tokenId } = await newToken()
    const [access, refresh] = [aKey('access', SHORT_MS), aKey('refresh', SHORT_MS)] as const
    await tokens().issue(tokenId, [access, refresh])
    await eventually(async () => expect(await tokens().authenticate(access.sha256Hex)).toBeNull())
    await eventually(async () => expect(await tokens().redeem(refresh.sha256Hex)).toBeNull())
  })

  test('both end when the token is revoked', async () => {
    const { tokenId, tenantId } = await newToken()
    const [access, refresh] = [aKey(), aKey('refresh')] as const
    await tokens().issue(tokenId, [access, refresh])
    await tokens().revoke(tenantId, tokenId)
    expect(await tokens().authenticate(access.sha256Hex)).toBeNull()
    expect(await tokens().redeem(refresh.sha256Hex)).toBeNull()
  })

  test('both end when the token expires', async () => {
    const { tokenId } = await newToken(new Date(Date.now() - 1_000))
    const [access, refresh] = [aKey(), aKey('refresh')] as const
    await tokens().issue(tokenId, [access, refresh])
    expect(await tokens().authenticate(access.sha256Hex)).toBeNull()
    expect(await tokens().redeem(refresh.sha256Hex)).toBeNull()
  })

  test('issuing them again, when the answer was lost, changes nothing', async () => {
    const token = await newToken()
    const keys = [aKey(), aKey('refresh')]
    await tokens().issue(token.tokenId, keys)
    await tokens().issue(token.tokenId, keys)
    expect(await tokens().authenticate(keys[0]?.sha256Hex ?? '')).toEqual(callerOf(token))
  })

  test('of a token that is not there are not issued', async () => {
    const key = aKey()
    await expectRefusal(tokens().issue(newId() as TokenId, [key]), 'token_invalid')
    expect(await tokens().authenticate(key.sha256Hex)).toBeNull()
  })

  test('the newest stay, up to a bound that several at once cannot pass', async () => {
    const { tokenId } = await newToken()
    const oldest = aKey()
    await tokens().issue(tokenId, [oldest])
    const batches = range(4).map(() => range(ISSUED_MAX / 4).map(() => aKey()))
    await Promise.all(batches.map((batch) => tokens().issue(tokenId, batch)))
    expect(await tokens().authenticate(oldest.sha256Hex)).toBeNull()
    const stayed = await Promise.all(batches.flat().map(({ sha256Hex }) => tokens().authenticate(sha256Hex)))
    expect(stayed.filter((caller) => caller !== null)).toHaveLength(ISSUED_MAX)
  })

  test('those of one token do not push out those of another', async () => {
    const [one, other] = [await newToken(), await newToken()] as const
    const key = aKey()
    await tokens().issue(one.tokenId, [key])
    const many = range(ISSUED_MAX).map(() => aKey())
    await tokens().issue(other.tokenId, many)
    expect(await tokens().authenticate(key.sha256Hex)).toEqual(callerOf(one))
  })

  test('those that have expired are forgotten, so many at a time, and no others', async () => {
    const { tokenId } = await newToken()
    const good = aKey()
    await tokens().issue(tokenId, [good, ...range(3).map(() => aKey('refresh', SHORT_MS))])
    await eventually(async () => {
      expect(await tokens().forgetExpired(1)).toBe(1)
      expect(await tokens().forgetExpired(1)).toBe(1)
    })
    await eventually(async () => expect(await tokens().forgetExpired(100)).toBe(0))
    expect(await tokens().authenticate(good.sha256Hex)).not.toBeNull()
  })

  describe('the public key of a token', () => {
    test('is what was set last', async () => {
      const { tokenId, tenantId } = await newToken()
      expect(await tokens().findPublicKey(tokenId)).toBeNull()
      for (const pem of ['-----BEGIN PUBLIC KEY-----\nA', 'B', null]) {
        expect(await tokens().setPublicKey(tenantId, tokenId, pem)).toBe(true)
        expect(await tokens().findPublicKey(tokenId)).toBe(pem)
      }
    })

    test('is set by its tenant only', async () => {
      const { tokenId } = await newToken()
      expect(await tokens().setPublicKey(catalogue().stranger, tokenId, 'A')).toBe(false)
      expect(await tokens().setPublicKey(catalogue().home, newId() as TokenId, 'A')).toBe(false)
      expect(await tokens().findPublicKey(tokenId)).toBeNull()
    })

    test('is none once the token is revoked', async () => {
      const { tokenId, tenantId } = await newToken()
      await tokens().setPublicKey(tenantId, tokenId, 'A')
      await tokens().revoke(tenantId, tokenId)
      expect(await tokens().findPublicKey(tokenId)).toBeNull()
    })
  })
}
