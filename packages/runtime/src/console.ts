import { buildConsole } from '@sluice/http'
import type { IngestQueue } from '@sluice/queue'
import { openBoard } from '@sluice/queue/board'
import { listen } from './listen.ts'
import { opsOf } from './ops.ts'
import { type Parts, queueConnection } from './world.ts'

/** The operators' side: Bull Board, ingests and their timelines, health and metrics, behind a login. */
export async function openConsole(parts: Parts, queue: IngestQueue): Promise<AsyncDisposable & { readonly url: string }> {
  const { config, observability, database, databaseUrl } = parts
  await using stack = new AsyncDisposableStack()
  const board = stack.use(
    await openBoard(queueConnection(config.queue, databaseUrl), { basePath: '/queues', ingestUrl: (id) => `/ingests/${id}` }),
  )
  const app = await buildConsole({
    ...opsOf(parts, { queue: () => queue.ping() }),
    database,
    board: board.plugin,
    logger: observability.logger,
    limits: config.limits,
  })
  stack.defer(() => app.close())
  const url = await listen(app, config.console, 'SLUICE_CONSOLE_PORT')
  const opened = stack.move()
  return { url, [Symbol.asyncDispose]: () => opened.disposeAsync() }
}
