export { migrate } from './migrate.ts'
export { type DatabaseOptions, openDatabase } from './open-database.ts'
