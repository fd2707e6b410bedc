import { expect, test, vi } from 'vitest'
import { openLoop } from './loop.ts'

const HOUR_MS = 3_600_000
const onError = (error: unknown) => {
  throw error
}

test('takes turns without rest while there is more to do', async () => {
  let left = 5
  await using _loop = openLoop({ turn: async () => --left > 0, idleMs: HOUR_MS, onError })
  await vi.waitFor(() => expect(left).toBe(0))
})

test('a call wakes it, also one that comes during a turn', async () => {
  let turns = 0
  let wake = () => {}
  const wakeOn = (call: () => void) => {
    wake = call
    return { [Symbol.dispose]() {} }
  }
  const turn = async () => {
    turns += 1
    if (turns === 1) wake()
    return false
  }
  await using _loop = openLoop({ turn, idleMs: HOUR_MS, onError, wakeOn })
  await vi.waitFor(() => expect(turns).toBe(2))
  wake()
  await vi.waitFor(() => expect(turns).toBe(3))
})

test('goes on after a turn that threw', async () => {
  const errors: unknown[] = []
  let turns = 0
  const turn = async () => {
    turns += 1
    if (turns === 1) throw new Error('first')
    return false
  }
  await using _loop = openLoop({ turn, idleMs: 1, onError: (error) => errors.push(error) })
  await vi.waitFor(() => expect(turns).toBeGreaterThan(1))
  expect(errors).toEqual([new Error('first')])
})

test('disposing waits for the turn that runs and starts no other', async () => {
  const gate = Promise.withResolvers<void>()
  let ended = 0
  let begun = 0
  const loop = openLoop({
    turn: async () => {
      begun += 1
      await gate.promise
      ended += 1
      return true
    },
    idleMs: 1,
    onError,
  })
  const disposed = loop[Symbol.asyncDispose]()
  expect(ended).toBe(0)
  gate.resolve()
  await disposed
  expect([begun, ended]).toEqual([1, 1])
})
