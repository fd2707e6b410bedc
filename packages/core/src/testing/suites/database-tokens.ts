import { expect, test } from 'vitest'
import type { TenantId, TokenId } from '../../ids.ts'
import type { Tokens } from '../../ports.ts'
import { newDigest, newId } from '../builders.ts'
import type { Subject } from './catalogue.ts'

type NewToken = Parameters<Tokens['create']>[0]

function aToken(tenantId: TenantId, overrides: Partial<NewToken> = {}): NewToken {
  return {
    id: newId() as TokenId,
    tenantId,
    name: 'camera',
    role: 'writer',
    sha256Hex: newDigest(),
    prefix: 'sluice_abcd',
    expiresAt: null,
    ...overrides,
  }
}

const HOUR_MS = 3_600_000
const inAnHour = () => new Date(Date.now() + HOUR_MS)
const anHourAgo = () => new Date(Date.now() - HOUR_MS)

export function tokenTests({ catalogue }: Subject): void {
  const tokens = () => catalogue().database.tokens
  const create = (overrides?: Partial<NewToken>) => tokens().create(aToken(catalogue().home, overrides))

  test('tell who asks', async () => {
    for (const expiresAt of [null, inAnHour()]) {
      const token = aToken(catalogue().home, { expiresAt, role: 'admin' })
      const record = await tokens().create(token)
      const caller = { tokenId: token.id, tenantId: token.tenantId, role: 'admin', name: 'camera', number: record.number }
      expect(Number.isSafeInteger(record.number)).toBe(true)
      expect(record).toMatchObject({ ...caller, prefix: token.prefix, expiresAt, revokedAt: null, lastUsedAt: null })
      expect(record.createdAt).toBeInstanceOf(Date)
      expect(await tokens().authenticate(token.sha256Hex)).toEqual(caller)
      expect(await tokens().findActive(token.id)).toEqual(caller)
    }
  })

  test('that nobody made tell nothing', async () => {
    expect(await tokens().authenticate(newDigest())).toBeNull()
    expect(await tokens().findActive(newId() as TokenId)).toBeNull()
  })

  test('that have expired tell nothing', async () => {
    const token = aToken(catalogue().home, { expiresAt: anHourAgo() })
    await tokens().create(token)
    expect(await tokens().authenticate(token.sha256Hex)).toBeNull()
    expect(await tokens().findActive(token.id)).toBeNull()
  })

  test('that were revoked tell nothing, and may be revoked twice', async () => {
    const token = aToken(catalogue().home)
    await tokens().create(token)
    expect(await tokens().revoke(token.tenantId, token.id)).toBe(true)
    const revoked = (await tokens().list(token.tenantId)).find(({ tokenId }) => tokenId === token.id)
    expect(revoked?.revokedAt).toBeInstanceOf(Date)
    expect(await tokens().revoke(token.tenantId, token.id)).toBe(true)
    expect((await tokens().list(token.tenantId)).find(({ tokenId }) => tokenId === token.id)).toEqual(revoked)
    expect(await tokens().authenticate(token.sha256Hex)).toBeNull()
    expect(await tokens().findActive(token.id)).toBeNull()
  })

  test('cannot be revoked where there are none', async () => {
    expect(await tokens().revoke(catalogue().home, newId() as TokenId)).toBe(false)
  })

  test('of a hash that is there are what is there', async () => {
    const token = aToken(catalogue().home, { expiresAt: inAnHour() })
    const first = await tokens().create(token)
    const again = { ...token, id: newId() as TokenId, name: 'other', role: 'admin', expiresAt: null, prefix: 'x' } as const
    expect(await tokens().create(again)).toEqual(first)
    expect(await tokens().authenticate(token.sha256Hex)).toMatchObject({ tokenId: token.id, name: 'camera', role: 'writer' })
    expect((await tokens().list(token.tenantId)).map(({ tokenId }) => tokenId)).not.toContain(again.id)
  })

  test('of a revoked hash stay revoked when they are created again', async () => {
    const token = aToken(catalogue().home)
    await tokens().create(token)
    await tokens().revoke(token.tenantId, token.id)
    expect((await tokens().create(token)).revokedAt).toBeInstanceOf(Date)
    expect(await tokens().authenticate(token.sha256Hex)).toBeNull()
  })

  test('remember when they were last used, to the minute', async () => {
    const [used, unused] = [await create(), await create()]
    const find = async ({ tokenId }: { tokenId: TokenId }) =>
      (await tokens().list(catalogue().home)).find((token) => token.tokenId === tokenId)
    await tokens().noteUse([])
    await tokens().noteUse([used.tokenId, used.tokenId, newId() as TokenId, 'nothing' as TokenId])
    const first = await find(used)
    expect(first).toEqual({ ...used, lastUsedAt: expect.any(Date) })
    expect(Number(first?.lastUsedAt)).toBeGreaterThanOrEqual(Number(used.createdAt))
    await Promise.all(Array.from({ length: 5 }, () => tokens().noteUse([unused.tokenId, used.tokenId])))
    expect(await find(used)).toEqual(first)
    expect((await find(unused))?.lastUsedAt).toBeInstanceOf(Date)
  })

  test('are listed newest first, also those that are over', async () => {
    const made = [await create(), await create({ expiresAt: anHourAgo() }), await create()]
    const [first, expired, last] = made.map(({ tokenId }) => tokenId) as [TokenId, TokenId, TokenId]
    await tokens().revoke(catalogue().home, first)
    const listed = await tokens().list(catalogue().home)
    expect(listed.slice(0, 3).map(({ tokenId }) => tokenId)).toEqual([last, expired, first])
    expect(listed[0]).toEqual(made[2])
  })
}
