/** How statements reach the database: alone, or several as one transaction at READ COMMITTED; repeated where the server asks for it. */
import { setTimeout as sleep } from 'node:timers/promises'
import { SluiceError } from '@sluice/core'
import type { Connection, Db } from './connection.ts'
import { isRetryable, translate } from './errors.ts'
import type { Pool } from './pool.ts'

export interface Runner {
  /** For work of one statement. */
  readonly query: <T>(work: (db: Db) => Promise<T>) => Promise<T>
  /** All statements or none. The work is run again from its start after a deadlock, so it must change nothing else. */
  readonly transaction: <T>(work: (db: Db) => Promise<T>) => Promise<T>
}

const ATTEMPTS_MAX = 10
const WAIT_MS_MIN = 5
const WAIT_MS_MAX = 250

export function runnerOn(pool: Pool): Runner {
  return {
    query: (work) => retrying(() => pool.lend(({ db }) => work(db))),
    transaction: (work) => retrying(() => pool.lend((connection) => asTransaction(connection, work))),
  }
}

async function retrying<T>(act: () => Promise<T>): Promise<T> {
  for (let attempt = 1; ; attempt++) {
    try {
      return await act()
    } catch (error) {
      if (!isRetryable(error) || attempt === ATTEMPTS_MAX) throw translate(error)
    }
    await sleep(Math.min(WAIT_MS_MIN * 2 ** (attempt - 1), WAIT_MS_MAX) * (0.5 + Math.random() / 2))
  }
}

async function asTransaction<T>(connection: Connection, work: (db: Db) => Promise<T>): Promise<T> {
  try {
    // Not awaited: BEGIN travels with the first statement, and the session runs them in this order.
    const begun = connection.command('begin')
    const [result] = await Promise.all([work(connection.db), begun])
    const tag = await connection.command('commit')
    // COMMIT of a transaction that has failed succeeds, and says ROLLBACK.
    if (tag !== 'COMMIT') throw new SluiceError('internal_error')
    return result
  } catch (error) {
    await rollBack(connection)
    throw error
  }
}

/** A session whose state is not certain is not used again. */
async function rollBack(connection: Connection): Promise<void> {
  if (connection.isLost()) return
  await connection.command('rollback').catch(() => connection.destroy())
}

/** A statement that is built once per session: building it costs three to four times what running it does. */
export function prepared<T>(build: (db: Db) => T): (db: Db) => T {
  const built = new WeakMap<Db, T>()
  return (db) => {
    const known = built.get(db)
    if (known !== undefined) return known
    const made = build(db)
    built.set(db, made)
    return made
  }
}
