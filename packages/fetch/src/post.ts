import type { Agent } from 'undici'
import { type PostRequest, type Posted, SluiceError } from '@sluice/core'
import { type Answer, headerOf } from './answer.ts'
import { ask } from './ask.ts'

/** Sends a body, and answers whatever comes back: what it means is for others to say. */
export async function post(
  agent: Agent,
  url: URL,
  { headers, body, timeoutMs, responseBytesMax }: PostRequest,
  given: AbortSignal,
): Promise<Posted> {
  const signal = AbortSignal.any([given, AbortSignal.timeout(timeoutMs)])
  try {
    const sent = { ...headers, 'accept-encoding': 'identity', 'user-agent': 'Sluice' }
    const answer = await ask(agent, url, { method: 'POST', headers: sent, body }, signal)
    const text = await beginningOf(answer, responseBytesMax)
    return { status: answer.statusCode, retryAfter: headerOf(answer.headers['retry-after']), body: text }
  } catch (error) {
    throw translated(error, given, signal)
  }
}

/** Its first bytes as text; the rest is not waited for, nor is what breaks off before them a fault: the status has been said. */
async function beginningOf({ body }: Answer, bytesMax: number): Promise<string> {
  const chunks: Uint8Array[] = []
  let bytes = 0
  try {
    for await (const chunk of body) {
      if (!(chunk instanceof Uint8Array)) throw new TypeError('a body is bytes')
      chunks.push(chunk)
      bytes += chunk.byteLength
      if (bytes >= bytesMax) break
    }
  } catch {
    // What has come is what there is to tell.
  } finally {
    body.destroy()
  }
  return new TextDecoder().decode(Buffer.concat(chunks).subarray(0, bytesMax))
}

/** Neither names nor ports nor certificates are told: who subscribes learns nothing of our network by it. */
function translated(error: unknown, given: AbortSignal, signal: AbortSignal): unknown {
  if (given.aborted) return given.reason
  if (SluiceError.is(error, 'url_forbidden'))
    return new SluiceError(error.code, 'Its host has no public address.', { cause: error })
  if (signal.aborted) return new SluiceError('source_unavailable', 'It did not answer in time.', { cause: error })
  if (SluiceError.is(error)) return error
  return new SluiceError('source_unavailable', 'It could not be reached, or broke off before it answered.', { cause: error })
}
