import { createHash, randomBytes, randomUUID } from 'node:crypto'
import { readFile, stat } from 'node:fs/promises'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { SluiceError } from '../errors.ts'
import type { LocalCopy, Objects, StoredBlob } from '../ports.ts'

const MIB = 1024 * 1024
const CALM = new AbortController().signal
const SIZES = [0, 1, 64 * 1024, 5 * MIB + 1, 20 * MIB]

/** What a stand-in for a real server cannot do; such tests are skipped. */
export interface Shortcomings {
  /** The longest upload that it takes. */
  readonly bytesMax?: number
  /** Keys with other than plain characters come out of a listing changed. */
  readonly listsPlainKeysOnly?: boolean
}

/** What every implementation of `Objects` promises. It is opened once for all tests. */
export function objectsSuite(name: string, open: () => Promise<Objects & AsyncDisposable>, lacking: Shortcomings = {}): void {
  describe(`objects: ${name}`, () => {
    let objects: Objects & AsyncDisposable
    const subject = (): Objects => objects

    beforeAll(async () => {
      objects = await open()
    })
    afterAll(async () => {
      await objects[Symbol.asyncDispose]()
    })

    sizeTests(subject, lacking.bytesMax ?? Infinity)
    stagingTests(subject)
    interruptionTests(subject)
    promotionTests(subject)
    gatheringTests(subject)
    blobTests(subject)
    readingTests(subject)
    keyTests(subject, lacking.listsPlainKeysOnly ?? false)
  })
}

function sizeTests(subject: () => Objects, bytesMax: number): void {
  for (const size of SIZES) {
    it.skipIf(size > bytesMax)(`gives back ${size} staged bytes as they were, counted and hashed`, async () => {
      const [key, bytes] = [newKey(), randomBytes(size)]
      await subject().stage(key, inChunks(bytes), CALM)
      await using copy = await checkOut(subject(), key)
      expect(copy).toMatchObject({ bytes: size, digest: sha256(bytes) })
      expect(bytes.equals(await readFile(copy.path))).toBe(true)
    })

    it.skipIf(size > bytesMax)(`makes a blob of ${size} staged bytes, which stay`, async () => {
      const [key, blobKey, bytes] = [newKey(), newKey(), randomBytes(size)]
      await promote(subject(), key, blobKey, bytes)
      expect(await subject().statBlob(blobKey)).toBe(size)
      expect(bytes.equals(await readAll(subject(), blobKey))).toBe(true)
      await using copy = await checkOut(subject(), key)
      expect(copy.bytes).toBe(size)
    })
  }
}

function stagingTests(subject: () => Objects): void {
  it('replaces what was staged under the same key', async () => {
    const [key, second] = [newKey(), randomBytes(1000)]
    await subject().stage(key, inChunks(randomBytes(5000)), CALM)
    await subject().stage(key, inChunks(second), CALM)
    await using copy = await checkOut(subject(), key)
    expect(copy.digest).toBe(sha256(second))
  })

  it('keeps 16 parallel uploads apart', async () => {
    const uploads = Array.from({ length: 16 }, () => ({ key: newKey(), bytes: randomBytes(2 * MIB + 1) }))
    await Promise.all(uploads.map(({ key, bytes }) => subject().stage(key, inChunks(bytes), CALM)))
    for (const { key, bytes } of uploads) {
      await using copy = await checkOut(subject(), key)
      expect(copy.digest).toBe(sha256(bytes))
    }
  })

  it('checks out null when nothing was staged', async () => {
    expect(await subject().checkOut(newKey(), CALM)).toBeNull()
  })

  it('lets copies of one key be used at once, each until it is disposed of', async () => {
    const [key, bytes] = [newKey(), randomBytes(1000)]
    await subject().stage(key, inChunks(bytes), CALM)
    const first = await checkOut(subject(), key)
    await using second = await checkOut(subject(), key)
    await first[Symbol.asyncDispose]()
    expect(bytes.equals(await readFile(second.path))).toBe(true)
  })

  it('leaves nothing of a copy that was disposed of, and the staged bytes where they are', async () => {
    const [key, bytes] = [newKey(), randomBytes(1000)]
    await subject().stage(key, inChunks(bytes), CALM)
    const first = await checkOut(subject(), key)
    await first[Symbol.asyncDispose]()
    await first[Symbol.asyncDispose]()
    await using second = await checkOut(subject(), key)
    expect(second.digest).toBe(sha256(bytes))
    const isStagedFileItself = second.path === first.path
    const leftOver = isStagedFileItself ? null : await stat(first.path).catch(() => null)
    expect(leftOver).toBeNull()
  })

  it('forgets what is unstaged, and is not troubled by doing it twice', async () => {
    const key = newKey()
    await subject().stage(key, inChunks(randomBytes(10)), CALM)
    await subject().unstage(key)
    await subject().unstage(key)
    expect(await subject().checkOut(key, CALM)).toBeNull()
  })

  it('lists staged keys by time, up to a limit', async () => {
    const keys = [newKey(), newKey(), newKey()].toSorted()
    for (const key of keys) await subject().stage(key, inChunks(randomBytes(10)), CALM)
    await subject().putBlob(newKey(), randomBytes(10), 'image/png', CALM)
    const [past, future] = [new Date(Date.now() - 3_600_000), new Date(Date.now() + 3_600_000)]
    expect(await subject().listStaged(past, 1000)).toEqual([])
    expect(await subject().listStaged(future, 2)).toHaveLength(2)
    expect(await subject().listStaged(future, 0)).toEqual([])
    const listed = await subject().listStaged(future, 1000)
    expect(listed.filter((key) => keys.includes(key)).toSorted()).toEqual(keys)
    await subject().unstage(keys[0] ?? '')
    expect(await subject().listStaged(future, 1000)).not.toContain(keys[0])
  })

  it('lists staged keys page by page, each of them once, whatever is taken away meanwhile', async () => {
    const folders = [newKey(), newKey()]
    const keys = Array.from({ length: 12 }, (_, n) => `${folders[n % 2] ?? ''}${n % 3 === 0 ? '-' : '/'}${newKey()}`)
    for (const key of keys) await subject().stage(key, inChunks(randomBytes(10)), CALM)
    const future = new Date(Date.now() + 3_600_000)
    const seen: string[] = []
    for (let after: string | null = null; ;) {
      const page: readonly string[] = await subject().listStaged(future, 5, after)
      seen.push(...page)
      after = page.at(-1) ?? null
      if (after === null) break
      if (keys.includes(after)) await subject().unstage(after)
    }
    expect(new Set(seen).size).toBe(seen.length)
    expect(seen.filter((key) => keys.includes(key)).toSorted()).toEqual(keys.toSorted())
  })

  it('answers a ping', async () => {
    await expect(subject().ping()).resolves.toBeUndefined()
  })
}

function interruptionTests(subject: () => Objects): void {
  it.each([0, 10, 6 * MIB])('throws what the stream threw after %i bytes, and stages nothing', async (size) => {
    const key = newKey()
    const refusal = new SluiceError('file_too_large')
    await expect(subject().stage(key, thenThrow(randomBytes(size), refusal), CALM)).rejects.toBe(refusal)
    await expectNothingStaged(subject(), key)
  })

  it('throws errors of the stream untouched even when they look like those of a disk', async () => {
    const lookalike = Object.assign(new Error('from the caller'), { code: 'ENOSPC' })
    await expect(subject().stage(newKey(), thenThrow(randomBytes(10), lookalike), CALM)).rejects.toBe(lookalike)
  })

  it('stops at an abortion while the stream is silent, and stages nothing', async () => {
    const key = newKey()
    const [abortion, reason] = [new AbortController(), new Error('enough')]
    const silent = thenSilence(randomBytes(6 * MIB), () => abortion.abort(reason))
    await expect(subject().stage(key, silent, abortion.signal)).rejects.toBe(reason)
    await expectNothingStaged(subject(), key)
  })

  it('does nothing under a signal that was aborted before', async () => {
    const reason = new Error('too late')
    const signal = AbortSignal.abort(reason)
    const [key, bytes] = [newKey(), randomBytes(10)]
    await subject().stage(key, inChunks(bytes), CALM)
    await using copy = await checkOut(subject(), key)
    const other = newKey()
    await expect(subject().stage(other, inChunks(bytes), signal)).rejects.toBe(reason)
    await expectNothingStaged(subject(), other)
    await expect(subject().checkOut(key, signal)).rejects.toBe(reason)
    await expect(subject().promote(key, copy, other, 'image/png', signal)).rejects.toBe(reason)
    await expect(subject().putBlob(other, bytes, 'image/png', signal)).rejects.toBe(reason)
    await expect(subject().readBlob(other, null, signal)).rejects.toBe(reason)
    expect(await subject().statBlob(other)).toBeNull()
  })
}

function promotionTests(subject: () => Objects): void {
  it('may be told to promote the same bytes twice', async () => {
    const [blobKey, bytes] = [newKey(), randomBytes(1000)]
    await promote(subject(), newKey(), blobKey, bytes)
    await promote(subject(), newKey(), blobKey, bytes)
    expect(bytes.equals(await readAll(subject(), blobKey))).toBe(true)
  })

  it('lets 20 promote one blob at once, from one staged key and from others', async () => {
    const [key, blobKey, bytes] = [newKey(), newKey(), randomBytes(MIB)]
    await subject().stage(key, inChunks(bytes), CALM)
    await using copy = await checkOut(subject(), key)
    const same = Array.from({ length: 10 }, () => subject().promote(key, copy, blobKey, 'image/png', CALM))
    const others = Array.from({ length: 10 }, () => promote(subject(), newKey(), blobKey, bytes))
    await Promise.all([...same, ...others])
    expect(bytes.equals(await readAll(subject(), blobKey))).toBe(true)
  })

  it('keeps the blob when its staged bytes are replaced and removed', async () => {
    const [key, blobKey, bytes] = [newKey(), newKey(), randomBytes(1000)]
    await promote(subject(), key, blobKey, bytes)
    await subject().stage(key, inChunks(randomBytes(1000)), CALM)
    expect(bytes.equals(await readAll(subject(), blobKey))).toBe(true)
    await subject().unstage(key)
    expect(bytes.equals(await readAll(subject(), blobKey))).toBe(true)
  })

  it('refuses to promote what is gone, or is longer than what was checked out', async () => {
    const [key, blobKey] = [newKey(), newKey()]
    await subject().stage(key, inChunks(randomBytes(100)), CALM)
    await using copy = await checkOut(subject(), key)
    await subject().stage(key, inChunks(randomBytes(101)), CALM)
    await expect(subject().promote(key, copy, blobKey, 'image/png', CALM)).rejects.toMatchObject({ code: 'bytes_damaged' })
    await subject().unstage(key)
    await expect(subject().promote(key, copy, blobKey, 'image/png', CALM)).rejects.toMatchObject({ code: 'bytes_damaged' })
  })
}

function gatheringTests(subject: () => Objects): void {
  const stageParts = async (...parts: Buffer[]) => {
    const keys = parts.map(newKey)
    for (const [index, part] of parts.entries()) await subject().stage(keys[index] ?? '', inChunks(part), CALM)
    return keys
  }

  it('says how large what is staged is', async () => {
    const [key = ''] = await stageParts(randomBytes(1234))
    expect(await subject().statStaged(key)).toBe(1234)
    expect(await subject().statStaged(newKey())).toBeNull()
  })

  it.each([1, 2, 3])('gathers %i parts in their order, which stay, and makes a blob of the copy', async (count) => {
    const parts = Array.from({ length: count }, (_, index) => randomBytes(100_000 + index))
    const whole = Buffer.concat(parts)
    const keys = await stageParts(...parts)
    await using copy = await subject().gather(keys, CALM)
    expect(copy).toMatchObject({ bytes: whole.length, digest: sha256(whole) })
    const blobKey = newKey()
    if (copy) await subject().promote(null, copy, blobKey, 'image/png', CALM)
    expect(whole.equals(await readAll(subject(), blobKey))).toBe(true)
    for (const key of keys) expect(await subject().statStaged(key)).not.toBeNull()
  })

  it('gathers null when a part is missing, wherever it would stand', async () => {
    const [first = '', second = ''] = await stageParts(randomBytes(10), randomBytes(10))
    for (const keys of [[newKey()], [newKey(), second], [first, newKey()]]) expect(await subject().gather(keys, CALM)).toBeNull()
  })
}

function blobTests(subject: () => Objects): void {
  it('stores small blobs and overwrites them', async () => {
    const key = newKey()
    for (const bytes of [randomBytes(3000), randomBytes(0), randomBytes(200)]) {
      await subject().putBlob(key, bytes, 'image/webp', CALM)
      expect(await subject().statBlob(key)).toBe(bytes.length)
      expect(bytes.equals(await readAll(subject(), key))).toBe(true)
    }
  })

  it('has no blob where none was put, not even below or above one', async () => {
    const key = newKey()
    await subject().putBlob(`${key}/below`, randomBytes(10), 'image/webp', CALM)
    for (const absent of [newKey(), key, `${key}/below/deeper`]) {
      expect(await subject().statBlob(absent)).toBeNull()
      expect(await subject().readBlob(absent, null, CALM)).toBeNull()
    }
  })

  it('keeps staged bytes and blobs of one key apart', async () => {
    const [key, staged, blob] = [newKey(), randomBytes(10), randomBytes(20)]
    await subject().stage(key, inChunks(staged), CALM)
    await subject().putBlob(key, blob, 'image/webp', CALM)
    await subject().unstage(key)
    expect(blob.equals(await readAll(subject(), key))).toBe(true)
  })

  it('lists blobs page by page in the order of the bytes of their keys, with their sizes and times', async () => {
    const folder = newKey()
    const names = ['a-b', 'a/b-c', 'a/b/c', 'a.b', 'b/a', 'c']
    const keys = names.map((name) => `${folder}/${name}`)
    for (const [index, key] of keys.entries()) await subject().putBlob(key, randomBytes(index + 1), 'image/webp', CALM)
    await subject().stage(`${folder}/staged`, inChunks(randomBytes(10)), CALM)
    const seen: StoredBlob[] = []
    for (let after: string | null = folder; ; after = seen.at(-1)?.key ?? null) {
      const page = await subject().listBlobs(2, after)
      seen.push(...page)
      if (page.length === 0 || !page.at(-1)?.key.startsWith(folder)) break
    }
    const own = seen.filter(({ key }) => key.startsWith(folder))
    expect(own.map(({ key }) => key)).toEqual(keys.toSorted())
    expect(own.map(({ bytes }) => bytes)).toEqual(own.map(({ key }) => keys.indexOf(key) + 1))
    for (const { modifiedAt } of own) expect(Math.abs(modifiedAt.getTime() - Date.now())).toBeLessThan(600_000)
    expect(await subject().listBlobs(0, folder)).toEqual([])
  })

  it('forgets a blob that is removed, and is not troubled by doing it twice', async () => {
    const [key, other] = [newKey(), newKey()]
    for (const each of [key, other]) await subject().putBlob(each, randomBytes(10), 'image/webp', CALM)
    await subject().removeBlob(key)
    await subject().removeBlob(key)
    expect(await subject().statBlob(key)).toBeNull()
    expect(await subject().readBlob(key, null, CALM)).toBeNull()
    expect(await subject().statBlob(other)).toBe(10)
  })

  it('reads ranges, both ends included', async () => {
    const [key, bytes] = [newKey(), randomBytes(2 * MIB)]
    await subject().putBlob(key, bytes, 'image/webp', CALM)
    const last = bytes.length - 1
    for (const [start, end] of [
      [0, 0],
      [0, last],
      [last, last],
      [1, 2],
      [65_535, 65_536],
      [1_000_000, last],
    ] as const) {
      expect(bytes.subarray(start, end + 1).equals(await readAll(subject(), key, { start, end }))).toBe(true)
    }
  })
}

function readingTests(subject: () => Objects): void {
  it('gives whoever is reading the old bytes while they are replaced', async () => {
    const [key, before, after] = [newKey(), randomBytes(8 * MIB), randomBytes(8 * MIB)]
    await subject().putBlob(key, before, 'image/webp', CALM)
    const blob = await openBlob(subject(), key, CALM)
    // MinIO lets a writer wait for readers.
    const [read] = await Promise.all([collect(blob), subject().putBlob(key, after, 'image/webp', CALM)])
    expect(before.equals(read)).toBe(true)
    expect(after.equals(await readAll(subject(), key))).toBe(true)
  })

  it('ends reading with the reason of an abortion', async () => {
    const [key, reason, abortion] = [newKey(), new Error('enough'), new AbortController()]
    await subject().putBlob(key, randomBytes(8 * MIB), 'image/webp', CALM)
    const read = async (): Promise<void> => {
      for await (const chunk of await openBlob(subject(), key, abortion.signal)) if (chunk.length > 0) abortion.abort(reason)
    }
    await expect(read()).rejects.toBe(reason)
  })

  it('survives the abortion of a blob that nobody began to read', async () => {
    const [key, reason, abortion] = [newKey(), new Error('enough'), new AbortController()]
    await subject().putBlob(key, randomBytes(8 * MIB), 'image/webp', CALM)
    const unread = await openBlob(subject(), key, abortion.signal)
    abortion.abort(reason)
    await expect(collect(unread)).rejects.toBe(reason)
    await subject().ping()
  })

  it('loses nothing to 80 readers who leave early', async () => {
    const [key, bytes] = [newKey(), randomBytes(MIB)]
    await subject().putBlob(key, bytes, 'image/webp', CALM)
    for (let reader = 0; reader < 80; reader += 1) {
      for await (const chunk of await openBlob(subject(), key, CALM)) if (chunk.length > 0) break
    }
    expect(bytes.equals(await readAll(subject(), key))).toBe(true)
  })
}

const ODD_NAMES = [
  'with space',
  'a+b&c=d',
  '100%',
  '%41%2F%2e',
  'q?versionId=x#y',
  'ü 日本 🙂',
  'u\u0308',
  `'()*!~;:@$,`,
  '<&>"',
  '.hidden',
  '...',
  '0123',
  'x'.repeat(200),
]
const BAD_KEYS = ['', '/', '/etc/passwd', '..', '../x', 'a/../b', 'a/..', './a', 'a//b', 'a/', 'a\0b', 'a\\..\\b']

function keyTests(subject: () => Objects, listsPlainKeysOnly: boolean): void {
  it.each(ODD_NAMES)('takes the key %j for what it is', async (name) => {
    const [key, blobKey, bytes] = [`${newKey()}/${name}`, `${newKey()}/${name}`, randomBytes(100)]
    await promote(subject(), key, blobKey, bytes)
    expect(bytes.equals(await readAll(subject(), blobKey))).toBe(true)
    await subject().unstage(key)
    expect(await subject().checkOut(key, CALM)).toBeNull()
  })

  it.skipIf(listsPlainKeysOnly)('lists unusual keys as they were given', async () => {
    const keys = ODD_NAMES.map((name) => `${newKey()}/${name}`)
    await Promise.all(keys.map((key) => subject().stage(key, inChunks(randomBytes(1)), CALM)))
    expect(await subject().listStaged(new Date(Date.now() + 3_600_000), 1000)).toEqual(expect.arrayContaining(keys))
    await Promise.all(keys.map((key) => subject().unstage(key)))
  })

  it.each(BAD_KEYS)('refuses the key %j everywhere', async (key) => {
    const good = newKey()
    await subject().stage(good, inChunks(randomBytes(1)), CALM)
    await using copy = await checkOut(subject(), good)
    const attempts = [
      () => subject().stage(key, inChunks(randomBytes(1)), CALM),
      () => subject().checkOut(key, CALM),
      () => subject().promote(good, copy, key, 'image/png', CALM),
      () => subject().unstage(key),
      () => subject().putBlob(key, randomBytes(1), 'image/png', CALM),
      () => subject().statBlob(key),
      () => subject().readBlob(key, null, CALM),
      () => subject().removeBlob(key),
    ]
    for (const attempt of attempts) await expect(attempt()).rejects.toMatchObject({ code: 'internal_error' })
  })
}

function newKey(): string {
  return `suite/${randomUUID()}`
}

function sha256(bytes: Uint8Array): string {
  return createHash('sha256').update(bytes).digest('hex')
}

async function* inChunks(bytes: Uint8Array): AsyncGenerator<Uint8Array, void, undefined> {
  for (let at = 0; at < bytes.length; at += 60_000) yield bytes.subarray(at, at + 60_000)
}

async function* thenThrow(bytes: Uint8Array, error: Error): AsyncGenerator<Uint8Array, void, undefined> {
  yield* inChunks(bytes)
  throw error
}

async function* thenSilence(bytes: Uint8Array, whenSilent: () => void): AsyncGenerator<Uint8Array, void, undefined> {
  yield* inChunks(bytes)
  setImmediate(whenSilent)
  await new Promise<never>(() => {})
}

async function checkOut(objects: Objects, key: string): Promise<LocalCopy> {
  const copy = await objects.checkOut(key, CALM)
  if (!copy) throw new Error(`Nothing is staged under ${key}`)
  return copy
}

async function promote(objects: Objects, key: string, blobKey: string, bytes: Uint8Array): Promise<void> {
  await objects.stage(key, inChunks(bytes), CALM)
  await using copy = await checkOut(objects, key)
  await objects.promote(key, copy, blobKey, 'image/png', CALM)
}

async function openBlob(objects: Objects, key: string, signal: AbortSignal): Promise<AsyncIterable<Uint8Array>> {
  const blob = await objects.readBlob(key, null, signal)
  if (!blob) throw new Error(`There is no blob ${key}`)
  return blob
}

async function readAll(objects: Objects, key: string, range: { start: number; end: number } | null = null): Promise<Buffer> {
  const blob = await objects.readBlob(key, range, CALM)
  if (!blob) throw new Error(`There is no blob ${key}`)
  return collect(blob)
}

async function collect(bytes: AsyncIterable<Uint8Array>): Promise<Buffer> {
  const chunks: Uint8Array[] = []
  for await (const chunk of bytes) chunks.push(chunk)
  return Buffer.concat(chunks)
}

async function expectNothingStaged(objects: Objects, key: string): Promise<void> {
  expect(await objects.checkOut(key, CALM)).toBeNull()
  expect(await objects.listStaged(new Date(Date.now() + 3_600_000), 1000)).not.toContain(key)
}
