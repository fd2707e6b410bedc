import { describe, expect, test, vi } from 'vitest'
import type { TokenId } from './ids.ts'
import type { Database } from './ports.ts'
import { newDigest, newId } from './testing/builders.ts'
import { memoryWorld } from './testing/memory-world.ts'
import { noteTokenUse } from './token-use.ts'

const USED = { name: 'camera', role: 'writer', prefix: 'x', expiresAt: null } as const

async function start() {
  const world = memoryWorld()
  const clock = { nowMs: 0 }
  const tenantId = await world.database.tenants.findByName('default')
  if (!tenantId) throw new Error('there is no tenant')
  const token = () => world.database.tokens.create({ ...USED, tenantId, id: newId() as TokenId, sha256Hex: newDigest() })
  const noteUse = vi.fn<Database['tokens']['noteUse']>((ids) => world.database.tokens.noteUse(ids))
  const database = noteTokenUse({ ...world.database, tokens: { ...world.database.tokens, noteUse } }, () => clock.nowMs)
  return { world, clock, database, noteUse, token, tenantId }
}

const secondsOf = ({ now }: ReturnType<typeof memoryWorld>) => Math.floor(now().getTime() / 1_000)

describe('the use of a token', () => {
  test('is noted when it lets somebody in, and once a minute', async () => {
    const { database, clock, noteUse, tenantId } = await start()
    const sha256Hex = newDigest()
    const { tokenId } = await database.tokens.create({ ...USED, tenantId, id: newId() as TokenId, sha256Hex })
    for (let time = 0; time < 3; time++) expect((await database.tokens.authenticate(sha256Hex))?.tokenId).toBe(tokenId)
    expect(noteUse.mock.calls).toEqual([[[tokenId]]])
    expect((await database.tokens.list(tenantId))[0]?.lastUsedAt).toBeInstanceOf(Date)
    clock.nowMs += 60_000
    await database.tokens.authenticate(sha256Hex)
    expect(noteUse).toHaveBeenCalledTimes(2)
  })

  test('is not what somebody asked who was not let in, or asked by its id', async () => {
    const { world, database, noteUse, token } = await start()
    const { tokenId } = await token()
    await database.tokens.authenticate(newDigest())
    await database.tokens.findActive(tokenId)
    expect(noteUse).not.toHaveBeenCalled()
    expect(await database.nonces.use(tokenId, secondsOf(world), 'once', 60_000)).toBe(true)
    expect(noteUse.mock.calls).toEqual([[[tokenId]]])
  })

  test('keeps nobody waiting, and lets what comes meanwhile go in one statement', async () => {
    const { world, database, noteUse, token } = await start()
    const { promise, resolve } = Promise.withResolvers<void>()
    noteUse.mockImplementationOnce(() => promise)
    const tokens = [await token(), await token(), await token()]
    const seconds = secondsOf(world)
    for (const { tokenId } of tokens) expect(await database.nonces.use(tokenId, seconds, 'once', 60_000)).toBe(true)
    const [first, ...others] = tokens.map(({ tokenId }) => tokenId)
    expect(noteUse.mock.calls).toEqual([[[first]]])
    resolve()
    await vi.waitFor(() => expect(noteUse.mock.calls).toEqual([[[first]], [others]]))
  })

  test('that cannot be noted fails no request', async () => {
    const { database, clock, noteUse, tenantId } = await start()
    noteUse.mockRejectedValue(new Error('away'))
    const sha256Hex = newDigest()
    await database.tokens.create({ ...USED, tenantId, id: newId() as TokenId, sha256Hex })
    for (let time = 0; time < 3; time++) {
      expect(await database.tokens.authenticate(sha256Hex)).not.toBeNull()
      await vi.waitFor(() => expect(noteUse).toHaveBeenCalledTimes(time + 1))
      clock.nowMs += 60_000
    }
  })
})
