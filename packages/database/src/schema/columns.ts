/** Columns that many tables have. */
import type { Target } from '@sluice/core'
import { bigint, customType, timestamp } from '../drizzle.ts'

/** Milliseconds, as JavaScript counts: a time that was read and is asked for again finds its row. */
export const time = (name: string) => timestamp(name, { withTimezone: true, precision: 3 })
export const createdAt = () => time('created_at').notNull().defaultNow()
export const updatedAt = () => time('updated_at').notNull().defaultNow()
/** The integer identity for clients that know only integers. */
export const number = () => bigint('number', { mode: 'number' }).notNull().generatedAlwaysAsIdentity().unique()
export const bytea = customType<{ data: Uint8Array }>({ dataType: () => 'bytea' })

/** The product has a column of its own. */
export type WithoutProduct<Each extends Target> = Each extends Target ? Omit<Each, 'productId'> : never
