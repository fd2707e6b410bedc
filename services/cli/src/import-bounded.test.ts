import { expect, it } from 'vitest'
import { inGroups, mapBounded } from './import-bounded.ts'

it('does so many at a time, and gives results in the order of the items', async () => {
  let running = 0
  let most = 0
  const results = await mapBounded([5, 1, 4, 2, 3], 2, async (number) => {
    most = Math.max(most, ++running)
    for (let turn = 0; turn < number; turn += 1) await Promise.resolve()
    running -= 1
    return number * 10
  })
  expect(results).toEqual([50, 10, 40, 20, 30])
  expect(most).toBe(2)
})

it('begins nothing more after an error', async () => {
  const begun: number[] = []
  const all = mapBounded([1, 2, 3, 4, 5, 6], 2, async (number) => {
    begun.push(number)
    await Promise.resolve()
    if (number === 2) throw new Error('no')
  })
  await expect(all).rejects.toThrow('no')
  expect(begun.length).toBeLessThan(6)
})

it('makes groups, the last one smaller', async () => {
  const items = (async function* () {
    yield* [1, 2, 3, 4, 5]
  })()
  expect(await Array.fromAsync(inGroups(items, 2))).toEqual([[1, 2], [3, 4], [5]])
})
