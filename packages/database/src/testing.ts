/** Databases for tests: each its own, migrated, and quickly made. */
import { createHash, randomBytes } from 'node:crypto'
import { readMigrationFiles, sql } from './drizzle.ts'
import { type Connection, openConnection } from './connection.ts'
import { migrate, MIGRATIONS_FOLDER, underLock } from './migrate.ts'

export interface TestDatabase extends AsyncDisposable {
  readonly url: string
}

const LOCK = 7_284_391_065

/** A copy of a template that the first caller on a server makes: migrating takes ten times as long as copying. */
export async function createTestDatabase(adminUrl: string): Promise<TestDatabase> {
  const template = await makeTemplate(adminUrl)
  const name = `sluice_test_${randomBytes(8).toString('hex')}`
  await onServer(adminUrl, (admin) => admin.command(`create database ${name} template ${template}`))
  return {
    url: urlOf(adminUrl, name),
    [Symbol.asyncDispose]: () =>
      onServer(adminUrl, async (admin) => void (await admin.command(`drop database if exists ${name} with (force)`))),
  }
}

/** Named after its migrations, and given that name only when it is complete. */
async function makeTemplate(adminUrl: string): Promise<string> {
  const migrations = readMigrationFiles({ migrationsFolder: MIGRATIONS_FOLDER })
  const hash = createHash('sha256').update(migrations.map((migration) => migration.hash).join())
  const name = `sluice_template_${hash.digest('hex').slice(0, 16)}`
  await underLock(adminUrl, LOCK, async (admin) => {
    const found = await admin.db.execute(sql`select from pg_database where datname = ${name}`)
    if (found.length > 0) return
    await admin.command(`drop database if exists ${name}_unfinished with (force)`)
    await admin.command(`create database ${name}_unfinished`)
    await migrate(urlOf(adminUrl, `${name}_unfinished`))
    await admin.command(`alter database ${name}_unfinished rename to ${name}`)
  })
  return name
}

async function onServer<T>(adminUrl: string, work: (admin: Connection) => Promise<T>): Promise<T> {
  const admin = openConnection({ url: adminUrl, applicationName: 'sluice: test' })
  try {
    return await work(admin)
  } finally {
    await admin.close()
  }
}

function urlOf(adminUrl: string, database: string): string {
  const url = new URL(adminUrl)
  url.pathname = `/${database}`
  return url.href
}
