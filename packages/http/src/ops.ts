import { setTimeout as wait } from 'node:timers/promises'
import type { FastifyBaseLogger, FastifyInstance, FastifyRequest } from 'fastify'
import { type Database, DEFAULT_LIMITS, type Limits } from '@sluice/core'
import { authenticate, requireRole } from './authenticate.ts'
import { bareServer } from './bare-server.ts'

/** A check resolves when what it asks for is there. */
export type Checks = Readonly<Record<string, () => Promise<void>>>

export interface OpsOptions {
  /** In the text format of Prometheus. */
  readonly metrics: () => Promise<{ contentType: string; body: string }>
  readonly checks: Checks
  /** Throws unless the request may see the metrics: their labels tell what is going on. */
  readonly authenticate: (request: FastifyRequest) => Promise<unknown>
}

/** Orchestrators commonly give up on a probe after a few seconds; the answer must be there before. */
const CHECK_MS_MAX = 2_000

/** `/health`, `/ready` and `/metrics`. The first two are open, and tell nothing of the reason for a failure. */
export function registerOps(app: FastifyInstance, { metrics, checks, authenticate }: OpsOptions): void {
  const check = checker(checks, app.log)

  app.get('/health', { config: { access: 'public' } }, async (_request, reply) => {
    return reply.header('cache-control', 'no-store').send({ status: 'alive' })
  })

  app.get('/ready', { config: { access: 'public' } }, async (_request, reply) => {
    const results = await check()
    const isReady = results.every((result) => result.status === 'ok')
    return reply
      .code(isReady ? 200 : 503)
      .header('cache-control', 'no-store')
      .send({ status: isReady ? 'ready' : 'not_ready', checks: results })
  })

  const onlyAllowed = async (request: FastifyRequest): Promise<void> => void (await authenticate(request))
  app.get('/metrics', { config: { access: 'admin' }, onRequest: onlyAllowed }, async (_request, reply) => {
    const { contentType, body } = await metrics()
    return reply.header('cache-control', 'no-store').type(contentType).send(body)
  })
}

export interface OpsServerOptions extends Pick<OpsOptions, 'metrics' | 'checks'> {
  readonly database: Database
  readonly logger: FastifyBaseLogger
  readonly limits?: Limits
}

/** The private server of an intake or a worker: only the three addresses above. */
export async function buildOps({
  database,
  logger,
  limits = DEFAULT_LIMITS,
  ...ops
}: OpsServerOptions): Promise<FastifyInstance> {
  const app = bareServer(limits, logger)
  registerOps(app, {
    ...ops,
    authenticate: async ({ headers }) => requireRole(await authenticate(database, headers.authorization, 'Bearer'), 'admin'),
  })
  return app
}

interface CheckResult {
  readonly name: string
  readonly status: 'ok' | 'failed'
  readonly duration_ms: number
}

/** All checks at once, and one round at a time: whoever asks meanwhile gets the same answer, so probes cannot pile up. */
function checker(checks: Checks, log: FastifyBaseLogger): () => Promise<readonly CheckResult[]> {
  let round: Promise<readonly CheckResult[]> | null = null
  const run = () => Promise.all(Object.entries(checks).map(([name, check]) => runCheck(name, check, log)))
  return () => (round ??= run().finally(() => (round = null)))
}

async function runCheck(name: string, check: () => Promise<void>, log: FastifyBaseLogger): Promise<CheckResult> {
  const startedMs = performance.now()
  const result = (status: CheckResult['status']) => ({ name, status, duration_ms: Math.round(performance.now() - startedMs) })
  try {
    await withinDeadline(check)
    return result('ok')
  } catch (error) {
    log.warn({ err: error, check: name }, 'readiness check failed')
    return result('failed')
  }
}

async function withinDeadline(check: () => Promise<void>): Promise<void> {
  const done = new AbortController()
  const late = wait(CHECK_MS_MAX, undefined, { signal: done.signal, ref: false }).then(() => {
    throw new Error(`no answer within ${CHECK_MS_MAX} ms`)
  })
  try {
    await Promise.race([check(), late])
  } finally {
    late.catch(() => undefined) // Cancelling the timer rejects it, and nobody waits for it any more.
    done.abort()
  }
}
