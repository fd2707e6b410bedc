import {
  INGEST_STATES,
  type Ingest,
  type IngestId,
  type Ingests,
  isUuid,
  type NewIngest,
  type Problem,
  SluiceError,
  type Target,
  type TenantId,
} from '@sluice/core'
import { and, asc, eq, getTableColumns, type SQL, sql } from './drizzle.ts'
import { openAnswers } from './answers.ts'
import { commitIngest } from './commit.ts'
import type { Db } from './connection.ts'
import { listIngests } from './ingest-list.ts'
import { arrayLiteral, ingestOf, isText, rowOf, withoutNul } from './rows.ts'
import { ingests, ingestTimeline, type WithoutProduct } from './schema.ts'
import { INGEST_CHANNEL, OUTBOX_CHANNEL } from './signals.ts'
import { note } from './timeline.ts'
import { prepared, type Runner } from './transaction.ts'

const IS_OPEN = sql`state not in ('committed', 'rejected', 'failed')`

const byId = prepared((db) =>
  db
    .select()
    .from(ingests)
    .where(and(eq(ingests.tenantId, sql.placeholder('tenantId')), eq(ingests.id, sql.placeholder('id'))))
    .prepare('ingest_by_id'),
)

export function openIngests(runner: Runner): Ingests {
  const { query } = runner

  async function find(tenantId: TenantId, id: IngestId): Promise<Ingest | null> {
    if (!isUuid(id)) return null
    const [row] = await query((db) => byId(db).execute({ tenantId, id }))
    return row ? ingestOf(row) : null
  }

  /** Runs a statement that has changed one ingest or none, and has a CTE `changed` of it. */
  async function change(parts: SQL, channel: string): Promise<Ingest | null> {
    const [row] = await query((db) =>
      db.execute(sql`with ${parts} select changed.*, pg_notify(${channel}, changed.id::text) from changed`),
    )
    return row ? ingestOf(rowOf(ingests, row)) : null
  }

  return {
    find,
    ...openAnswers(runner),
    commit: (commit, limits) => commitIngest(runner, commit, limits),
    list: (tenantId, filter, page) => listIngests(runner, tenantId, filter, page),

    async accept(ingest) {
      const accepted = await change(acceptance(ingest), OUTBOX_CHANNEL)
      // Nothing changed: it was accepted before and the answer was lost, or the key is not ours any more.
      const known = accepted ?? (await find(ingest.tenantId, ingest.id))
      if (known) return known
      throw new SluiceError('idempotency_key_in_flight')
    },

    async start(id, epoch) {
      if (!isUuid(id)) return null
      return change(
        sql`changed as (
          update ingests set state = 'running', attempts = attempts + 1, updated_at = clock_timestamp()
          where id = ${id} and epoch = ${epoch} and ${IS_OPEN} returning *
        ), noted as (${note('changed', [], { step: 'start', outcome: 'done' })})`,
        INGEST_CHANNEL,
      )
    },

    async end(id, state, problem, timeline) {
      const ended = await change(
        sql`changed as (
          update ingests set state = ${state}, ${problemSet(problem)},
            updated_at = clock_timestamp(), finished_at = clock_timestamp()
          where id = ${id} and ${IS_OPEN} returning *
        ), noted as (${note('changed', timeline, { step: 'finish', outcome: state })})`,
        INGEST_CHANNEL,
      )
      return ended !== null
    },

    async release(id, { forgiveAttempt, problem, timeline }) {
      const released = await change(
        sql`changed as (
          update ingests set state = 'received', attempts = greatest(attempts - ${forgiveAttempt ? 1 : 0}, 0),
            ${problemSet(problem)}, updated_at = clock_timestamp()
          where id = ${id} and state = 'running' returning *
        ), noted as (${note('changed', timeline, null)})`,
        INGEST_CHANNEL,
      )
      return released !== null
    },

    async replay(tenantId, id) {
      if (!isUuid(id)) throw new SluiceError('ingest_unknown')
      const replayed = await change(
        sql`changed as (
          update ingests set state = 'received', attempts = 0, epoch = epoch + 1, ${problemSet(null)},
            updated_at = clock_timestamp(), finished_at = null
          where tenant_id = ${tenantId} and id = ${id} and state = 'failed' returning *
        ), queued as (${QUEUE_CHANGED}), noted as (${note('changed', [], { step: 'replay', outcome: 'done' })})`,
        OUTBOX_CHANNEL,
      )
      if (replayed) return replayed
      throw new SluiceError((await find(tenantId, id)) ? 'ingest_not_replayable' : 'ingest_unknown')
    },

    async timeline(tenantId, id) {
      if (!isUuid(id)) return []
      const { id: _, ingestId: __, ...columns } = getTableColumns(ingestTimeline)
      return query((db) =>
        db
          .select(columns)
          .from(ingestTimeline)
          .innerJoin(ingests, and(eq(ingests.id, ingestTimeline.ingestId), eq(ingests.tenantId, tenantId)))
          .where(eq(ingestTimeline.ingestId, id))
          .orderBy(asc(ingestTimeline.id)),
      )
    },

    requeueIdle: (idleMs, limit) => query((db) => requeueIdle(db, idleMs, limit)),

    async stagedInUse(keys) {
      const rows = await query((db) =>
        db.execute<{ staged_key: string }>(sql`
          select staged_key from ingests
          where staged_key = any(${arrayLiteral(keys)}::text[]) and state not in ('committed', 'rejected')`),
      )
      return new Set(rows.map((row) => row.staged_key))
    },

    census: () => query(takeCensus),
  }
}

const QUEUE_CHANGED = sql`insert into outbox (ingest_id, epoch) select id, epoch from changed`

/** The ingest, its outbox row, its first line, and the claim on the key: one statement, so all of them or none. */
function acceptance(ingest: NewIngest): SQL {
  const { idempotency, answer } = ingest
  const bound = sql`
    update idempotency_keys set fingerprint = ${idempotency?.fingerprint}
    where tenant_id = ${ingest.tenantId} and key = ${idempotency?.key} and owner_id = ${ingest.id}
      and (fingerprint is null or fingerprint = ${idempotency?.fingerprint})
    returning 1`
  const entries = Object.entries(newRow(ingest)).map(([key, value]) => {
    const column = getTableColumns(ingests)[key as keyof ReturnType<typeof newRow>]
    return [sql.identifier(column.name), sql`${sql.param(value, column)}::${sql.raw(column.getSQLType())}`] as const
  })
  if (answer) {
    const heldUntil = sql`clock_timestamp() + ${answer.leaseMs}::float8 * interval '1 ms'`
    entries.push([sql.identifier('answer_fingerprint'), sql`${answer.fingerprint}::text`])
    entries.push([sql.identifier('answer_held_until'), heldUntil])
  }
  const names = sql.join(
    entries.map(([name]) => name),
    sql`, `,
  )
  const values = sql.join(
    entries.map(([, value]) => value),
    sql`, `,
  )
  return sql`${idempotency ? sql`bound as (${bound}), ` : sql``}changed as (
      insert into ingests (${names}) select ${values} ${idempotency ? sql`from bound` : sql``}
      on conflict (id) do nothing returning *
    ), queued as (${QUEUE_CHANGED}), noted as (${note('changed', [], { step: 'accept', outcome: 'done' })})`
}

function newRow({ id, tenantId, tokenId, source, target }: NewIngest) {
  const staged = source.kind === 'staged' ? source : null
  return {
    id,
    tenantId,
    tokenId,
    sourceKind: source.kind,
    sourceFileId: source.kind === 'file' ? source.fileId : null,
    stagedKey: staged?.key ?? null,
    digest: staged?.digest ?? null,
    bytes: staged?.bytes ?? null,
    declaredType: staged?.declaredType ?? null,
    typeMustMatch: staged?.typeMustMatch ?? null,
    fileName: staged?.fileName ?? null,
    reusesFile: staged?.reusesFile ?? false,
    productId: target?.productId ?? null,
    target: target && sayable(withoutProduct(target)),
  }
}

function withoutProduct(target: Target): WithoutProduct<Target> {
  const { productId: _, ...rest } = target
  return rest
}

/** `json` takes texts that it does not give back alone: one such row, and no search of the tenant would end well. */
function sayable<T>(value: T): T {
  JSON.stringify(value, (_, part: unknown) => {
    if (typeof part === 'string' && !(isText(part) && part.isWellFormed())) throw new SluiceError('request_invalid')
    return part
  })
  return value
}

function problemSet(problem: Problem | null): SQL {
  const details = problem?.details === undefined ? null : JSON.stringify(problem.details)
  return sql`problem_code = ${problem?.code ?? null}, problem_detail = ${problem ? withoutNul(problem.detail) : null},
    problem_details = ${details}`
}

async function requeueIdle(db: Db, idleMs: number, limit: number): Promise<readonly IngestId[]> {
  const rows = await db.execute<{ id: string }>(sql`
    with idle as materialized (
      select id from ingests
      where state in ('received', 'running') and updated_at < clock_timestamp() - ${idleMs}::float8 * interval '1 ms'
        and not exists (select from outbox where outbox.ingest_id = ingests.id)
      order by updated_at limit ${limit} for update skip locked
    ), changed as (
      update ingests set epoch = epoch + 1, updated_at = clock_timestamp() from idle
      where ingests.id = idle.id returning ingests.*
    ), queued as (${QUEUE_CHANGED}), noted as (${note('changed', [], { step: 'requeue', outcome: 'done' })})
    select id, pg_notify(${OUTBOX_CHANNEL}, '') from changed order by id`)
  return rows.map((row) => row.id as IngestId)
}

async function takeCensus(db: Db): ReturnType<Ingests['census']> {
  const [row] = await db.execute<{ states: Record<string, number> | null; oldest_ms: number; outbox: number }>(sql`
    select
      (select json_object_agg(state, n) from (select state, count(*) as n from ingests group by state) as counted) as states,
      (select coalesce(extract(epoch from clock_timestamp() - min(created_at)) * 1000, 0)::float8
        from ingests where finished_at is null) as oldest_ms,
      (select count(*) from outbox)::int as outbox`)
  const states = { ...NO_INGESTS }
  for (const state of INGEST_STATES) states[state] = row?.states?.[state] ?? 0
  return { states, oldestOpenMs: Math.max(0, row?.oldest_ms ?? 0), outbox: row?.outbox ?? 0 }
}

const NO_INGESTS = { received: 0, parked: 0, running: 0, committed: 0, rejected: 0, failed: 0 }
