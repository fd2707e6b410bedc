import { runMigrations } from '@sluice/runtime'
import { say } from './print.ts'

/** Applies what is missing of the schema, for the database and for a queue that lives in it. */
export async function runMigrate(): Promise<void> {
  await runMigrations()
  say('The database is up to date.')
}
