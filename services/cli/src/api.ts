/** The HTTP API as a command meets it: over a network that fails, to a server that may be busy or just restarting. */
import { setTimeout as sleep } from 'node:timers/promises'
import { EXIT, CommandError } from './command-error.ts'

interface Answer<Body = unknown> {
  readonly status: number
  readonly headers: Headers
  readonly body: Body
}

/** RFC 9457, as the API sends it. */
export interface Problem {
  readonly title: string
  readonly status: number
  readonly code: string
  readonly detail?: string
  readonly errors?: readonly { readonly field: string; readonly message: string }[]
}

interface Outgoing {
  readonly json?: object
  readonly body?: string | Blob
  readonly headers?: Readonly<Record<string, string>>
}

export interface Api {
  readonly url: string
  readonly signal: AbortSignal
  /** Any answer that is final. Throws an `CommandError` when there is none, after bounded retries, and for a token that is refused. */
  send<Body>(method: string, path: string, outgoing?: Outgoing): Promise<Answer<Body>>
  /** The body of an answer of 2xx; any other one is thrown as `CommandError`. */
  call<Body>(method: string, path: string, outgoing?: Outgoing): Promise<Body>
  /** Lines of JSON as they come. Not repeated: what was read cannot be taken back. */
  lines<Line>(path: string): AsyncIterable<Line>
}

interface ApiOptions {
  readonly url: string
  readonly token: string
  /** Ends waiting, and what is under way. */
  readonly signal: AbortSignal
  /** Told of waits that are long enough to be asked about. */
  readonly onWait?: (why: string, waitMs: number) => void
}

const RETRY_MS_MIN = 250
const RETRY_MS_MAX = 30_000
/** A server that asks for more than this does not want us now. */
const RETRY_AFTER_MS_MAX = 120_000
/** How long a server that has answered before may be away: a restart with its migrations. */
const PATIENCE_MS = 180_000
/** How long one that never answered may be: an address that is mistyped should not take minutes. */
const FIRST_PATIENCE_MS = 3_000
/** One request, its upload and the server's `Prefer: wait` in it. */
const REQUEST_MS_MAX = 330_000

/** Being asked to wait is no refusal: 429 and 503, and what stands before a server that restarts. */
const AGAIN = new Set([408, 429, 502, 503, 504])

export function openApi({ url, token, signal, onWait }: ApiOptions): Api {
  const base = readUrl(url)
  let hasAnswered = false

  const attempt = async (method: string, path: string, { json, body, headers }: Outgoing): Promise<Response> => {
    const sent = json === undefined ? body : JSON.stringify(json)
    return fetch(new URL(path, base), {
      method,
      ...(sent === undefined ? {} : { body: sent }),
      headers: {
        authorization: `Bearer ${token}`,
        ...(json === undefined ? {} : { 'content-type': 'application/json' }),
        ...headers,
      },
      signal: AbortSignal.any([signal, AbortSignal.timeout(REQUEST_MS_MAX)]),
    })
  }

  const tryUntilAnswered = async <Result>(
    method: string,
    path: string,
    outgoing: Outgoing,
    read: (response: Response) => Promise<Result>,
  ): Promise<Result> => {
    const startedAt = performance.now()
    for (let tries = 0; ; tries += 1) {
      let why: string
      let askedMs = 0
      try {
        const response = await attempt(method, path, outgoing)
        hasAnswered = true
        if (!mustRepeat(response)) return await read(response)
        askedMs = retryAfterMs(response.headers.get('retry-after'))
        why = `${base.origin} answers ${response.status}`
        await response.body?.cancel()
      } catch (error) {
        signal.throwIfAborted()
        if (error instanceof CommandError || isUnreadable(error)) throw error
        why = `${base.origin} cannot be reached (${reasonOf(error)})`
      }
      const patienceMs = hasAnswered ? PATIENCE_MS : FIRST_PATIENCE_MS
      const waitMs = Math.max(askedMs, Math.min(RETRY_MS_MIN * 2 ** tries, RETRY_MS_MAX) * (0.5 + Math.random() / 2))
      if (performance.now() - startedAt + waitMs > patienceMs) throw new CommandError(EXIT.unreachable, `${why}.`)
      if (waitMs > 2_000) onWait?.(why, waitMs)
      await sleep(waitMs, undefined, { signal })
    }
  }

  const send = async <Body>(method: string, path: string, outgoing: Outgoing = {}): Promise<Answer<Body>> => {
    const answer = await tryUntilAnswered(method, path, outgoing, readAnswer<Body>)
    if (answer.status === 401 || answer.status === 403)
      throw new CommandError(EXIT.usage, `${base.origin} refuses the token: ${problemText(answer.body)}`)
    return answer
  }

  return {
    url: base.href,
    signal,
    send,
    async call<Body>(method: string, path: string, outgoing?: Outgoing) {
      const { status, body } = await send<Body>(method, path, outgoing)
      if (status >= 200 && status < 300) return body
      throw new ApiRefusal(status, body)
    },
    async *lines<Line>(path: string): AsyncIterable<Line> {
      const response = await tryUntilAnswered('GET', path, {}, async (found) => found)
      if (!response.ok || !response.body) throw new ApiRefusal(response.status, await readBody(response))
      let rest = ''
      for await (const chunk of response.body.pipeThrough(new TextDecoderStream())) {
        const lines = (rest + chunk).split('\n')
        rest = lines.pop() ?? ''
        for (const line of lines) if (line !== '') yield JSON.parse(line) as Line
      }
      if (rest.trim() !== '') yield JSON.parse(rest) as Line
    },
  }
}

interface Page<Item> {
  readonly items: readonly Item[]
  readonly next: string | null
}

/** All items of a list, page after page. */
export async function* itemsOf<Item>(api: Api, path: string): AsyncGenerator<Item> {
  for (let next: string | null = path; next !== null;) {
    const page: Page<Item> = await api.call('GET', next)
    yield* page.items
    next = page.next
  }
}

/** What the API answers to a request that it will not do; the command can often say more, and catches it. */
export class ApiRefusal extends CommandError {
  readonly status: number
  readonly code: string

  constructor(status: number, body: unknown) {
    super(EXIT.someFailed, `${problemText(body)} (${status})`)
    this.status = status
    this.code = isProblem(body) ? body.code : ''
  }
}

/** A server that answers the same request already is waited for, too. */
function mustRepeat({ status, headers }: Response): boolean {
  return AGAIN.has(status) || (status === 409 && headers.has('retry-after'))
}

async function readAnswer<Body>(response: Response): Promise<Answer<Body>> {
  return { status: response.status, headers: response.headers, body: (await readBody(response)) as Body }
}

async function readBody(response: Response): Promise<unknown> {
  const text = await response.text()
  if (!response.headers.get('content-type')?.includes('json')) return text
  return text === '' ? null : JSON.parse(text)
}

function isProblem(body: unknown): body is Problem {
  return typeof body === 'object' && body !== null && 'title' in body && 'code' in body
}

export function problemText(body: unknown): string {
  if (!isProblem(body)) return typeof body === 'string' && body !== '' ? body.slice(0, 200) : 'no reason was given'
  return body.detail ?? body.title
}

/** Seconds, or a date (RFC 9110, 10.2.3). */
export function retryAfterMs(header: string | null, now: number = Date.now()): number {
  if (header === null) return 0
  const askedMs = /^\d+$/.test(header.trim()) ? Number(header) * 1000 : Date.parse(header) - now
  return Number.isFinite(askedMs) ? Math.min(Math.max(askedMs, 0), RETRY_AFTER_MS_MAX) : 0
}

function readUrl(text: string): URL {
  const url = URL.parse(text)
  if (!url || !/^https?:$/.test(url.protocol))
    throw new CommandError(EXIT.usage, `--url must be an address like http://127.0.0.1:8080, not "${text}".`)
  return url
}

/** `fetch` says "fetch failed"; what happened is in its cause. */
function reasonOf(error: unknown): string {
  const cause = error instanceof Error && error.cause instanceof Error ? error.cause : error
  if (!(cause instanceof Error)) return String(cause)
  return 'code' in cause && typeof cause.code === 'string' ? cause.code : cause.message
}

/** A file that has changed or gone while it was sent: `NotReadableError` of a Blob, which no second try makes readable. */
export function isUnreadable(error: unknown): boolean {
  const seen = [error, error instanceof Error ? error.cause : null]
  return seen.some((one) => one instanceof Error && one.name === 'NotReadableError')
}
