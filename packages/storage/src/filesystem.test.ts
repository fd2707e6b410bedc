import type { Objects } from '@sluice/core'
import { objectsSuite } from '@sluice/core/testing'
import { execFileSync } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { mkdirSync, mkdtempSync, statSync } from 'node:fs'
import { access, mkdir, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest'
import { openFilesystemObjects } from './filesystem.ts'
import { Scratch } from './scratch.ts'
import { linkOrCopy } from './volume.ts'

const MIB = 1024 * 1024
const CALM = new AbortController().signal
const dir = mkdtempSync(join(tmpdir(), 'sluice-filesystem-'))
afterAll(() => rm(dir, { recursive: true, force: true }))

objectsSuite('filesystem', () => openFilesystemObjects({ dir: join(dir, 'suite') }))

describe('files of the filesystem objects', () => {
  it('are one file for what is staged and for the blob, and the path of the copy is that of what is staged', async () => {
    const root = join(dir, 'links')
    await using objects = await openFilesystemObjects({ dir: root })
    const path = await stageAndPromote(objects, 'a/staged', 'b/blob')
    expect(path).toBe(join(root, 'staged/a/staged'))
    expect((await stat(path)).ino).toBe((await stat(join(root, 'blobs/b/blob'))).ino)
  })

  it('are never left half done, whatever went wrong', async () => {
    const root = join(dir, 'leftovers')
    await using objects = await openFilesystemObjects({ dir: root })
    for (let time = 0; time < 2; time += 1) await stageAndPromote(objects, 'staged', 'blob')
    const broken = async function* (): AsyncGenerator<Uint8Array> {
      yield randomBytes(MIB)
      throw new Error('the uploader went away')
    }
    await expect(objects.stage('broken', broken(), CALM)).rejects.toThrow('the uploader went away')
    expect(await readdir(join(root, 'partial'))).toEqual([])
    expect(await readdir(join(root, 'staged'))).toEqual(['staged'])
  })

  it('are seen by every process that opened the directory', async () => {
    await using one = await openFilesystemObjects({ dir: join(dir, 'shared') })
    await using other = await openFilesystemObjects({ dir: join(dir, 'shared') })
    await stageAndPromote(one, 'staged', 'blob')
    expect(await other.statBlob('blob')).toBe(MIB)
    expect(await other.listStaged(new Date(Date.now() + 60_000), 10)).toEqual(['staged'])
  })

  it('that a killed process left half done are removed at the next start, young ones not', async () => {
    const path = join(dir, 'sweep')
    await Scratch.open(path)
    await writeFile(join(path, 'left'), 'over')
    await Scratch.open(path)
    await access(join(path, 'left'))
    await Scratch.open(path, -1)
    expect(await readdir(path)).toEqual([])
  })

  it('that a process which was killed has left are removed by those that go on', async () => {
    const path = join(dir, 'survivor')
    const scratch = await Scratch.open(path, -1)
    await writeFile(join(path, 'left'), '')
    scratch.newPath()
    await vi.waitFor(async () => expect(await readdir(path)).toEqual([]))
  })

  it('that somebody else has put among the staged ones are not taken for staged', async () => {
    const root = join(dir, 'foreign')
    await using objects = await openFilesystemObjects({ dir: root })
    await objects.stage('ours', chunksOf(randomBytes(10)), CALM)
    await writeFile(join(root, 'staged', 'a\\b'), '')
    expect(await objects.listStaged(new Date(Date.now() + 60_000), 10)).toEqual(['ours'])
  })

  it('need a directory that can be written: a ping tells', async () => {
    const root = join(dir, 'ping')
    await using objects = await openFilesystemObjects({ dir: root })
    await rm(join(root, 'blobs'), { recursive: true })
    await expect(objects.ping()).rejects.toMatchObject({ code: 'service_unavailable' })
    await mkdir(join(root, 'blobs'))
    await expect(objects.ping()).resolves.toBeUndefined()
  })
})

const other = '/dev/shm'
const hasOther = statSync(other, { throwIfNoEntry: false })?.isDirectory() === true && statSync(other).dev !== statSync(dir).dev

describe.skipIf(!hasOther)('two file systems', () => {
  it('get a copy where a link cannot be', async () => {
    const to = mkdtempSync(join(other, 'sluice-link-'))
    try {
      const [from, bytes] = [join(dir, 'from'), randomBytes(MIB)]
      await writeFile(from, bytes)
      await linkOrCopy(from, join(to, 'copy'))
      expect(bytes.equals(await readFile(join(to, 'copy')))).toBe(true)
    } finally {
      await rm(to, { recursive: true })
    }
  })
})

const small = join(dir, 'small')

function mountSmall(): void {
  execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=4m', 'tmpfs', small], { stdio: 'ignore' })
}

function unmountSmall(): void {
  execFileSync('umount', [small])
}

/** Needs the right to mount; where that is missing, the tests are skipped. */
function canMount(): boolean {
  try {
    mkdirSync(small)
    mountSmall()
  } catch {
    // Why it cannot is of no interest: macOS, a container, a user without rights.
    return false
  }
  unmountSmall()
  return true
}

describe.skipIf(!canMount())('a full disk', () => {
  beforeAll(mountSmall)
  afterAll(unmountSmall)

  it('is `storage_full`, leaves nothing, and is over when there is room', async () => {
    await using objects = await openFilesystemObjects({ dir: small })
    const upload = (bytes: number): Promise<void> => objects.stage('key', chunksOf(randomBytes(bytes)), CALM)
    await expect(upload(6 * MIB)).rejects.toMatchObject({ code: 'storage_full' })
    await expect(objects.putBlob('blob', randomBytes(6 * MIB), 'image/png', CALM)).rejects.toMatchObject({ code: 'storage_full' })
    expect(await readdir(join(small, 'partial'))).toEqual([])
    expect(await objects.checkOut('key', CALM)).toBeNull()
    await upload(2 * MIB)
    expect(await objects.checkOut('key', CALM)).toMatchObject({ bytes: 2 * MIB })
  })
})

async function stageAndPromote(objects: Objects, key: string, blobKey: string): Promise<string> {
  await objects.stage(key, chunksOf(randomBytes(MIB)), CALM)
  await using copy = await objects.checkOut(key, CALM)
  if (!copy) throw new Error('Nothing was staged')
  await objects.promote(key, copy, blobKey, 'image/png', CALM)
  return copy.path
}

async function* chunksOf(bytes: Uint8Array): AsyncGenerator<Uint8Array, void, undefined> {
  for (let at = 0; at < bytes.length; at += 60_000) yield bytes.subarray(at, at + 60_000)
}
