/** Whose the answer of an ingest is, while equal requests may still claim it. */
import { type Ingests, isUuid } from '@sluice/core'
import { type SQL, sql } from './drizzle.ts'
import { ingestOf, isText, rowOf } from './rows.ts'
import { ingests } from './schema.ts'
import type { Runner } from './transaction.ts'

export function openAnswers({ query }: Runner): Pick<Ingests, 'claimUnanswered' | 'holdAnswer' | 'markAnswered'> {
  return {
    async claimUnanswered(tenantId, fingerprint, leaseMs, ageMsMax) {
      if (!isText(fingerprint)) return null
      // No `skip locked`: a worker that ends the ingest just then holds its row, and skipping it would make the image twice.
      const [row] = await query((db) =>
        db.execute(sql`
          with free as materialized (
            select id from ingests
            where tenant_id = ${tenantId} and answer_fingerprint = ${fingerprint} and answer_held_until <= clock_timestamp()
              and created_at > clock_timestamp() - ${ageMsMax}::float8 * interval '1 ms'
            order by id limit 1 for update
          ) update ingests set answer_held_until = ${heldFor(leaseMs)} from free where ingests.id = free.id returning ingests.*`),
      )
      return row ? ingestOf(rowOf(ingests, row)) : null
    },
    async holdAnswer(id, leaseMs) {
      if (!isUuid(id)) return
      await query((db) =>
        db.execute(sql`
          update ingests set answer_held_until = ${heldFor(leaseMs)} where id = ${id} and answer_fingerprint is not null`),
      )
    },
    async markAnswered(id) {
      if (!isUuid(id)) return
      await query((db) =>
        db.execute(sql`update ingests set answer_fingerprint = null, answer_held_until = null
          where id = ${id} and answer_fingerprint is not null`),
      )
    },
  }
}

function heldFor(leaseMs: number): SQL {
  return sql`clock_timestamp() + ${leaseMs}::float8 * interval '1 ms'`
}
