import { crc32 } from 'node:zlib'
import { describe, expect, test } from 'vitest'
import type { TokenId } from './ids.ts'
import { hashToken, newTokenSecret, oauth1Credentials, tokenHint } from './tokens.ts'

const ID = '0197f1c2-3a4b-7c5d-8e6f-0123456789ab' as TokenId

describe('the secret of a token', () => {
  const secrets = Array.from({ length: 100 }, newTokenSecret)

  test('is 256 random bits between a prefix and a checksum, so that a scanner of leaks finds it and nothing else', () => {
    expect(new Set(secrets).size).toBe(secrets.length)
    for (const secret of secrets) {
      const [, before = '', random = '', sum = ''] = /^(sluice_([A-Za-z0-9_-]{43}))([0-9a-f]{8})$/.exec(secret) ?? []
      expect(Buffer.from(random, 'base64url')).toHaveLength(32)
      expect(Number.parseInt(sum, 16)).toBe(crc32(before))
    }
  })

  test('is kept as a hash, and shown by less than its tenth random character', () => {
    for (const secret of secrets) {
      expect(hashToken(secret)).toMatch(/^[0-9a-f]{64}$/)
      expect(tokenHint(secret)).toBe(secret.slice(0, 12))
    }
    expect(tokenHint('short')).toBe('s')
  })
})

describe('the OAuth 1.0a credentials of a token', () => {
  test('are the same each time, and four different texts', () => {
    const credentials = oauth1Credentials('a key', ID)
    expect(oauth1Credentials('a key', ID.toUpperCase() as TokenId)).toEqual(credentials)
    expect(new Set(Object.values(credentials)).size).toBe(4)
  })

  test('name the token by its id, and otherwise tell nothing of it', () => {
    const { consumerKey, token, consumerSecret, tokenSecret } = oauth1Credentials('a key', ID)
    expect(consumerKey).toBe('0197f1c23a4b7c5d8e6f0123456789ab')
    expect(token).toMatch(/^[0-9a-f]{32}$/)
    // 256 bits each, in characters that need no escape in a header or an address.
    for (const secret of [consumerSecret, tokenSecret]) expect(secret).toMatch(/^[A-Za-z0-9_-]{43}$/)
  })

  test('have secrets that depend on the key of the installation and on the token', () => {
    const own = oauth1Credentials('a key', ID)
    for (const other of [oauth1Credentials('another key', ID), oauth1Credentials('a key', ID.replace('b', 'c') as TokenId)]) {
      expect(other.consumerSecret).not.toBe(own.consumerSecret)
      expect(other.tokenSecret).not.toBe(own.tokenSecret)
    }
  })
})
