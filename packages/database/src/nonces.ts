/**
 * Nonces that were used. They live for minutes and come with every request, so they are never deleted one by one: each goes to
 * the slot of its timestamp, and a slot is truncated while nothing in it can matter. What is older than the window is
 * refused whatever the table says, by the same clock; so forgetting it opens nothing.
 */
import { createHash } from 'node:crypto'
import { NONCE_MS_MAX, type Nonces } from '@sluice/core'
import { sql } from './drizzle.ts'
import { only } from './rows.ts'
import type { Runner } from './transaction.ts'

/** Partitions of the table, in the migration. A window reaches into three at most: one is idle. */
const SLOTS = 4
const SLOT_SECONDS = NONCE_MS_MAX / 1000
/** An idle slot is left alone so near to its use: longer than any statement or transaction of ours may take (see the pool). */
const MARGIN_SECONDS = 60
/** Of our own choosing: two workers that both looked into a slot would wait for each other to truncate it. */
const LOCK = 7_284_391_066

export function openNonces({ query, transaction }: Runner): Nonces {
  return {
    async use(tokenId, timestamp, nonce, keepMs) {
      const key = createHash('sha256')
        .update(JSON.stringify([tokenId, timestamp, nonce]))
        .digest('hex')
      const windowSeconds = Math.min(keepMs, NONCE_MS_MAX) / 1000
      const rows = await query((db) =>
        db.execute(sql`
          insert into nonces (slot, key)
          select ${slotOf(timestamp)}::smallint, decode(${key}, 'hex')
          where abs(extract(epoch from clock_timestamp()) - ${timestamp}::float8) <= ${windowSeconds}::float8
          on conflict do nothing returning 1`),
      )
      return rows.length > 0
    },
    forget: () =>
      transaction(async (db) => {
        const rows = await db.execute<{ seconds: number; is_ours: boolean }>(sql`
          select extract(epoch from clock_timestamp())::float8 as seconds, pg_try_advisory_xact_lock(${LOCK}) as is_ours`)
        const { seconds, is_ours: isOurs } = only(rows)
        const idle = idleSlotAt(seconds)
        if (idle === null || !isOurs) return
        const used = await db.execute(sql`select from nonces where slot = ${idle} limit 1`)
        if (used.length > 0) await db.execute(sql.raw(`truncate nonces_${idle}`))
      }),
  }
}

/** Some slot also for a timestamp that is none: it is refused for its distance. */
export function slotOf(timestamp: number): number {
  const slot = Math.floor(timestamp / SLOT_SECONDS) % SLOTS
  return slot >= 0 ? slot : 0
}

/** The slot that no window of this moment reaches, nor one a little earlier or later; null while there is none. */
export function idleSlotAt(seconds: number): number | null {
  const age = seconds % SLOT_SECONDS
  const isCertain = age > MARGIN_SECONDS && age < SLOT_SECONDS - MARGIN_SECONDS
  return isCertain ? slotOf(seconds + 2 * SLOT_SECONDS) : null
}
