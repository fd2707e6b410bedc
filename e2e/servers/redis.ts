import { openChild } from '@sluice/runtime/child'
import { findFreePort } from '@sluice/runtime/embedded-postgres'
import { openTestDirectory } from './directory.ts'
import { findOnPath } from './programs.ts'

export interface TestRedis extends AsyncDisposable {
  readonly url: string
}

const READY_MS_MAX = 20_000
const STOP_MS_MAX = 5_000

/** Null when this machine has no `redis-server`. */
export async function openTestRedis(options: { port?: number } = {}): Promise<TestRedis | null> {
  const command = await findOnPath('redis-server')
  if (command === null) return null
  const port = options.port ?? (await findFreePort())
  await using stack = new AsyncDisposableStack()
  const directory = stack.use(await openTestDirectory('redis'))
  const server = stack.use(
    await openChild({
      command,
      arguments: Object.entries({
        // What BullMQ asks of a server that is to lose nothing: https://docs.bullmq.io/guide/going-to-production
        '--appendonly': 'yes',
        '--maxmemory-policy': 'noeviction',
        '--save': '',
        '--bind': '127.0.0.1',
        '--port': String(port),
        '--dir': directory.path,
      }).flat(),
      stopSignals: ['SIGTERM'],
      graceMs: STOP_MS_MAX,
    }),
  )
  await server.untilOutput(/Ready to accept connections/, READY_MS_MAX)
  const opened = stack.move()
  return { url: `redis://127.0.0.1:${port}`, [Symbol.asyncDispose]: () => opened.disposeAsync() }
}
