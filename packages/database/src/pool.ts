/** Sessions that are lent to one piece of work at a time. What works too long loses its session, and the next one gets a new one. */
import { isOutage, SluiceError } from '@sluice/core'
import { type Connection, openConnection } from './connection.ts'
import { translate } from './errors.ts'

export interface Pool extends AsyncDisposable {
  /** Lends a connection until the work settles, or the deadline passes: then `service_unavailable`. */
  lend<T>(work: (connection: Connection) => Promise<T>): Promise<T>
}

export interface PoolOptions {
  readonly url: string
  readonly poolMax: number
  readonly applicationName: string
  /** The bound of one piece of work, with the wait for a connection. The driver has none: a half-open one hung for ever. */
  readonly deadlineMs?: number
}

const DEADLINE_MS = 15_000
/** The server's own bounds are shorter, so that it is the first to notice, and the connection survives. */
const SESSION = { statement_timeout: 10_000, lock_timeout: 5_000, idle_in_transaction_session_timeout: 10_000 }

export function openPool({ url, poolMax, applicationName, deadlineMs = DEADLINE_MS }: PoolOptions): Pool {
  const idle: Connection[] = []
  const lent = new Set<Connection>()
  const waiting = new Map<(connection: Connection) => void, (reason: unknown) => void>()
  let isClosed = false

  const open = () => openConnection({ url, applicationName, session: SESSION })

  function lease(signal: AbortSignal): Connection | Promise<Connection> {
    if (isClosed) throw closed()
    const connection = takeIdle() ?? (lent.size < poolMax ? open() : null)
    if (connection) {
      lent.add(connection)
      return connection
    }
    return new Promise((resolve, reject) => {
      waiting.set(resolve, reject)
      signal.addEventListener('abort', () => {
        if (waiting.delete(resolve)) reject(signal.reason)
      })
    })
  }

  function takeIdle(): Connection | null {
    for (let connection = idle.pop(); connection; connection = idle.pop()) if (!connection.isLost()) return connection
    return null
  }

  function giveBack(connection: Connection): void {
    lent.delete(connection)
    if (isClosed) return void connection.close()
    const [next] = waiting.keys()
    if (next) {
      const kept = connection.isLost() ? open() : connection
      waiting.delete(next)
      lent.add(kept)
      return next(kept)
    }
    if (!connection.isLost()) idle.push(connection)
  }

  async function lend<T>(work: (connection: Connection) => Promise<T>): Promise<T> {
    using deadline = openDeadline(deadlineMs)
    const connection = await lease(deadline.signal)
    try {
      return await Promise.race([work(connection), deadline.passed])
    } catch (error) {
      // Also after an outage that the server itself told of: it may have become a standby, and would tell it for ever.
      if (isOutage(translate(error))) connection.destroy()
      throw error
    } finally {
      giveBack(connection)
    }
  }

  return {
    lend,
    async [Symbol.asyncDispose]() {
      isClosed = true
      for (const reject of waiting.values()) reject(closed())
      waiting.clear()
      await Promise.all(idle.splice(0).map((connection) => connection.close()))
      for (const connection of lent) connection.destroy()
    },
  }
}

function closed(): SluiceError {
  return new SluiceError('service_unavailable', 'The database is closed.')
}

function openDeadline(ms: number) {
  const controller = new AbortController()
  const passed = Promise.withResolvers<never>()
  passed.promise.catch(() => undefined) // It may pass while nobody is in the race any more.
  const timer = setTimeout(() => {
    const error = new SluiceError('service_unavailable', 'The database did not answer in time.')
    controller.abort(error)
    passed.reject(error)
  }, ms)
  return { signal: controller.signal, passed: passed.promise, [Symbol.dispose]: () => clearTimeout(timer) }
}
