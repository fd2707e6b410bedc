import { replayIngest, replayThese } from '@sluice/core'
import { BOARD_PATH, buildConsole, callerOf } from '@sluice/http'
import type { IngestQueue } from '@sluice/queue'
import { jobPath, openBoard } from '@sluice/queue/board'
import { closeWithin, listen } from './listen.ts'
import { opsOf } from './ops.ts'
import { type Parts, queueConnection, worldOf } from './world.ts'

/** The operators' side: Bull Board, ingests and their timelines, health and metrics, behind a login. */
export async function openConsole(parts: Parts, queue: IngestQueue): Promise<AsyncDisposable & { readonly url: string }> {
  const { config, observability, database, databaseUrl } = parts
  const world = worldOf(parts)
  const board = openBoard({
    connection: queueConnection(config.queue, databaseUrl),
    basePath: BOARD_PATH,
    ingestUrl: (ingestId) => `/ingests/${ingestId}`,
    // The board shows all jobs. Whoever looks at it may replay what is their tenant's.
    replay: (request, ids) => replayThese(world, callerOf(request).tenantId, ids, false),
    onError: (cause) => observability.observer.observe({ kind: 'background.failed', task: 'board', cause }),
  })
  const app = await buildConsole({
    ...opsOf(parts, { queue: () => queue.ping() }),
    database,
    replay: (tenantId, id) => replayIngest(world, tenantId, id),
    board,
    jobPath: (job) => jobPath(BOARD_PATH, job),
    logger: observability.logger,
    limits: config.limits,
    trustedProxies: config.trustedProxies,
  })
  const url = await listen(app, config.console, 'SLUICE_CONSOLE_PORT')
  return { url, [Symbol.asyncDispose]: () => closeWithin(app) }
}
