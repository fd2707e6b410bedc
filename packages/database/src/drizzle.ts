/**
 * Drizzle, by its CommonJS build. As ES modules it costs Node 26.10 half a second and 200 MB of garbage, because Node parses
 * drizzle-orm's package.json, 179 KB of exports, anew for each of its 300 modules: 275 MB resident after the import, against 71
 * this way (measured). Types come from the package as usual.
 */
import { createRequire } from 'node:module'

const require = createRequire(import.meta.url)

const orm: typeof import('drizzle-orm') = require('drizzle-orm')
const core: typeof import('drizzle-orm/pg-core') = require('drizzle-orm/pg-core')
const driver: typeof import('drizzle-orm/postgres-js') = require('drizzle-orm/postgres-js')
const driverMigrator: typeof import('drizzle-orm/postgres-js/migrator') = require('drizzle-orm/postgres-js/migrator')
const migrator: typeof import('drizzle-orm/migrator') = require('drizzle-orm/migrator')

export type { InferSelectModel, SQL, SQLWrapper } from 'drizzle-orm'
export type { PgTable, PgUpdateSetSource } from 'drizzle-orm/pg-core'
export type { PostgresJsDatabase } from 'drizzle-orm/postgres-js'

export const {
  and,
  asc,
  desc,
  DrizzleQueryError,
  eq,
  getTableColumns,
  gt,
  gte,
  ilike,
  inArray,
  isNotNull,
  isNull,
  lt,
  lte,
  notInArray,
  or,
  sql,
} = orm
export const {
  bigint,
  boolean,
  check,
  customType,
  doublePrecision,
  foreignKey,
  index,
  integer,
  json,
  pgTable,
  primaryKey,
  text,
  timestamp,
  unique,
  uniqueIndex,
  uuid,
} = core
export const { drizzle } = driver
export const { migrate: applyMigrations } = driverMigrator
export const { readMigrationFiles } = migrator
