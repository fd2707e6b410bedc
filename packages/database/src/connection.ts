/**
 * One session of PostgreSQL, from its first statement to its last. The driver would silently open another socket when one
 * is lost, and the rest of a transaction would run there, outside of it; so a connection that has lost its socket refuses
 * all further statements.
 */
import { once } from 'node:events'
import { connect, type Socket } from 'node:net'
import { drizzle, type PostgresJsDatabase } from './drizzle.ts'
import postgres from 'postgres'

export type Db = PostgresJsDatabase

export interface ConnectionOptions {
  readonly url: string
  readonly applicationName: string
  /** Settings of the session, by their names in PostgreSQL. */
  readonly session?: Readonly<Record<string, string | number>>
  readonly onNotify?: (channel: string, payload: string) => void
  readonly onLost?: () => void
}

export interface Connection {
  readonly db: Db
  /** Runs a statement without parameters and answers its command tag. It is on its way when this returns. */
  command(statement: string): Promise<string>
  /** True once the socket is gone, or the connection was given up. */
  isLost(): boolean
  /** Gives it up at once: the socket is closed without a word, and statements under way are rejected. */
  destroy(): void
  /** Says goodbye to the server. */
  close(): Promise<void>
}

const CONNECT_MS_MAX = 5_000
const CLOSE_MS_MAX = 2_000

/** Nothing is connected before the first statement. */
export function openConnection(options: ConnectionOptions): Connection {
  let isLost = false
  let socket: Socket | null = null
  const lose = () => {
    if (isLost) return
    isLost = true
    options.onLost?.()
  }
  const refuseWhenLost = () => {
    if (isLost) throw Object.assign(new Error('the connection was lost'), { code: 'CONNECTION_CLOSED' })
  }

  // Options that the driver has and its types do not list.
  const unlisted = {
    onnotify: options.onNotify,
    socket: async (address: Address) => {
      refuseWhenLost()
      try {
        socket = await openSocket(address, lose, (opening) => (socket = opening))
        refuseWhenLost()
        return socket
      } catch (error) {
        lose()
        throw error
      }
    },
  }
  const client = postgres(options.url, {
    // One session: the driver's pool can give one session to two transactions (porsager/postgres#823, #1204).
    max: 1,
    fetch_types: false,
    max_lifetime: null,
    keep_alive: 5,
    connect_timeout: CONNECT_MS_MAX / 1000,
    connection: { application_name: options.applicationName, TimeZone: 'UTC', ...options.session },
    onnotice: () => undefined,
    onclose: lose,
    ...unlisted,
  })
  prepareEverything(client, refuseWhenLost)

  const destroy = () => {
    lose()
    socket?.destroy()
    void client.end({ timeout: 0 }).catch(() => undefined) // There is nobody left to tell.
  }
  return {
    db: drizzle(client),
    command: async (statement) => (await client.unsafe(statement).execute()).command,
    isLost: () => isLost,
    destroy,
    async close() {
      await client.end({ timeout: CLOSE_MS_MAX / 1000 })
      destroy()
    },
  }
}

/** As the driver has read it from the URL. */
interface Address {
  readonly host: readonly string[]
  readonly port: readonly number[]
  readonly path: string | false
}

/** A socket of our own: the driver's cannot be reached, and a half-open one would stay until the kernel gives up. */
async function openSocket(
  { host, port, path }: Address,
  onLost: () => void,
  onOpening: (socket: Socket) => void,
): Promise<Socket> {
  const address = { host: host[0] ?? 'localhost', port: port[0] ?? 5432 }
  const socket = connect(path === false ? address : { path })
  onOpening(socket)
  // Before the driver hears of it: between a socket's error and its close it takes statements, and they never settle.
  socket.on('error', onLost).on('end', onLost)
  try {
    await once(socket, 'connect', { signal: AbortSignal.timeout(CONNECT_MS_MAX) })
  } catch (error) {
    socket.destroy()
    throw error
  }
  // What the driver would have set: the name that a certificate is checked against.
  return Object.assign(socket.setNoDelay(true), address)
}

/**
 * A statement without a name costs two round trips, because the driver asks for the types of its parameters first. With a
 * name that is paid once per session; so statements must not be made of values, or the session fills up with them.
 */
function prepareEverything(client: postgres.Sql, check: () => void): void {
  const unsafe = client.unsafe.bind(client)
  client.unsafe = ((text, parameters, options) => {
    check()
    return unsafe(text, parameters, { ...options, prepare: true })
  }) as typeof client.unsafe
}
