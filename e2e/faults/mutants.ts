/** Guards that can be taken away, one at a time, to see whether the harness notices. */
export type Mutant =
  /** A place in a source, which the services load with another text there. */
  | { readonly kind: 'source'; readonly file: string; readonly from: string; readonly to: string; readonly meaning: string }
  /** Statements for the database of the run. */
  | { readonly kind: 'schema'; readonly statements: readonly string[]; readonly meaning: string }

export const MUTANTS = {
  outbox: {
    kind: 'source',
    file: 'packages/database/src/ingests.ts',
    from: 'queued as (${QUEUE_RECEIVED})',
    to: 'queued as (select 1)',
    meaning: 'the promise is recorded without its outbox row',
  },
  relay: {
    kind: 'source',
    file: 'packages/core/src/relay-outbox.ts',
    from: 'for (const lane of LANES) await relayLane(queue, lane, entries)',
    to: 'await database.outbox.remove(entries.map((entry) => entry.id)); failpoint("relay-claimed"); for (const lane of LANES) await relayLane(queue, lane, entries)',
    meaning: 'outbox rows are removed before they are in the queue',
  },
  reconciler: {
    kind: 'source',
    file: 'packages/core/src/reconcile.ts',
    from: 'await database.ingests.requeueIdle(limits.reconcileAfterMs, limits.reconcileBatchMax)',
    to: '[]',
    meaning: 'nobody queues again what the queue has lost',
  },
  lock: {
    kind: 'source',
    file: 'packages/database/src/commit.ts',
    from: ' for update of product',
    to: '',
    meaning: 'the commit does not lock the product',
  },
  fence: {
    kind: 'source',
    file: 'packages/database/src/commit.ts',
    from: 'if (isTerminal(locked.state)) return locked.state',
    to: '',
    meaning: 'the commit does not look whether the ingest is over',
  },
  start: {
    kind: 'source',
    file: 'packages/database/src/ingests.ts',
    from: 'where id = ${id} and epoch = ${epoch} and ${MAY_RUN} returning *',
    to: 'where id = ${id} and epoch = ${epoch} returning *',
    meaning: 'a job starts whatever the state of its ingest',
  },
  unique: {
    kind: 'schema',
    statements: [
      'alter table product_images drop constraint product_images_name',
      'alter table product_images drop constraint product_images_ingest',
    ],
    meaning: 'no unique name in a product, no unique ingest of an image',
  },
  digest: {
    kind: 'source',
    file: 'packages/core/src/steps/validate.ts',
    from: 'if (copy?.digest !== source.digest || copy.bytes !== source.bytes)',
    to: 'if (!copy)',
    meaning: 'bytes are not hashed against what was received',
  },
  idempotency: {
    kind: 'source',
    file: 'packages/http/src/idempotency.ts',
    from: 'if (key === null) return { key, earlier: null }',
    to: 'return { key: null, earlier: null }',
    meaning: 'Idempotency-Key is not looked at',
  },
  sweeper: {
    kind: 'source',
    file: 'packages/core/src/sweep.ts',
    from: 'if (old.length === 0) return 0',
    to: 'return 0',
    meaning: 'nothing removes staged bytes that were left behind',
  },
  needed: {
    kind: 'source',
    file: 'packages/core/src/sweep.ts',
    from: 'await database.ingests.stagedInUse(old, limits.failedBytesMsMax)',
    to: 'new Set()',
    meaning: 'the sweeper does not ask whether staged bytes are needed',
  },
  outage: {
    kind: 'source',
    file: 'packages/core/src/pipeline.ts',
    from: 'const forgiveAttempt = interrupted || isOutage(error)',
    to: 'const forgiveAttempt = false',
    meaning: 'an outage costs an attempt',
  },
} as const satisfies Record<string, Mutant>

export function mutantNamed(name: string): Mutant {
  const found = Object.entries(MUTANTS).find(([known]) => known === name)
  if (!found) throw new Error(`There is no guard ${JSON.stringify(name)} to break. There are ${Object.keys(MUTANTS).join(', ')}.`)
  return found[1]
}
