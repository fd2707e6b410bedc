import { objectsSuite } from '@sluice/core/testing'
import { randomBytes } from 'node:crypto'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, inject } from 'vitest'
import { openMinioObjects } from './minio.ts'

const dir = await mkdtemp(join(tmpdir(), 'sluice-minio-'))
afterAll(() => rm(dir, { recursive: true, force: true }))

const { kind, endPoint, port, accessKey, secretKey } = inject('s3')
const server = { endpoint: `http://${endPoint}:${port}`, accessKey, secretKey, region: 'us-east-1' }
const newBucket = (): string => `storage-${randomBytes(8).toString('hex')}`

/** fauxqs takes 11 MiB in one PUT, ignores `encoding-type`, and checks neither signatures nor hashes. */
const lacking = kind === 'minio' ? {} : { bytesMax: 11 * 1024 * 1024, listsPlainKeysOnly: true }

objectsSuite(
  `${kind}, staging on a volume`,
  () => openMinioObjects({ ...server, bucket: newBucket(), staging: { kind: 'volume', dir } }),
  lacking,
)
objectsSuite(
  `${kind}, staging in a bucket`,
  () => openMinioObjects({ ...server, bucket: newBucket(), staging: { kind: 'bucket', bucket: newBucket() } }),
  lacking,
)
