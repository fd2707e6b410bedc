import { randomUUID } from 'node:crypto'
import { Client } from 'pg'
import type { QueueConnection } from '../connection.ts'

/** A name that nobody has used: the keys or the schema of one test. */
export function newNamespace(): string {
  return `test_${randomUUID().replaceAll('-', '')}`
}

export interface TestDatabase extends AsyncDisposable {
  readonly url: string
}

/** A database of its own, on a server where `adminUrl` may make one. */
export async function openTestDatabase(adminUrl: string): Promise<TestDatabase> {
  const name = newNamespace()
  await runSql(adminUrl, `CREATE DATABASE ${name}`)
  const url = new URL(adminUrl)
  url.pathname = `/${name}`
  return {
    url: url.href,
    [Symbol.asyncDispose]: () => runSql(adminUrl, `DROP DATABASE ${name} WITH (FORCE)`),
  }
}

async function runSql(url: string, sql: string): Promise<void> {
  const client = new Client({ connectionString: url })
  await client.connect()
  try {
    await client.query(sql)
  } finally {
    await client.end()
  }
}

/** The same queue by another way, for instance through a proxy. */
export function through(connection: QueueConnection, port: number): QueueConnection {
  const url = new URL(connection.url)
  url.port = String(port)
  return { ...connection, url: url.href }
}
