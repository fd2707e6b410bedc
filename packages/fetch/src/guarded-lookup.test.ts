import type { LookupAddress } from 'node:dns'
import { expect, test } from 'vitest'
import { guardedLookup, openResolve, type Resolve } from './guarded-lookup.ts'

const PUBLIC: readonly LookupAddress[] = [
  { address: '93.184.215.14', family: 4 },
  { address: '2606:2800:21f:cb07:6820:80da:af6b:8b2c', family: 6 },
]

const lookUp = (resolve: Resolve, all: boolean, name = 'name.example') =>
  new Promise<unknown>((done, fail) =>
    guardedLookup(resolve)(name, { all }, (error, ...found) => (error ? fail(error) : done(found))),
  )

test('connects to what it has checked: a name that leads elsewhere the second time is not asked a second time', async () => {
  let times = 0
  const rebinding: Resolve = async () => (++times === 1 ? PUBLIC : [{ address: '127.0.0.1', family: 4 }])
  expect(await lookUp(rebinding, true)).toEqual([PUBLIC])
  expect(times).toBe(1)
  await expect(lookUp(rebinding, true)).rejects.toMatchObject({ code: 'url_forbidden' })
})

test('gives one address to who wants one', async () => {
  expect(await lookUp(async () => PUBLIC, false)).toEqual(['93.184.215.14', 4])
})

test('tells a name that cannot be looked up now from one that leads nowhere', async () => {
  const failing = (code: string) => () => Promise.reject(Object.assign(new Error(code), { code }))
  await expect(lookUp(failing('ESERVFAIL'), true)).rejects.toMatchObject({ code: 'source_unavailable' })
  await expect(lookUp(failing('ENODATA'), true)).rejects.toMatchObject({ code: 'url_forbidden' })
  await expect(lookUp(async () => [], true)).rejects.toMatchObject({ code: 'url_forbidden' })
})

test('leaves the names of this machine alone', async () => {
  await expect(lookUp(openResolve(), true, 'localhost')).rejects.toMatchObject({ code: expect.stringMatching(/^url_/) })
})
