import type { Dispatcher } from 'undici'
import { type Fetched, type Fetcher, type Limits, SluiceError, type Validators } from '@sluice/core'
import type { Agents } from './agents.ts'
import { fetchedOf, redirectOf } from './answer.ts'
import { ask } from './ask.ts'
import { openResolve, type Resolve } from './guarded-lookup.ts'
import { post } from './post.ts'
import { redirectedTo, targetOf } from './target.ts'
import { unavailable, unreachable } from './unreachable.ts'

export interface FetcherOptions {
  readonly limits: Pick<Limits, 'fileBytesMax' | 'fetchMsMax' | 'fetchRedirectsMax'>
  /** Servers, as `host:port`, that may be asked wherever their names lead, and without TLS: the operator's own. */
  readonly exceptions?: readonly string[]
  /** For tests: how names of the public internet are resolved. */
  readonly resolve?: Resolve
}

/**
 * Asks strangers' servers as a stranger: over TLS, at public addresses, without credentials, cookies or proxies of ours, bounded in
 * time, size and redirects. OWASP, "Server-Side Request Forgery Prevention".
 */
export function openFetcher({ limits, exceptions = [], resolve = openResolve() }: FetcherOptions): Fetcher & AsyncDisposable {
  let opened: Promise<Agents> | null = null
  // With the first request: the HTTP client takes some 20 MB, and most intakes never ask anybody.
  const agents = () => (opened ??= import('./agents.ts').then(({ openAgents }) => openAgents(limits, resolve)))
  const exempt = new Set(exceptions)

  async function get(address: string, condition: Validators | null, given: AbortSignal): Promise<Fetched | null> {
    const late = AbortSignal.timeout(limits.fetchMsMax)
    const deadline: Deadline = { given, signal: AbortSignal.any([given, late]) }
    let target = targetOf(address, exempt)
    for (let redirects = 0; ; redirects += 1) {
      const { guarded, excepted } = await agents()
      const agent = target.isExcepted ? excepted : guarded
      const answer = await within(deadline, () => ask(agent, target.url, getRequest(condition), deadline.signal))
      if (condition && answer.statusCode === 304) {
        answer.body.destroy()
        return null
      }
      const location = redirectOf(answer)
      if (location === null) return readable(fetchedOf(answer, target.url, limits), deadline)
      answer.body.destroy()
      if (redirects === limits.fetchRedirectsMax) throw unreachable('Its server redirects too often. Give the final address.')
      target = redirectedTo(location, target.url, exempt)
    }
  }

  return {
    check(address) {
      const { url } = targetOf(address, exempt)
      url.hash = ''
      return url.href
    },
    async fetch(address, signal) {
      const fetched = await get(address, null, signal)
      if (!fetched) throw new Error('nothing can be unchanged where nothing is known')
      return fetched
    },
    fetchChanged: (address, known, signal) => get(address, known, signal),
    async post(address, request, signal) {
      const { url, isExcepted } = targetOf(address, exempt)
      const { guardedOut, exceptedOut } = await agents()
      return post(isExcepted ? exceptedOut : guardedOut, url, request, signal)
    },
    async [Symbol.asyncDispose]() {
      const open = await opened
      if (open) await Promise.all(Object.values(open).map((agent) => agent.destroy()))
    },
  }
}

interface Deadline {
  /** The caller's own. */
  readonly given: AbortSignal
  /** That, or the end of the time. */
  readonly signal: AbortSignal
}

const ALWAYS = {
  accept: 'image/*, */*;q=0.1',
  // Whatever is encoded could be of any size once it is decoded.
  'accept-encoding': 'identity',
  'user-agent': 'Sluice',
}

function conditionOf({ etag, lastModified }: Validators): Record<string, string> {
  return {
    ...(etag !== null && { 'if-none-match': etag }),
    ...(lastModified !== null && { 'if-modified-since': lastModified }),
  }
}

function getRequest(condition: Validators | null): Pick<Dispatcher.RequestOptions, 'method' | 'headers'> {
  return { method: 'GET', headers: { ...ALWAYS, ...(condition && conditionOf(condition)) } }
}

function readable(fetched: Fetched, deadline: Deadline): Fetched {
  return { ...fetched, bytes: bytesWithin(fetched.bytes, deadline) }
}

async function* bytesWithin(bytes: AsyncIterable<Uint8Array>, deadline: Deadline): AsyncGenerator<Uint8Array> {
  try {
    yield* bytes
  } catch (error) {
    throw translated(error, deadline)
  }
}

async function within<Result>(deadline: Deadline, work: () => Promise<Result>): Promise<Result> {
  try {
    return await work()
  } catch (error) {
    throw translated(error, deadline)
  }
}

/** What went wrong is for the log: ports that are closed, names inside certificates and the like are nobody's business. */
function translated(error: unknown, { given, signal }: Deadline): unknown {
  if (given.aborted) return given.reason
  if (SluiceError.is(error)) return error
  if (signal.aborted) return unavailable('Its server takes too long.', { cause: error })
  return unavailable('Its server does not answer, or breaks off.', { cause: error })
}
