import type { IncomingHttpHeaders } from 'node:http'
import { SluiceError } from '@sluice/core'

/** What is compressed could be of any size, and images hardly shrink. */
export function refuseContentEncoding(headers: IncomingHttpHeaders): void {
  const coding = headers['content-encoding'] ?? 'identity'
  if (coding.trim().toLowerCase() === 'identity') return
  throw new SluiceError('content_type_unsupported', 'A Content-Encoding is not accepted. Send the body as it is.')
}
