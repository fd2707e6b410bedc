import {
  type Delay,
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
import { takeCensus, takeLoad, tally } from './ingest-census.ts'
import { deliveriesOf, endedIngests } from './events.ts'
import { listIngests } from './ingest-list.ts'
import { isThere, lockSku, settleParked } from './parking.ts'
import { arrayLiteral, ingestOf, isText, rowOf, withoutNul } from './rows.ts'
import { ingests, ingestTimeline } from './schema.ts'
import type { WithoutProduct } from './schema/columns.ts'
import { INGEST_CHANNEL, OUTBOX_CHANNEL } from './signals.ts'
import { note } from './timeline.ts'
import { prepared, type Runner } from './transaction.ts'

const IS_OPEN = sql`state not in ('committed', 'rejected', 'failed')`
const MAY_RUN = sql`state in ('received', 'running')`

const byId = prepared((db) =>
  db
    .select()
    .from(ingests)
    .where(and(eq(ingests.tenantId, sql.placeholder('tenantId')), eq(ingests.id, sql.placeholder('id'))))
    .prepare('ingest_by_id'),
)

export function openIngests(runner: Runner): Ingests {
  const { query, transaction } = runner

  async function find(tenantId: TenantId, id: IngestId): Promise<Ingest | null> {
    if (!isUuid(id)) return null
    const [row] = await query((db) => byId(db).execute({ tenantId, id }))
    return row ? ingestOf(row) : null
  }

  /** Runs a statement that has changed one ingest or none, and has a CTE `changed` of it. */
  async function changeOn(db: Db, parts: SQL, channel: string): Promise<Ingest | null> {
    const [row] = await db.execute(sql`with ${parts} select changed.*, pg_notify(${channel}, changed.id::text) from changed`)
    return row ? ingestOf(rowOf(ingests, row)) : null
  }
  const change = (parts: SQL, channel: string) => query((db) => changeOn(db, parts, channel))

  /** Whether its product is there is asked under the lock that the maker of the product takes, too. */
  function record(ingest: NewIngest): Promise<Ingest | null> {
    const { tenantId, park } = ingest
    if (!park) return change(acceptance(ingest), OUTBOX_CHANNEL)
    return transaction(async (db) => {
      await lockSku(db, tenantId, park.sku)
      return changeOn(db, acceptance(ingest), OUTBOX_CHANNEL)
    })
  }

  return {
    find,
    ...openAnswers(runner),
    commit: (commit, limits) => commitIngest(runner, commit, limits),
    list: (tenantId, filter, page) => listIngests(runner, tenantId, filter, page),

    async accept(ingest) {
      const accepted = await record(ingest)
      // Nothing changed: it was accepted before and the answer was lost, or the key is not ours any more.
      const known = accepted ?? (await find(ingest.tenantId, ingest.id))
      if (known) return known
      throw new SluiceError('idempotency_key_in_flight')
    },

    async start(id, epoch) {
      if (!isUuid(id)) return null
      return change(
        sql`changed as (
          update ingests set state = 'running', attempts = attempts + 1, postponed_because = null, due_at = null,
            updated_at = clock_timestamp()
          where id = ${id} and epoch = ${epoch} and ${MAY_RUN} returning *
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
        ), noted as (${note('changed', timeline, { step: 'finish', outcome: state })}),
        told as (${deliveriesOf(endedIngests('changed', 1))})`,
        INGEST_CHANNEL,
      )
      return ended !== null
    },

    async release(id, { forgiveAttempt, problem, timeline, postponed }) {
      const released = await change(
        sql`changed as (
          update ingests set state = 'received', attempts = greatest(attempts - ${forgiveAttempt ? 1 : 0}, 0),
            ${problemSet(problem)}, ${postponedSet(postponed)}, updated_at = clock_timestamp()
          where id = ${id} and state = 'running' returning *
        ), noted as (${note('changed', timeline, null)})`,
        INGEST_CHANNEL,
      )
      return released !== null
    },

    async putBack(id, postponed) {
      const putBack = await change(
        sql`changed as (
          update ingests set state = 'received', attempts = greatest(attempts - 1, 0), ${postponedSet(postponed)},
            updated_at = clock_timestamp()
          where id = ${id} and state = 'running' returning *
        ), unsaid as (
          delete from ingest_timeline where id = (
            select max(line.id) from ingest_timeline as line join changed on changed.id = line.ingest_id where line.step = 'start'
          )
        )`,
        INGEST_CHANNEL,
      )
      return putBack !== null
    },

    async noteFetched(id, { key, digest, bytes, declaredType, typeMustMatch, fileName }) {
      await query((db) =>
        db.execute(sql`
          update ingests set staged_key = ${key}, digest = ${digest}, bytes = ${bytes}, declared_type = ${declaredType},
            type_must_match = ${typeMustMatch}, file_name = coalesce(file_name, ${fileName}), updated_at = clock_timestamp()
          where id = ${id} and source_kind = 'url' and state = 'running'`),
      )
    },

    replay: (tenantId, ids, failedMs) => query((db) => replay(db, tenantId, ids.filter(isUuid), failedMs)),

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

    settleParked: (limit) => settleParked(runner, limit),

    async stagedInUse(keys, failedMs) {
      const rows = await query((db) =>
        db.execute<{ staged_key: string }>(sql`
          select staged_key from ingests
          where staged_key = any(${arrayLiteral(keys)}::text[]) and ${needsBytes(failedMs)}
          union all select key from ingests, json_array_elements_text(staged_keys) as key
          where staged_keys is not null and key = any(${arrayLiteral(keys)}::text[]) and ${needsBytes(failedMs)}`),
      )
      return new Set(rows.map((row) => row.staged_key))
    },

    census: () => query(takeCensus),
    tally: () => query(tally),
    load: (failedMs) => query((db) => takeLoad(db, failedMs)),
  }
}

function needsBytes(failedMs: number): SQL {
  return sql`state not in ('committed', 'rejected')
    and (finished_at is null or finished_at > clock_timestamp() - ${failedMs}::float8 * interval '1 ms')`
}

const QUEUE = sql`insert into outbox (ingest_id, epoch, tenant_id, lane, since, again) select id, epoch, tenant_id, lane`
/** In the place that it has had since it was accepted. */
const QUEUE_RECEIVED = sql`${QUEUE}, created_at, false from changed where state = 'received'`
const QUEUE_AGAIN = sql`${QUEUE}, created_at, true from changed`
const QUEUE_ANEW = sql`${QUEUE}, updated_at, false from changed`

/** The ingest, its outbox row, its first line, and the claim on the key: one statement, so all of them or none. */
function acceptance(ingest: NewIngest): SQL {
  const { idempotency, answer, park } = ingest
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
  if (park) {
    entries.push([sql.identifier('parked_until'), sql`clock_timestamp() + ${park.waitMs}::float8 * interval '1 ms'`])
    entries.push([sql.identifier('product_id'), sql`(select id from home)`])
    entries.push([sql.identifier('state'), sql`case when exists (select from home) then 'received' else 'parked' end`])
  }
  const names = sql.join(
    entries.map(([name]) => name),
    sql`, `,
  )
  const values = sql.join(
    entries.map(([, value]) => value),
    sql`, `,
  )
  const home = park ? sql`home as (${isThere(ingest.tenantId, park.sku)}), ` : sql``
  return sql`${home}${idempotency ? sql`bound as (${bound}), ` : sql``}changed as (
      insert into ingests (${names}) select ${values} ${idempotency ? sql`from bound` : sql``}
      on conflict (id) do nothing returning *
    ), queued as (${QUEUE_RECEIVED}), received as (select * from changed where state = 'received'),
    noted as (${note('received', [], { step: 'accept', outcome: 'done' })})${park ? PARKED : sql``}`
}

const PARKED = sql`, parked as (select * from changed where state = 'parked'), noted_parked as (${note(
  'parked',
  [],
  { step: 'accept', outcome: 'done' },
  { step: 'park', outcome: 'done' },
)})`

function newRow({ id, tenantId, tokenId, source, target, lane = 'interactive', park }: NewIngest) {
  const staged = source.kind === 'staged' ? source : null
  const uploaded = source.kind === 'uploaded' ? source : null
  const brought = staged ?? uploaded
  return {
    id,
    tenantId,
    tokenId,
    lane,
    sourceKind: source.kind,
    sourceFileId: source.kind === 'file' ? source.fileId : null,
    sourceUrl: source.kind === 'url' ? source.url : null,
    stagedKey: staged?.key ?? null,
    stagedKeys: uploaded?.keys ?? null,
    promisedDigest: uploaded?.sha256 ?? null,
    digest: staged?.digest ?? null,
    bytes: brought?.bytes ?? null,
    declaredType: brought?.declaredType ?? null,
    typeMustMatch: brought?.typeMustMatch ?? null,
    fileName: source.kind === 'file' ? null : source.fileName,
    reusesFile: staged?.reusesFile ?? false,
    ...(park
      ? { parkedSku: sayable(park.sku), target: sayable({ kind: 'attach', placement: park.placement } as const) }
      : { productId: target?.productId ?? null, target: target && sayable(withoutProduct(target)) }),
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

function postponedSet(postponed: Delay | undefined): SQL {
  const dueAt = postponed ? sql`clock_timestamp() + ${postponed.waitMs}::float8 * interval '1 ms'` : sql`null`
  return sql`postponed_because = ${postponed?.because ?? null}, due_at = ${dueAt}`
}

function problemSet(problem: Problem | null): SQL {
  const details = problem?.details === undefined ? null : JSON.stringify(problem.details)
  return sql`problem_code = ${problem?.code ?? null}, problem_detail = ${problem ? withoutNul(problem.detail) : null},
    problem_details = ${details}`
}

/** Rows are locked in one order, so that of two replays of the same ingests neither waits for the other for ever. */
async function replay(db: Db, tenantId: TenantId, ids: readonly IngestId[], failedMs: number): Promise<readonly Ingest[]> {
  const rows = await db.execute(sql`
    with failed as materialized (
      select id from ingests
      where tenant_id = ${tenantId} and id = any(${arrayLiteral(ids)}::uuid[]) and state = 'failed'
        and (source_kind in ('url', 'file') or finished_at > clock_timestamp() - ${failedMs}::float8 * interval '1 ms')
        and strpos(coalesce(problem_details::text, ''), '"superseded_by":"') = 0
      order by id for update
    ), changed as (
      update ingests set state = 'received', attempts = 0, epoch = epoch + 1, ${problemSet(null)},
        updated_at = clock_timestamp(), finished_at = null
      from failed where ingests.id = failed.id returning ingests.*
    ), queued as (${QUEUE_ANEW}), noted as (${note('changed', [], { step: 'replay', outcome: 'done' })})
    select changed.*, pg_notify(${OUTBOX_CHANNEL}, '') from changed order by id`)
  return rows.map((row) => ingestOf(rowOf(ingests, row)))
}

async function requeueIdle(db: Db, idleMs: number, limit: number): Promise<readonly IngestId[]> {
  const rows = await db.execute<{ id: string }>(sql`
    with idle as materialized (
      select id from ingests
      where ${MAY_RUN} and updated_at < clock_timestamp() - ${idleMs}::float8 * interval '1 ms'
        and not exists (select from outbox where outbox.ingest_id = ingests.id)
      order by updated_at limit ${limit} for update skip locked
    ), changed as (
      update ingests set updated_at = clock_timestamp() from idle where ingests.id = idle.id returning ingests.*
    ), queued as (${QUEUE_AGAIN}), noted as (${note('changed', [], { step: 'requeue', outcome: 'done' })})
    select id, pg_notify(${OUTBOX_CHANNEL}, '') from changed order by id`)
  return rows.map((row) => row.id as IngestId)
}
