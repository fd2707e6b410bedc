/** To addresses that strangers gave, and back. */
import type { Validators } from '../url-source.ts'

export interface Fetched {
  readonly contentType: string | null
  /** From Content-Disposition, or else the last segment of the path; not yet made safe. */
  readonly fileName: string | null
  /** For the next time. */
  readonly validators: Validators
  /** Throws `file_too_large`, or `source_unavailable` when it breaks off. */
  readonly bytes: AsyncIterable<Uint8Array>
}

/** The only way to an address that a stranger gave: public addresses only, checked again at each redirect, bounded in time and size. */
export interface Fetcher {
  /** The address as it would be asked for. Throws `url_invalid` or `url_forbidden` where that can be seen without asking anybody. */
  check(url: string): string
  /**
   * Throws `url_invalid`, `url_forbidden` and `url_unreachable` where the address is at fault, and `source_unavailable` where waiting
   * may help; `retryAfterMs` in its details is what the server asks for.
   */
  fetch(url: string, signal: AbortSignal): Promise<Fetched>
  /** The same; null when there is still what the validators were got with. */
  fetchChanged(url: string, known: Validators, signal: AbortSignal): Promise<Fetched | null>
  /**
   * Sends and reads what is answered, whatever its status; a redirect is an answer and leads nowhere. The same errors where there
   * is none.
   */
  post(url: string, request: PostRequest, signal: AbortSignal): Promise<Posted>
}

export interface PostRequest {
  readonly headers: Readonly<Record<string, string>>
  readonly body: string
  /** From the look-up of the name to the end of the answer. */
  readonly timeoutMs: number
  /** What is longer is cut. */
  readonly responseBytesMax: number
}

export interface Posted {
  readonly status: number
  /** The header, as it came. */
  readonly retryAfter: string | null
  /** As text, however it is encoded. */
  readonly body: string
}
