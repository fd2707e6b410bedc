import { randomBytes } from 'node:crypto'
import type { DirectBounds, DirectUpload, Objects } from '@sluice/core'
import { afterAll, beforeAll, describe, expect, inject, test } from 'vitest'
import { openMinioObjects } from './minio.ts'

const { kind, endPoint, port, accessKey, secretKey } = inject('s3')
const endpoint = `http://${endPoint}:${port}`
const server = { endpoint, accessKey, secretKey, region: 'us-east-1' }
const newBucket = (): string => `direct-${randomBytes(8).toString('hex')}`
const newKey = (): string => `uploads/${randomBytes(8).toString('hex')}`
const SIZE = 1000
const BODY = randomBytes(SIZE)

const bounds = (change: Partial<DirectBounds> = {}): DirectBounds => ({
  bytes: SIZE,
  mediaType: 'image/png',
  expiresAt: new Date(Date.now() + 60_000),
  ...change,
})

async function put(
  { url, headers }: DirectUpload['put'],
  body: Uint8Array,
  change: Record<string, string> = {},
): Promise<number> {
  const { 'content-length': _, ...rest } = headers
  const answer = await fetch(url, { method: 'PUT', headers: { ...rest, ...change }, body: Buffer.from(body) })
  await answer.body?.cancel()
  return answer.status
}

async function post(
  { url, fields }: DirectUpload['post'],
  body: Uint8Array,
  change: Record<string, string> = {},
): Promise<number> {
  const form = new FormData()
  for (const [name, value] of Object.entries({ ...fields, ...change })) form.set(name, value)
  form.set('file', new Blob([Buffer.from(body)]))
  const answer = await fetch(url, { method: 'POST', body: form })
  await answer.body?.cancel()
  return answer.status
}

describe(`uploads of clients (${kind})`, () => {
  let objects: Objects & AsyncDisposable
  beforeAll(async () => {
    const staging = { kind: 'bucket', bucket: newBucket() } as const
    objects = await openMinioObjects({ ...server, bucket: newBucket(), staging, publicEndpoint: endpoint })
  })
  afterAll(() => objects?.[Symbol.asyncDispose]())
  const staged = (key: string) => objects.statStaged(key)

  test('go into staging by one PUT, and by one form', async () => {
    for (const change of [{}, { mediaType: null }]) {
      const [first, second] = [newKey(), newKey()]
      expect(await put((await objects.presign(first, bounds(change))).put, BODY)).toBe(200)
      expect(await post((await objects.presign(second, bounds(change))).post, BODY)).toBe(204)
      expect([await staged(first), await staged(second)]).toEqual([SIZE, SIZE])
      await using copy = await objects.gather([first, second], AbortSignal.timeout(10_000))
      expect(copy?.bytes).toBe(2 * SIZE)
    }
  })

  // What stands in for MinIO checks no signatures.
  test.skipIf(kind !== 'minio')('are of the size, type, place and time that were signed, and of no other', async () => {
    const key = newKey()
    const { put: way, post: form } = await objects.presign(key, bounds())
    for (const body of [randomBytes(SIZE + 1), randomBytes(SIZE - 1)]) {
      expect(await put(way, body)).toBe(403)
      expect(await post(form, body)).toBe(400)
    }
    expect(await put(way, BODY, { 'content-type': 'text/html' })).toBe(403)
    expect(await post(form, BODY, { 'Content-Type': 'text/html' })).toBe(403)
    expect(await put({ ...way, url: way.url.replace(key, newKey()) }, BODY)).toBe(403)
    expect(await post(form, BODY, { key: newKey() })).toBe(403)
    expect(await put({ ...way, url: way.url.replace(/X-Amz-Expires=\d+/, 'X-Amz-Expires=600000') }, BODY)).toBe(403)
    expect(await staged(key)).toBeNull()
    expect(await put(way, BODY)).toBe(200)
  })
})

test('nobody is given an address where clients cannot reach the bucket', async () => {
  const staging = { kind: 'bucket', bucket: newBucket() } as const
  await using objects = await openMinioObjects({ ...server, bucket: newBucket(), staging })
  expect(objects.takesDirectUploads).toBe(false)
  await expect(objects.presign(newKey(), bounds())).rejects.toMatchObject({ code: 'internal_error' })
})
