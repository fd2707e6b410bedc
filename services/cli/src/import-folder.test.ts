import { mkdir, mkdtemp, rm, symlink, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { afterAll, beforeAll, expect, it } from 'vitest'
import { readFolder } from './import-folder.ts'
import { DEFAULT_PATTERN, readPattern } from './import-pattern.ts'

let path: string

beforeAll(async () => {
  path = await mkdtemp(join(tmpdir(), 'sluice-folder-'))
  for (const name of ['b_10.jpg', 'b_2.jpg', 'a/c_1.jpg', '.hidden_1.jpg', '.git/d_1.jpg', 'README.md']) {
    await mkdir(dirname(join(path, name)), { recursive: true })
    await writeFile(join(path, name), name)
  }
  await symlink(join(path, 'b_2.jpg'), join(path, 'link_1.jpg'))
  await symlink(path, join(path, 'circle_1'))
  await symlink(join(path, 'nowhere'), join(path, 'broken_1.jpg'))
})
afterAll(() => rm(path, { recursive: true, force: true }))

it('gives the files of a folder in the order of their names, each time the same, and tells what it leaves out', async () => {
  const others: string[] = []
  const walk = () =>
    Array.fromAsync(readFolder({ path, pattern: readPattern(DEFAULT_PATTERN), onOther: (other) => others.push(other) }))
  const rows = await walk()
  expect(rows.map(({ line, where, fields }) => [line, where, fields['position']])).toEqual([
    [1, 'a/c_1.jpg', 1],
    [2, 'b_2.jpg', 2],
    [3, 'b_10.jpg', 10],
    [4, 'link_1.jpg', 1],
  ])
  expect(others).toEqual(['README.md'])
  expect(await walk()).toEqual(rows)
})
