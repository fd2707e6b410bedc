import { SluiceError } from '@sluice/core'

/** What an S3 server said instead of an answer. The text is for the log: it names no host and no key. */
export class StoreFailure extends Error {
  override readonly name = 'StoreFailure'
  readonly status: number
  readonly code: string

  constructor(status: number, code: string) {
    super(`The object store answered ${status} ${code}`.trimEnd())
    this.status = status
    this.code = code
  }
}

const FULL = new Set(['ENOSPC', 'EDQUOT', 'XMinioStorageFull', 'XMinioAdminBucketQuotaExceeded'])

/** The server hashed or counted other bytes than we did; undici counts what it sends. */
const DAMAGED = new Set(['XAmzContentSHA256Mismatch', 'BadDigest', 'IncompleteBody', 'UND_ERR_REQ_CONTENT_LENGTH_MISMATCH'])

/** Of the system's errors, those that waiting cannot heal: they are bugs, as is anything without a code. */
const BUGS = new Set(['ENAMETOOLONG', 'EISDIR', 'ENOTDIR', 'EINVAL', 'EBADF', 'UND_ERR_INVALID_ARG'])

/**
 * What to throw for an error of a file system or an S3 server. Refused credentials and a missing bucket count as outages: an
 * operator can mend them, and no upload may be given up meanwhile.
 */
export function translated(error: unknown): unknown {
  if (SluiceError.is(error)) return error
  const code = codeOf(error)
  const status = error instanceof StoreFailure ? error.status : 0
  if (FULL.has(code) || status === 507) return new SluiceError('storage_full', undefined, { cause: error })
  if (DAMAGED.has(code)) return new SluiceError('bytes_damaged', undefined, { cause: error })
  if (isOurs(error, code, status)) return error
  return new SluiceError('service_unavailable', 'The object store is not available', { cause: error })
}

/** The same for work under a signal, whose reason goes before any error that the abortion brought about. */
export function rejection(error: unknown, signal: AbortSignal | null): unknown {
  return signal?.aborted ? signal.reason : translated(error)
}

/** Work at the edge of this room: nothing foreign is thrown beyond it. */
export async function guarded<Result>(signal: AbortSignal | null, work: () => Promise<Result>): Promise<Result> {
  try {
    signal?.throwIfAborted()
    return await work()
  } catch (error) {
    throw rejection(error, signal)
  }
}

export function codeOf(error: unknown): string {
  if (!(error instanceof Error)) return ''
  if (error.name === 'TimeoutError') return 'TimeoutError'
  return 'code' in error && typeof error.code === 'string' ? error.code : ''
}

function isOurs(error: unknown, code: string, status: number): boolean {
  if (error instanceof TypeError || error instanceof RangeError) return true
  if (error instanceof StoreFailure) return status === 400 && code !== 'RequestTimeout'
  return code === '' || BUGS.has(code)
}

/** For `.catch()`: null when there is nothing at a path, every other error again. */
export function nullIfAbsent(error: unknown): null {
  if (codeOf(error) === 'ENOENT' || codeOf(error) === 'ENOTDIR') return null
  throw error
}
