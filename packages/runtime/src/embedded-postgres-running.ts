import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { DATABASE, SUPERUSER } from './embedded-postgres-cluster.ts'
import { findPlace } from './embedded-postgres-place.ts'

/**
 * The address of the server that a running Sluice has on this data directory, as far as its files tell; it may have died
 * without removing them. Null when there are none. Lines of postmaster.pid: 1 is the process, 4 the port (PostgreSQL's
 * `pidfile.h`).
 */
export async function findRunningPostgres(dataDir: string): Promise<string | null> {
  const { directory } = await findPlace(dataDir)
  const read = (path: string) => readFile(path, 'utf8').catch(() => null)
  const [status, password] = await Promise.all([read(join(directory, 'postmaster.pid')), read(join(dataDir, 'password'))])
  const port = status?.split('\n')[3]
  return port && password ? `postgres://${SUPERUSER}:${password.trim()}@127.0.0.1:${port}/${DATABASE}` : null
}
