/**
 * How long a body may take. A fixed time would cut off large files on slow lines, and one that is long enough for these would let whoever
 * drips hold connections for as long: so a body has a fixed time, and more for what has come of it.
 */
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify'
import { type Limits, longestRequestMs } from '@sluice/core'
import { answerClientError } from './client-errors.ts'

declare module 'fastify' {
  interface FastifyRequest {
    deadline: Deadline | null
  }
}

interface Deadline {
  readonly signal: AbortSignal
  /** True when somebody reads the body under the signal, and answers when it is aborted. */
  isWatched: boolean
}

/** Bodies that are read as streams are read under this. */
export function deadlineOf({ deadline }: FastifyRequest): AbortSignal {
  if (!deadline) throw new Error('a request without a body has no deadline')
  deadline.isWatched = true
  return deadline.signal
}

/** More often there is nothing to see. */
const LOOK_MS_MIN = 1_000
const TIMER_MS_MAX = 2 ** 31 - 1

export function boundBodies(app: FastifyInstance, limits: Limits): void {
  // Node's own bound knows nothing of progress: it is the last resort.
  app.server.requestTimeout = Math.min(longestRequestMs(limits), TIMER_MS_MAX)
  app.decorateRequest('deadline', null)
  app.addHook('preParsing', async (request, reply) => {
    if (request.method !== 'GET' && request.method !== 'HEAD') request.deadline = openDeadline(request, reply, limits)
  })
}

function openDeadline(request: FastifyRequest, reply: FastifyReply, limits: Limits): Deadline {
  const { requestMsMax, bodyBytesPerSecondMin } = limits
  const { socket } = request.raw
  const [startMs, startBytes] = [performance.now(), socket.bytesRead]
  const stop = new AbortController()
  const deadline: Deadline = { signal: stop.signal, isWatched: false }

  function look(): void {
    const earnedMs = ((socket.bytesRead - startBytes) / bodyBytesPerSecondMin) * 1_000
    const leftMs = startMs + requestMsMax + earnedMs - performance.now()
    if (leftMs > 0) arm(Math.max(leftMs, LOOK_MS_MIN))
    else end()
  }

  function end(): void {
    // It is here: what takes long now is ours, and has bounds of its own. Aborted, a slow disk was told as an unknown error.
    if (request.raw.complete) return
    stop.abort(new DOMException('The body took too long to arrive.', 'TimeoutError'))
    if (!deadline.isWatched)
      return answerClientError(Object.assign(new Error('too slow'), { code: 'ERR_HTTP_REQUEST_TIMEOUT' }), socket)
    // Who reads the body says so, and there is no use in what still comes.
    void reply.header('connection', 'close')
    reply.raw.once('finish', () => socket.destroySoon())
  }

  let timer: NodeJS.Timeout
  const arm = (ms: number) => void (timer = setTimeout(look, Math.min(ms, TIMER_MS_MAX)).unref())
  arm(requestMsMax)
  reply.raw.once('close', () => clearTimeout(timer))
  return deadline
}
