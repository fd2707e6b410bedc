import { join } from 'node:path'
import { sql, applyMigrations } from './drizzle.ts'
import { type Connection, openConnection } from './connection.ts'
import { translate } from './errors.ts'

export const MIGRATIONS_FOLDER = join(import.meta.dirname, '../migrations')

/** Of our own choosing; the same for all processes that migrate. */
const LOCK = 7_284_391_064
/** How long one process waits for another one's migration, and for tables that are in use. */
const LOCK_TIMEOUT_MS = 60_000

/** Brings the tables up to date. May be called by several processes at once, and again. */
export async function migrate(url: string): Promise<void> {
  await underLock(url, LOCK, ({ db }) => applyMigrations(db, { migrationsFolder: MIGRATIONS_FOLDER }))
}

/** Runs work on a session that holds an advisory lock of its database. */
export async function underLock<T>(url: string, lock: number, work: (connection: Connection) => Promise<T>): Promise<T> {
  const connection = openConnection({ url, applicationName: 'sluice: migrate', session: { lock_timeout: LOCK_TIMEOUT_MS } })
  try {
    await connection.db.execute(sql`select pg_advisory_lock(${lock}::bigint)`)
    return await work(connection)
  } catch (error) {
    throw translate(error)
  } finally {
    // The session's end gives the lock back.
    await connection.close()
  }
}
