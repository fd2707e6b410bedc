import { expect, test } from 'vitest'
import type { TokenId } from '../../ids.ts'
import { NONCE_MS_MAX } from '../../ports.ts'
import { newId } from '../builders.ts'
import { range, type Subject } from './catalogue.ts'

const seconds = () => Math.floor(Date.now() / 1000)

export function nonceTests({ catalogue }: Subject): void {
  const nonces = () => catalogue().database.nonces
  const use = (tokenId: TokenId, timestamp: number, nonce: string) => nonces().use(tokenId, timestamp, nonce, NONCE_MS_MAX)

  test('a nonce is used once', async () => {
    const [token, now] = [newId() as TokenId, seconds()] as const
    expect(await use(token, now, 'a')).toBe(true)
    expect(await use(token, now, 'a')).toBe(false)
    expect(await use(token, now, 'a')).toBe(false)
  })

  test('it is another one with another timestamp, or of another token', async () => {
    const [token, now] = [newId() as TokenId, seconds()] as const
    expect(await use(token, now, 'a')).toBe(true)
    expect(await use(token, now - 1, 'a')).toBe(true)
    expect(await use(token, now, 'A')).toBe(true)
    expect(await use(newId() as TokenId, now, 'a')).toBe(true)
  })

  test('of many who use one at once, one may', async () => {
    const [token, now] = [newId() as TokenId, seconds()] as const
    for (const nonce of ['a', 'b', 'c']) {
      const uses = await Promise.all(range(16).map(() => use(token, now, nonce)))
      expect(uses.filter(Boolean)).toHaveLength(1)
    }
  })

  test('it is remembered all over the window, also while old ones are forgotten', async () => {
    const [token, now] = [newId() as TokenId, seconds()] as const
    const reach = NONCE_MS_MAX / 1000 - 60
    const times = [now - reach, now - reach / 2, now, now + reach / 2, now + reach]
    for (const time of times) expect(await use(token, time, 'a')).toBe(true)
    await nonces().forget()
    for (const time of times) expect(await use(token, time, 'a')).toBe(false)
  })

  test('it is refused where it could have been forgotten', async () => {
    const [token, now] = [newId() as TokenId, seconds()] as const
    const beyond = NONCE_MS_MAX / 1000 + 60
    for (const time of [now - beyond, now + beyond, 0, -1, 1e300, NaN, Infinity]) expect(await use(token, time, 'a')).toBe(false)
    expect(await nonces().use(token, now - 60, 'a', 10_000)).toBe(false)
    expect(await nonces().use(token, now - 60, 'a', 100_000)).toBe(true)
  })

  test('it may be any text', async () => {
    const [token, now] = [newId() as TokenId, seconds()] as const
    for (const nonce of ['', '\0', '\ud800', '🙂', 'x'.repeat(10_000), "'; drop table nonces; --"]) {
      expect(await use(token, now, nonce)).toBe(true)
      expect(await use(token, now, nonce)).toBe(false)
    }
  })
}
