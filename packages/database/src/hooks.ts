import {
  type HookEvent,
  type HookEventFilter,
  type HookEventId,
  type Hooks,
  type HookSource,
  type HookSourceId,
  isUuid,
  SluiceError,
  type TenantId,
  type TokenId,
} from '@sluice/core'
import { and, desc, eq, getTableColumns, gte, type InferSelectModel, inArray, lt, type SQL, sql } from './drizzle.ts'
import { holdItem } from './hook-items.ts'
import { arrayLiteral, isText, only, rowOf, withoutNul } from './rows.ts'
import { hookSources, hookSubjects, inbox } from './schema.ts'
import { INBOX_CHANNEL } from './signals.ts'
import { prepared, type Runner } from './transaction.ts'

/** Every event asks for its source. */
const sourceById = prepared((db) =>
  db
    .select()
    .from(hookSources)
    .where(eq(hookSources.id, sql.placeholder('id')))
    .prepare('hook_source_by_id'),
)

const IS_DUE = sql`state = 'received' and (claimed_until is null or claimed_until <= clock_timestamp())`

/** So many may claim at the same moment and all find something. */
const CLAIMERS = 4

/** What is told of an event that is listed: a page of bodies could be as large as fifty uploads. */
const { body: _, ...LISTED } = getTableColumns(inbox)

export function openHooks(runner: Runner): Hooks {
  return { ...openSources(runner), ...openInbox(runner), ...openEvents(runner) }
}

function openSources({
  query,
  transaction,
}: Runner): Pick<Hooks, 'createSource' | 'findSource' | 'findSourceByAddress' | 'listSources' | 'updateSource' | 'removeSource'> {
  const findSourceByAddress: Hooks['findSourceByAddress'] = async (id) => {
    if (!isUuid(id)) return null
    const [row] = await query((db) => sourceById(db).execute({ id }))
    return row ? sourceOf(row) : null
  }
  return {
    findSourceByAddress,
    async createSource(source, max) {
      const row = await transaction(async (db) => {
        // The tenant's row is what its sources are counted under.
        await db.execute(sql`select from tenants where id = ${source.tenantId} for no key update`)
        const [known] = await sourceById(db).execute({ id: source.id })
        if (known) return known
        if ((await db.$count(hookSources, eq(hookSources.tenantId, source.tenantId))) >= max) {
          throw new SluiceError('hook_sources_exceeded')
        }
        return only(await db.insert(hookSources).values(source).returning())
      })
      return sourceOf(row)
    },
    async findSource(tenantId, id) {
      const source = await findSourceByAddress(id)
      return source?.tenantId === tenantId ? source : null
    },
    async listSources(tenantId) {
      const rows = await query((db) =>
        db.select().from(hookSources).where(eq(hookSources.tenantId, tenantId)).orderBy(desc(hookSources.id)),
      )
      return rows.map(sourceOf)
    },
    async updateSource(tenantId, id, change) {
      const rows = await query((db) =>
        db
          .update(hookSources)
          .set({ ...change, updatedAt: sql`clock_timestamp()` })
          .where(ownSource(tenantId, id))
          .returning(),
      )
      const [row] = rows
      if (!row) throw new SluiceError('hook_source_unknown')
      return sourceOf(row)
    },
    async removeSource(tenantId, id) {
      const rows = await query((db) => db.delete(hookSources).where(ownSource(tenantId, id)).returning({ id: hookSources.id }))
      return rows.length > 0
    },
  }
}

/** The way of an event, from its arrival to its end. */
function openInbox(
  runner: Runner,
): Pick<Hooks, 'receive' | 'countWaiting' | 'claim' | 'release' | 'finish' | 'holdItem' | 'advance'> {
  const { query } = runner
  return {
    async receive({ id, tenantId, sourceId, key, saidId, headers, body }) {
      if (![key, saidId ?? '', ...Object.values(headers)].every(isText)) throw new SluiceError('request_invalid')
      const rows = await query((db) =>
        db.execute<{ id: string }>(sql`
          with said as (
            select exists (select from inbox where source_id = ${sourceId} and said_id = ${saidId}) as reused
          ), received as (
            insert into inbox (id, tenant_id, source_id, key, said_id, headers, body, state, problem_code, problem_detail, processed_at)
            select ${id}, ${tenantId}, ${sourceId}, ${key}, ${saidId}, ${JSON.stringify(headers)}, ${sql.param(body, inbox.body)},
              case when reused then 'quarantined' else 'received' end,
              case when reused then 'event_id_reused' end,
              case when reused then 'Another event had this id, which nobody has signed.' end,
              case when reused then clock_timestamp() end
            from said on conflict do nothing returning id
          ) select id, pg_notify(${INBOX_CHANNEL}, '') from received`),
      )
      return rows.length > 0
    },
    async countWaiting(sourceId, max) {
      const [row] = await query((db) =>
        db.execute<{ waiting: number }>(sql`
          select count(*)::int as waiting
          from (select from inbox where source_id = ${sourceId} and state = 'received' limit ${max}) as waiting`),
      )
      return row?.waiting ?? 0
    },
    async claim(limit, leaseMs) {
      const rows = await query((db) =>
        db.execute(sql`
          with turns as materialized (
            select oldest.id, oldest.number, oldest.place from hook_sources cross join lateral (
              select id, number, row_number() over (order by number) as place from (
                select id, number from inbox where source_id = hook_sources.id and ${IS_DUE} order by number limit ${limit}
              ) as waiting
            ) as oldest
            where enabled order by place, number limit ${limit * CLAIMERS}
          ), free as materialized (
            select inbox.id from inbox join turns on turns.id = inbox.id
            where ${IS_DUE} order by place, inbox.number limit ${limit} for update of inbox skip locked
          ), claimed as (
            update inbox set claimed_until = ${after(leaseMs)}, attempts = attempts + 1
            from free where inbox.id = free.id returning inbox.*
          ) select * from claimed order by number`),
      )
      return rows.map((row) => eventOf(rowOf(inbox, row)))
    },
    async release(id, { waitMs, forgiveAttempt }) {
      // No wait is no time: one that is now would be rounded to a millisecond that may still be to come.
      await query((db) =>
        db.execute(sql`
          update inbox set claimed_until = ${waitMs > 0 ? after(waitMs) : null}, attempts = greatest(attempts - ${forgiveAttempt ? 1 : 0}, 0)
          where id = ${id} and state = 'received'`),
      )
    },
    async finish(id, { state, results, problem }) {
      const end = {
        state,
        results,
        problemCode: problem?.code ?? null,
        problemDetail: problem && withoutNul(problem.detail),
        processedAt: sql`clock_timestamp()`,
      }
      const rows = await query((db) =>
        db
          .update(inbox)
          .set(end)
          .where(and(eq(inbox.id, id), eq(inbox.state, 'received')))
          .returning({ id: inbox.id }),
      )
      return rows.length > 0
    },
    holdItem: (sourceId, key, candidate) => holdItem(runner, sourceId, key, candidate),
    async advance(sourceId, subject, version) {
      const rows = await query((db) =>
        db
          .insert(hookSubjects)
          .values({ sourceId, subject, version })
          .onConflictDoUpdate({
            target: [hookSubjects.sourceId, hookSubjects.subject],
            set: { version },
            setWhere: sql`${hookSubjects.version} collate "C" <= ${version}`,
          })
          .returning({ subject: hookSubjects.subject }),
      )
      return rows.length > 0
    },
  }
}

/** Looking at events, and what is done with those that are over. */
function openEvents({ query }: Runner): Pick<Hooks, 'findEvent' | 'listEvents' | 'redrive' | 'forget'> {
  return {
    async findEvent(tenantId, sourceId, id) {
      if (![sourceId, id].every(isUuid)) return null
      const [row] = await query((db) =>
        db
          .select()
          .from(inbox)
          .where(and(ofSource(tenantId, sourceId), eq(inbox.id, id))),
      )
      return row ? eventOf(row) : null
    },
    async listEvents(tenantId, sourceId, filter, { before, limit }) {
      if (!isUuid(sourceId)) return []
      const rows = await query((db) =>
        db
          .select(LISTED)
          .from(inbox)
          .where(and(ofSource(tenantId, sourceId), found(filter), before === null ? undefined : lt(inbox.id, before)))
          .orderBy(desc(inbox.id))
          .limit(limit),
      )
      return rows.map((row) => eventOf({ ...row, body: new Uint8Array() }))
    },
    async redrive(tenantId, sourceId, filter, limit) {
      if (!isUuid(sourceId)) return 0
      const rows = await query((db) =>
        db.execute(sql`
          with chosen as materialized (
            select id from inbox where ${and(ofSource(tenantId, sourceId), found(filter), eq(inbox.state, 'quarantined'))}
            order by number limit ${limit} for update
          ), again as (
            update inbox set state = 'received', attempts = 0, claimed_until = null, problem_code = null, problem_detail = null,
              processed_at = null
            from chosen where inbox.id = chosen.id returning inbox.id
          ) select id, pg_notify(${INBOX_CHANNEL}, '') from again`),
      )
      return rows.length
    },
    async forget(keptMs, limit) {
      const rows = await query((db) =>
        db.execute(sql`
          delete from inbox where id in (
            select id from inbox where state <> 'received' and received_at < clock_timestamp() - ${keptMs}::float8 * interval '1 ms'
            order by received_at limit ${limit} for update skip locked)
          returning 1`),
      )
      return rows.length
    },
  }
}

function after(ms: number): SQL {
  return sql`clock_timestamp() + ${ms}::float8 * interval '1 ms'`
}

function ownSource(tenantId: TenantId, id: HookSourceId): SQL | undefined {
  return isUuid(id) ? and(eq(hookSources.tenantId, tenantId), eq(hookSources.id, id)) : sql`false`
}

function ofSource(tenantId: TenantId, sourceId: HookSourceId): SQL | undefined {
  return and(eq(inbox.tenantId, tenantId), eq(inbox.sourceId, sourceId))
}

function found({ states, ids, receivedFrom, receivedTo }: HookEventFilter): SQL | undefined {
  return and(
    states && inArray(inbox.state, [...states]),
    ids && sql`${inbox.id} = any(${arrayLiteral(ids.filter(isUuid))}::uuid[])`,
    receivedFrom && gte(inbox.receivedAt, receivedFrom),
    receivedTo && lt(inbox.receivedAt, receivedTo),
  )
}

function sourceOf(row: InferSelectModel<typeof hookSources>): HookSource {
  return {
    ...row,
    id: row.id as HookSourceId,
    tenantId: row.tenantId as TenantId,
    tokenId: row.tokenId as TokenId,
  }
}

function eventOf(row: InferSelectModel<typeof inbox>): HookEvent {
  const { key, saidId, headers, body, state, attempts, results, problemCode, receivedAt, processedAt } = row
  return {
    id: row.id as HookEventId,
    tenantId: row.tenantId as TenantId,
    sourceId: row.sourceId as HookSourceId,
    key,
    saidId,
    headers,
    body: new Uint8Array(body),
    state,
    attempts,
    results,
    problem: problemCode === null ? null : { code: problemCode, detail: row.problemDetail ?? '' },
    receivedAt,
    processedAt,
  }
}
