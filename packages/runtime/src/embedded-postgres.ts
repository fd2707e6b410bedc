import { createServer } from 'node:net'
import { join, resolve } from 'node:path'
import { DATABASE, postgresFailed, prepareCluster, SUPERUSER } from './embedded-postgres-cluster.ts'
import { stopLeftover } from './embedded-postgres-leftover.ts'
import { lockDirectory } from './embedded-postgres-lock.ts'
import { findPlace, type Place } from './embedded-postgres-place.ts'
import { openChild, type Child } from './lifecycle-child.ts'
import { StartError } from './lifecycle-start-error.ts'

export interface EmbeddedPostgresOptions {
  /** Made when it is missing. Holds the lock, the password and, where the server can reach it, the cluster. */
  readonly dataDir: string
  /** A free one when it is not given. */
  readonly port?: number
  /** False gives up all safety against power loss: for tests. */
  readonly durable?: boolean
}

export interface EmbeddedPostgres extends AsyncDisposable {
  /** The superuser's, to the database `sluice`. */
  readonly url: string
  readonly pid: number
  /** Resolves with a sentence when the server has ended, whoever ended it. */
  readonly exited: Promise<string>
}

const READY_MS_MAX = 60_000
/** PostgreSQL stops in 50 ms when its clients are gone; the rest is for a checkpoint on a slow disk. */
const STOP_MS_MAX = 10_000
const PORT_ATTEMPTS_MAX = 3

/** A PostgreSQL of our own, from the programs of an npm package, whose data stay in a directory from start to start. */
export async function openEmbeddedPostgres(options: EmbeddedPostgresOptions): Promise<EmbeddedPostgres> {
  const dataDir = resolve(options.dataDir)
  await using stack = new AsyncDisposableStack()
  stack.use(await lockDirectory(dataDir))
  const place = await findPlace(dataDir)
  await stopLeftover(place.directory)
  const password = await prepareCluster(place, join(dataDir, 'password'), options.durable ?? true)
  const { server, port } = await startServer(place, options)
  stack.use(server)

  const opened = stack.move()
  return {
    url: `postgres://${SUPERUSER}:${password}@127.0.0.1:${port}/${DATABASE}`,
    pid: server.pid,
    exited: server.exited.then((reason) => `The embedded PostgreSQL has ended (${reason}).`),
    [Symbol.asyncDispose]: () => opened.disposeAsync(),
  }
}

async function startServer(place: Place, options: EmbeddedPostgresOptions): Promise<{ server: Child; port: number }> {
  for (let attempt = 1; ; attempt++) {
    const port = options.port ?? (await findFreePort())
    const server = await openChild({
      command: join(place.binaries, 'postgres'),
      arguments: ['-D', place.directory, ...settings(port, options.durable ?? true)],
      user: place.user,
      // Fast: it ends open transactions. Immediate: it recovers at the next start.
      stopSignals: ['SIGINT', 'SIGQUIT'],
      graceMs: STOP_MS_MAX,
    })
    try {
      await server.untilOutput(/database system is ready to accept connections/, READY_MS_MAX)
      return { server, port }
    } catch (cause) {
      await server[Symbol.asyncDispose]()
      const log = server.output().join('\n')
      // Between asking for a free port and using it, somebody else may have taken it.
      const isPortTaken = /could not bind|Address already in use/.test(log)
      if (options.port === undefined && isPortTaken && attempt < PORT_ATTEMPTS_MAX) continue
      if (isPortTaken)
        throw new StartError(`Port ${port} is in use: stop what uses it, or give the embedded PostgreSQL another.`, cause)
      throw postgresFailed('postgres', log, cause)
    }
  }
}

function settings(port: number, isDurable: boolean): string[] {
  const settings = {
    port,
    listen_addresses: '127.0.0.1',
    unix_socket_directories: '',
    max_connections: 200,
    shared_buffers: '128MB',
    logging_collector: 'off',
    log_destination: 'stderr',
    lc_messages: 'C',
    ...(isDurable ? {} : { fsync: 'off', full_page_writes: 'off', synchronous_commit: 'off' }),
  }
  return Object.entries(settings).flatMap(([name, value]) => ['-c', `${name}=${value}`])
}

export async function findFreePort(): Promise<number> {
  const { promise, resolve, reject } = Promise.withResolvers<number>()
  const server = createServer().once('error', reject)
  server.listen(0, '127.0.0.1', () => {
    const address = server.address()
    server.close(() => (typeof address === 'object' && address ? resolve(address.port) : reject(new Error('no port'))))
  })
  return promise
}
