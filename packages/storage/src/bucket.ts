import type { LocalCopy, StoredBlob } from '@sluice/core'
import { SluiceError } from '@sluice/core'
import { createHash } from 'node:crypto'
import { createReadStream } from 'node:fs'
import { stat } from 'node:fs/promises'
import type { Readable } from 'node:stream'
import { guarded, nullIfAbsent, StoreFailure, translated } from './failures.ts'
import { checkedKey, isKey } from './keys.ts'
import type { Answer, Call, Wire } from './wire.ts'
import { codeIn } from './wire.ts'

const READ_BYTES = 128 * 1024
const LIST_PAGE_MAX = 1000

/**
 * One bucket of an S3 server.
 *
 * No write is made conditional (`If-None-Match: *`): some servers in use accept the header and ignore it, so that of twenty
 * writers who race twenty win. Nothing here needs a winner: staged keys are never used twice, blobs are named by their content,
 * and who came first is decided in the database.
 */
export class Bucket {
  readonly name: string
  readonly #wire: Wire
  readonly #callMsMax: number

  constructor(wire: Wire, name: string, callMsMax: number) {
    this.#wire = wire
    this.name = name
    this.#callMsMax = callMsMax
  }

  async putFile(key: string, file: LocalCopy, mediaType: string, signal: AbortSignal): Promise<void> {
    const found = await guarded(signal, () => stat(file.path).catch(nullIfAbsent))
    if (found?.size !== file.bytes) throw new SluiceError('bytes_damaged', 'The staged bytes have changed')
    const open = (): Readable => createReadStream(file.path, { highWaterMark: READ_BYTES })
    await this.#put(key, { bytes: file.bytes, digest: file.digest, open }, mediaType, signal)
  }

  async putBytes(key: string, bytes: Uint8Array, mediaType: string, signal: AbortSignal): Promise<void> {
    const digest = createHash('sha256').update(bytes).digest('hex')
    await this.#put(key, { bytes: bytes.byteLength, digest, open: () => bytes }, mediaType, signal)
  }

  /** Without moving the bytes. A server may answer 200 and tell of its failure in the body (S3 API Reference, "CopyObject"). */
  async copyFrom(source: Bucket, sourceKey: string, key: string, mediaType: string, signal: AbortSignal): Promise<void> {
    const headers = {
      'content-type': mediaType,
      // The client's own `copyObject` leaves `?` and `+` in this header as they are, and servers then look for another key.
      'x-amz-copy-source': `/${source.name}/${checkedKey(sourceKey).split('/').map(encodeURIComponent).join('/')}`,
      'x-amz-metadata-directive': 'REPLACE',
    }
    const answer = await this.#send({ method: 'PUT', key, headers }, signal)
    if (!answer) throw new SluiceError('bytes_damaged', 'The staged bytes are gone')
    const text = await guarded(signal, () => answer.body.text())
    if (!text.includes('CopyObjectResult')) throw translated(new StoreFailure(500, codeIn(text)))
  }

  async get(key: string, range: { start: number; end: number } | null, signal: AbortSignal): Promise<Readable | null> {
    const headers = range ? { range: `bytes=${range.start}-${range.end}` } : {}
    const answer = await this.#send({ method: 'GET', key, headers }, signal)
    if (!answer) return null
    // Aborted before anybody reads, the body has no other listener, and an 'error' that nobody hears ends the process.
    answer.body.on('error', () => {})
    if (!range || answer.statusCode === 206) return answer.body
    answer.body.destroy()
    throw translated(new StoreFailure(501, 'RangeIgnored'))
  }

  async size(key: string, signal: AbortSignal | null = null): Promise<number | null> {
    const answer = await this.#send({ method: 'HEAD', key }, signal)
    if (!answer) return null
    await answer.body.dump()
    return Number(answer.headers['content-length'])
  }

  async remove(key: string): Promise<void> {
    const answer = await this.#send({ method: 'DELETE', key }, null)
    await answer?.body.dump()
  }

  /** In the order of S3, which is that of the bytes of the keys. */
  async list(limit: number, after: string | null = null, before: Date | null = null): Promise<readonly StoredBlob[]> {
    const { client } = this.#wire
    const found: StoredBlob[] = []
    let page = ''
    while (found.length < limit) {
      const { objects, isTruncated, nextContinuationToken } = await guarded(null, () =>
        client.listObjectsV2Query(this.name, '', page, '', LIST_PAGE_MAX, page === '' ? (after ?? '') : ''),
      )
      for (const { name: key, lastModified: modifiedAt, size: bytes } of objects)
        if (key && isKey(key) && modifiedAt && (before === null || modifiedAt < before)) found.push({ key, bytes, modifiedAt })
      if (!isTruncated || !nextContinuationToken) break
      page = nextContinuationToken
    }
    return found.slice(0, limit)
  }

  /** Makes the bucket unless it is there. Of several who try at once one succeeds, and the others find it. */
  async ensure(): Promise<void> {
    const { client } = this.#wire
    if (await this.#exists()) return
    try {
      await client.makeBucket(this.name, client.region)
    } catch (error) {
      if (!(await this.#exists())) throw translated(error)
    }
  }

  async ping(): Promise<void> {
    if (!(await this.#exists())) throw translated(new StoreFailure(404, 'NoSuchBucket'))
  }

  async #put(key: string, body: NonNullable<Call['body']>, mediaType: string, signal: AbortSignal): Promise<void> {
    const answer = await this.#send({ method: 'PUT', key, headers: { 'content-type': mediaType }, body }, signal)
    if (!answer) throw translated(new StoreFailure(404, 'NoSuchBucket'))
    await guarded(signal, () => answer.body.dump())
  }

  async #exists(): Promise<boolean> {
    return guarded(null, () => this.#wire.client.bucketExists(this.name))
  }

  async #send(call: Omit<Call, 'bucket' | 'signal'>, signal: AbortSignal | null): Promise<Answer | null> {
    checkedKey(call.key)
    const deadline = signal ?? AbortSignal.timeout(this.#callMsMax)
    return guarded(signal, () => this.#wire.send({ ...call, bucket: this.name, signal: deadline }))
  }
}
