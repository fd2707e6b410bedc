/** Uploads that are asked for before they are made: straight to the bucket, or in parts that may be resumed. */
import { type Digest, type IngestId, isUuid, type TenantId, type TokenId } from './ids.ts'
import type { Target } from './ingest.ts'

/**
 * open → completed: all bytes are there, and the ingest is promised | expired: they were not, in time | cancelled.
 * Whoever is no longer open never is again, so that of all who say that an upload is complete one decides.
 */
export const UPLOAD_STATES = ['open', 'completed', 'expired', 'cancelled'] as const
export type UploadState = (typeof UPLOAD_STATES)[number]

/** Bytes of an upload that have been staged. Parts follow one another in their order. */
export interface UploadPart {
  readonly key: string
  readonly bytes: number
}

export interface NewUpload {
  /** That of the ingest that it is going to be. */
  readonly id: IngestId
  readonly tenantId: TenantId
  readonly tokenId: TokenId
  /** All that it is going to have. */
  readonly bytes: number
  /** As the uploader said, reduced to its essence; null where the content alone decides. */
  readonly declaredType: string | null
  readonly fileName: string | null
  /** What the uploader promises of the content. */
  readonly sha256: Digest | null
  readonly target: Target | null
  /** Where the client puts it by itself, as a whole; null when its bytes come through us. */
  readonly bucketKey: string | null
  /** What a client of tus said of it, to be told again. */
  readonly metadata: Readonly<Record<string, string | null>> | null
  readonly ttlMs: number
}

export interface Upload extends Omit<NewUpload, 'ttlMs'> {
  readonly state: UploadState
  readonly parts: readonly UploadPart[]
  readonly createdAt: Date
  readonly expiresAt: Date
  /** When all was done that its state asks for: the ingest accepted, or the bytes removed. */
  readonly settledAt: Date | null
}

/** Of one tenant, over all that are not settled. */
export interface UploadBounds {
  readonly uploadsOpenMax: number
  readonly uploadsOpenBytesMax: number
}

/** Times are the database's. */
export interface Uploads {
  /** Throws `uploads_exceeded`. The same id again returns what is there. */
  reserve(upload: NewUpload, bounds: UploadBounds): Promise<Upload>
  find(tenantId: TenantId, id: IngestId): Promise<Upload | null>
  /** Null, and nothing is changed, unless it is open, in time, and has exactly `offset` bytes: of two who write at one place one does. */
  append(tenantId: TenantId, id: IngestId, offset: number, part: UploadPart): Promise<Upload | null>
  /** Null when it was not open any more. */
  close(tenantId: TenantId, id: IngestId, state: Exclude<UploadState, 'open'>): Promise<Upload | null>
  /** All that follows from its end was done. */
  settle(tenantId: TenantId, id: IngestId): Promise<void>
  /** Those that are not settled and that nobody has taken for `everyMs`, over all tenants, the ones first that have waited longest. */
  takeUnsettled(everyMs: number, limit: number): Promise<readonly Upload[]>
  /** Removes settled ones after `keptMs`; returns how many. */
  forget(keptMs: number, limit: number): Promise<number>
}

/** Of what has been staged. */
export function receivedBytes({ parts }: Pick<Upload, 'parts'>): number {
  return parts.reduce((sum, { bytes }) => sum + bytes, 0)
}

const BUCKET_PREFIX = 'uploads'

/** Where a client puts an upload in the bucket. All begin alike, so that a notification can be asked for these only. */
export function bucketKeyOf(tenantId: TenantId, id: IngestId): string {
  return `${BUCKET_PREFIX}/${tenantId}/${id}`
}

/**
 * Null for a key that is not one of an upload. Notifications of S3 have it in percent-encoding, and those of MinIO once more with the
 * bucket before it.
 */
export function uploadOfKey(key: string): { tenantId: TenantId; id: IngestId } | null {
  const [id = '', tenantId = '', prefix] = key.replaceAll('%2F', '/').split('/').toReversed()
  if (prefix !== BUCKET_PREFIX || !isUuid(tenantId) || !isUuid(id)) return null
  return { tenantId: tenantId as TenantId, id: id as IngestId }
}
