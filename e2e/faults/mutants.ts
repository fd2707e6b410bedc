/** Guards that can be taken away, one at a time, to see whether the harness notices. */
export type Mutant =
  /** Places in a source, which the services load with another text there. */
  | { readonly kind: 'source'; readonly file: string; readonly edits: readonly Edit[]; readonly meaning: string }
  /** Statements for the database of the run. */
  | { readonly kind: 'schema'; readonly statements: readonly string[]; readonly meaning: string }

type Edit = readonly [from: string, to: string]

export const MUTANTS = {
  outbox: {
    kind: 'source',
    file: 'packages/database/src/ingests.ts',
    edits: [['queued as (${QUEUE_RECEIVED})', 'queued as (select 1)']],
    meaning: 'the promise is recorded without its outbox row',
  },
  relay: {
    kind: 'source',
    file: 'packages/core/src/relay-outbox.ts',
    edits: [
      [
        'for (const lane of LANES) await relayLane(queue, lane, entries)',
        'await database.outbox.remove(entries.map((entry) => entry.id)); failpoint("relay-claimed"); for (const lane of LANES) await relayLane(queue, lane, entries)',
      ],
    ],
    meaning: 'outbox rows are removed before they are in the queue',
  },
  reconciler: {
    kind: 'source',
    file: 'packages/core/src/reconcile.ts',
    edits: [['await database.ingests.requeueIdle(limits.reconcileAfterMs, limits.reconcileBatchMax)', '[]']],
    meaning: 'nobody queues again what the queue has lost',
  },
  lock: {
    kind: 'source',
    file: 'packages/database/src/commit.ts',
    edits: [[' for update of product', '']],
    meaning: 'the commit does not lock the product',
  },
  fence: {
    kind: 'source',
    file: 'packages/database/src/commit.ts',
    edits: [
      ['if (isTerminal(locked.state)) return locked.state', ''],
      ["where ingest.state not in ('committed', 'rejected', 'failed') for update of product", 'for update of product'],
    ],
    meaning: 'the commit does not look whether the ingest is over',
  },
  start: {
    kind: 'source',
    file: 'packages/database/src/ingests.ts',
    edits: [
      ['where id = ${id} and epoch = ${epoch} and ${MAY_RUN} returning *', 'where id = ${id} and epoch = ${epoch} returning *'],
    ],
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
    edits: [['if (copy?.digest !== source.digest || copy.bytes !== source.bytes)', 'if (!copy)']],
    meaning: 'bytes are not hashed against what was received',
  },
  idempotency: {
    kind: 'source',
    file: 'packages/http/src/idempotency.ts',
    edits: [['if (key === null) return { key, earlier: null }', 'return { key: null, earlier: null }']],
    meaning: 'Idempotency-Key is not looked at',
  },
  sweeper: {
    kind: 'source',
    file: 'packages/core/src/sweep.ts',
    edits: [['if (old.length === 0) return 0', 'return 0']],
    meaning: 'nothing removes staged bytes that were left behind',
  },
  needed: {
    kind: 'source',
    file: 'packages/core/src/sweep.ts',
    edits: [['await database.ingests.stagedInUse(old, limits.failedBytesMsMax)', 'new Set<string>()']],
    meaning: 'the sweeper does not ask whether staged bytes are needed',
  },
  outage: {
    kind: 'source',
    file: 'packages/core/src/pipeline.ts',
    edits: [['const forgiveAttempt = interrupted || isOutage(error)', 'const forgiveAttempt = false']],
    meaning: 'an outage costs an attempt',
  },
} as const satisfies Record<string, Mutant>

export function mutantNamed(name: string): Mutant {
  const found = Object.entries(MUTANTS).find(([known]) => known === name)
  if (!found) throw new Error(`There is no guard ${JSON.stringify(name)} to break. There are ${Object.keys(MUTANTS).join(', ')}.`)
  return found[1]
}
