import type { Agent, Dispatcher } from 'undici'
import type { Answer } from './answer.ts'

/** Ends with the signal, in whatever state the request is. */
export async function ask(
  agent: Agent,
  url: URL,
  options: Pick<Dispatcher.RequestOptions, 'method' | 'headers' | 'body'>,
  signal: AbortSignal,
): Promise<Answer> {
  const request = { ...options, origin: url.origin, path: `${url.pathname}${url.search}`, signal }
  // undici looks at the signal when a request begins: one that waits for a name or a connection would not hear of it.
  const { promise: aborted, reject } = Promise.withResolvers<never>()
  const abort = () => reject(signal.reason)
  signal.addEventListener('abort', abort, { once: true })
  try {
    signal.throwIfAborted()
    const answer = await Promise.race([agent.request(request), aborted])
    // It may break off when nobody reads any more.
    answer.body.on('error', () => undefined)
    return answer
  } finally {
    signal.removeEventListener('abort', abort)
  }
}
