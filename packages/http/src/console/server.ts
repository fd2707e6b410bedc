import type { FastifyBaseLogger, FastifyError, FastifyInstance, FastifyPluginAsync, FastifyReply, FastifyRequest } from 'fastify'
import {
  type Database,
  DEFAULT_LIMITS,
  ERRORS,
  type Ingest,
  type IngestId,
  type IngestJob,
  type Limits,
  type TenantId,
} from '@sluice/core'
import { type OpsOptions, registerOps } from '../ops.ts'
import { asSluiceError, handleError } from '../problem.ts'
import { bareServer } from '../bare-server.ts'
import { guardConsole, wantsHtml } from './guard.ts'
import { html } from './html.ts'
import { ingestRoutes } from './ingest-page.ts'
import { sendPage } from './layout.ts'
import { loginRoutes } from './login.ts'
import { overviewRoutes } from './overview-page.ts'
import { boardSecurityHeaders, securityHeaders } from './security-headers.ts'
import { openSessions } from './session.ts'
import { styleRoutes } from './style.ts'

export interface ConsoleOptions extends Pick<OpsOptions, 'metrics' | 'checks'> {
  readonly database: Database
  /** Bull Board, which mounts itself at `BOARD_PATH` of the layout. */
  readonly board: FastifyPluginAsync
  /** Throws where it cannot be replayed. */
  readonly replay: (tenantId: TenantId, id: IngestId) => Promise<Ingest>
  /** Where the board shows a job. */
  readonly jobPath?: (job: IngestJob) => string
  /** How browsers reach the console, where that is not what requests say: behind a proxy, and above all one that speaks https. */
  readonly publicUrl?: string
  readonly trustedProxies?: readonly string[]
  readonly logger: FastifyBaseLogger
  readonly limits?: Limits
}

/** What operators see, for the tenant of the admin who looks: ingests, the queue, metrics. Not for the public network. */
export async function buildConsole(options: ConsoleOptions): Promise<FastifyInstance> {
  const { database, board, jobPath, publicUrl, metrics, checks, logger, limits = DEFAULT_LIMITS, trustedProxies = [] } = options
  const app = bareServer(limits, logger, { trustedProxies })
  const url = publicUrl === undefined ? null : new URL(publicUrl)
  securityHeaders(app)
  const sessions = await openSessions(app, database, url?.protocol === 'https:')
  guardConsole(app, { database, sessions, ownHost: url?.host ?? null, sendError })

  styleRoutes(app)
  registerOps(app, { metrics, checks, authenticate: async () => undefined }) // The guard has asked.
  await app.register(async (pages) => {
    pages.setErrorHandler(sendError)
    await loginRoutes(pages, { database, sessions })
    overviewRoutes(pages, database)
    ingestRoutes(pages, { database, limits, replay: options.replay, jobPath: jobPath ?? null })
  })
  await app.register(async (queues) => {
    boardSecurityHeaders(queues)
    await queues.register(board)
  })
  return app
}

/** A page for people, a problem document for programs; neither tells what only the log may know. */
function sendError(error: FastifyError | Error, request: FastifyRequest, reply: FastifyReply): FastifyReply {
  if (!wantsHtml(request)) return handleError(error, request, reply)
  const ours = asSluiceError(error)
  if (ours.status >= 500) request.log.error({ err: ours.cause ?? ours, code: ours.code }, 'request failed')
  const { status, title } = ERRORS[ours.code]
  return sendPage(request, reply, {
    title,
    status,
    content: html`<section class="card notice">
      <h1>${title}</h1>
      ${ours.message !== title && html`<p>${ours.message}</p>`}
      <p><code>${ours.code}</code></p>
      <p><a href="/">To the ingests</a></p>
    </section>`,
  })
}
