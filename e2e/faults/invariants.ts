/** What must be true when everything is healed and drained, asked of the database, the store, the queue and the API. */
import type { Sql } from 'postgres'
import { ERRORS } from '@sluice/core'
import type { History } from './load.ts'
import { filesBelow, type Objects, type Redis, sha256 } from './servers.ts'

export interface Findings {
  /** Each of these must be zero; what is not is explained below. */
  readonly counts: Readonly<Record<string, number>>
  readonly examples: readonly string[]
  readonly ingests: Readonly<Record<string, number>>
  readonly rescued: number
  readonly recoveryMs: { readonly p50: number; readonly p95: number; readonly max: number; readonly interrupted: number }
  /** The timeline of the ingest that took longest from its first start, where any was started again. */
  readonly slowest: readonly string[]
  /** Half-written files of killed processes, which are young yet: the next start removes those older than an hour. */
  readonly partialFiles: number
}

export interface Scope {
  readonly sql: Sql
  readonly history: History
  readonly objects: Objects
  readonly redis: Redis | null
  readonly url: string
  readonly token: string
  readonly stagedDir: string
  readonly partialDir: string
}

const EXAMPLES_MAX = 5
/**
 * The reconciler takes up what a lost queue had, and what waited while all workers stood: 41 % of the ingests in a run with four
 * losses of Redis on a busy machine. When it takes up nearly all, whatever is before it does nothing.
 */
const RESCUED_SHARE_MAX = 0.8
const RESCUES_JUDGED_FROM = 20

export async function checkInvariants(scope: Scope): Promise<Findings> {
  const { sql } = scope
  const counts: Record<string, number> = {}
  const examples: string[] = []
  const record = (name: string, found: readonly string[]) => {
    counts[name] = found.length
    examples.push(...found.slice(0, EXAMPLES_MAX).map((one) => `${name}: ${one}`))
  }

  const ingests = await readIngests(sql)
  record('lost', lost(scope.history, ingests))
  record('twice', [...twice(scope.history, ingests), ...(await imagesTwice(sql)), ...scope.history.contradictions])
  record('stuck', await stuck(ingests, scope.redis))
  record(
    'duplicate names',
    await texts(sql`
    select product_id || ' ' || name || ' ' || count(*) as text from product_images group by product_id, name having count(*) > 1`),
  )
  record('main images wrong', await mainImages(sql))
  record('order wrong', await orders(sql))
  record('removed and there', await removedAndThere(sql, scope.history))
  record('done without image', doneWithoutImage(scope.history, ingests))
  record('unexplained errors', await unexplained(sql))
  record('outbox left', await texts(sql`select ingest_id::text as text from outbox`))
  record('queue left', await queueLeft(scope))
  const stored = await scope.objects.list()
  const { dangling, orphans, foreign } = await compareObjects(sql, stored)
  record('dangling', [...dangling, ...(await contentWrong(scope, ingests))])
  record('foreign', foreign)
  record('orphans after sweeping', [...orphans, ...(await filesBelow(scope.stagedDir)).map((key) => `staged ${key}`)])
  const rescued = await readRescued(sql)
  const isMost = ingests.size >= RESCUES_JUDGED_FROM && rescued > RESCUED_SHARE_MAX * ingests.size
  record('saved by the reconciler alone', isMost ? [`${rescued} of ${ingests.size}`] : [])
  return {
    counts,
    examples,
    rescued,
    ingests: tally(ingests),
    recoveryMs: await recovery(sql),
    slowest: await slowest(sql),
    partialFiles: (await filesBelow(scope.partialDir)).length,
  }
}

interface IngestRow {
  readonly id: string
  readonly state: string
  readonly label: string | null
  readonly problem_code: string | null
  readonly result_image_id: string | null
  readonly result_file_id: string | null
  readonly image_id: string | null
}

type Ingests = ReadonlyMap<string, IngestRow>

async function readIngests(sql: Sql): Promise<Ingests> {
  const rows = await sql<IngestRow[]>`
    select ingests.id, state, target->'placement'->>'label' as label, problem_code, result_image_id, result_file_id, image.id as image_id
    from ingests left join product_images as image on image.ingest_id = ingests.id`
  return new Map(rows.map((row) => [row.id, row]))
}

const OVER = new Set(['committed', 'rejected', 'failed'])

function ofLabel(ingests: Ingests): ReadonlyMap<string, readonly IngestRow[]> {
  return Map.groupBy(
    ingests.values().filter(({ label }) => label !== null),
    ({ label }) => label ?? '',
  )
}

function lost({ acknowledged }: History, ingests: Ingests): string[] {
  const byLabel = ofLabel(ingests)
  return acknowledged.flatMap(({ label, ingestId, end }) => {
    const row = ingestId === null ? byLabel.get(label)?.[0] : ingests.get(ingestId)
    if (!row) return [`${label} (${ingestId}) is not there`]
    if (!OVER.has(row.state) || row.state === end) return []
    return [`${label} (${row.id}) is ${row.state} for ${row.problem_code}, not ${end}`]
  })
}

function twice({ keyed }: History, ingests: Ingests): string[] {
  const repeated = [...ofLabel(ingests)].filter(([label, rows]) => keyed.has(label) && rows.length > 1)
  return repeated.map(([label, rows]) => `${label} is ${rows.length} ingests`)
}

function imagesTwice(sql: Sql): Promise<string[]> {
  return texts(sql`
    select ingest_id || ' made ' || count(*) || ' images' as text from product_images group by ingest_id having count(*) > 1`)
}

async function stuck(ingests: Ingests, redis: Redis | null): Promise<string[]> {
  const open = [...ingests.values()].filter(({ state }) => !OVER.has(state))
  return Promise.all(open.map(async ({ id, state }) => `${id} is ${state}${redis ? await jobOf(id, redis) : ''}`))
}

/** As BullMQ names its keys, under the prefix that `openQueue` takes. */
const QUEUE = 'bullmq:ingest'

/** Where its first job is, for whoever looks for the reason. */
async function jobOf(ingestId: string, redis: Redis): Promise<string> {
  const job = `${ingestId}-0`
  const asked = [
    ['LPOS', `${QUEUE}:wait`, job],
    ['LPOS', `${QUEUE}:active`, job],
    ['ZSCORE', `${QUEUE}:delayed`, job],
    ['ZSCORE', `${QUEUE}:completed`, job],
    ['PTTL', `${QUEUE}:${job}:lock`],
  ]
  const answers = await Promise.all(
    asked.map(async (command) => `${command[0]} ${command[1]} ${(await redis.ask(...command)).trim()}`),
  )
  return `, and its job: ${answers.join(', ').replaceAll('\r\n', ' ')}`
}

function doneWithoutImage({ maybeRemoved }: History, ingests: Ingests): string[] {
  const without = [...ingests.values()].filter(
    ({ state, label, image_id, result_image_id }) =>
      state === 'committed' && label !== null && image_id === null && !maybeRemoved.has(result_image_id ?? ''),
  )
  return without.map(({ id }) => `${id} is committed and has no image`)
}

function mainImages(sql: Sql): Promise<string[]> {
  return texts(sql`
    select product.id || ' has ' || product.image_count || ' by its count, ' || count(image.id) || ' images, ' ||
      count(image.id) filter (where role.image_id = image.id) || ' of them main' as text
    from products as product left join product_images as image on image.product_id = product.id
    left join product_image_roles as role on role.product_id = product.id and role.store = 0 and role.role = 'image'
    group by product.id
    having count(image.id) <> product.image_count
      or count(image.id) filter (where role.image_id = image.id) <> least(count(image.id), 1)`)
}

/** Two images in one place have an order by chance. */
function orders(sql: Sql): Promise<string[]> {
  return texts(sql`
    select product_id || ' has ' || count(*) || ' images in place ' || position as text
    from product_images group by product_id, position having count(*) > 1`)
}

async function removedAndThere(sql: Sql, { removed }: History): Promise<string[]> {
  return texts(sql`select id::text as text from product_images where id = any(${[...removed]}::uuid[])`)
}

/** What goes wrong must be known to us: an error that nobody foresaw is a hole, even when the next attempt mends it. */
function unexplained(sql: Sql): Promise<string[]> {
  return texts(sql`
    select ingest_id || ' ' || step || ': ' || detail as text from ingest_timeline
    where detail like 'An unexpected error%' or detail = ${ERRORS.internal_error.title}`)
}

async function queueLeft({ redis, sql }: Scope): Promise<string[]> {
  if (redis) {
    const lengths = [
      ['LLEN', `${QUEUE}:wait`],
      ['LLEN', `${QUEUE}:active`],
      ['ZCARD', `${QUEUE}:prioritized`],
      ['ZCARD', `${QUEUE}:delayed`],
    ]
    // Keys by another name would be as empty.
    if ((await redis.ask('EXISTS', `${QUEUE}:meta`)).trim() !== ':1') return [`there is no queue ${QUEUE}`]
    const answers = await Promise.all(lengths.map(async (command) => [command, await redis.ask(...command)] as const))
    return answers
      .filter(([, answer]) => answer.trim() !== ':0')
      .map(([command, answer]) => `${command.join(' ')} ${answer.trim()}`)
  }
  return texts(sql`
    select state || ' ' || count(*) as text from bullmq.job where state::text in ('wait', 'active', 'delayed', 'prioritized') group by state`)
}

interface BlobRow {
  readonly tenant_id: string
  readonly digest: string
  readonly bytes: string
}

async function compareObjects(sql: Sql, stored: Awaited<ReturnType<Objects['list']>>) {
  const blobs = await sql<BlobRow[]>`select tenant_id, digest, bytes from blobs`
  const keyOf = ({ tenant_id: tenant, digest }: BlobRow) => `${tenant}/${digest.slice(0, 2)}/${digest}`
  const dangling = blobs.flatMap((blob) => {
    const key = keyOf(blob)
    const isWhole = stored.get(key)?.bytes === Number(blob.bytes) && stored.has(`${key}.thumbnail`)
    return isWhole ? [] : [`${key} is not stored whole`]
  })
  const referred = new Set(blobs.flatMap((blob) => [keyOf(blob), `${keyOf(blob)}.thumbnail`]))
  const tenants = new Set((await sql<{ id: string }[]>`select id from tenants`).map(({ id }) => id))
  const keys = [...stored.keys()]
  return {
    dangling,
    orphans: keys.filter((key) => !referred.has(key)).map((key) => `stored ${key}`),
    foreign: keys.filter((key) => !tenants.has(key.split('/')[0] ?? '')),
  }
}

/** What was promised is read back as anybody reads it, and is what was sent. */
async function contentWrong({ history, url, token }: Scope, ingests: Ingests): Promise<string[]> {
  const byLabel = ofLabel(ingests)
  const wrong: string[] = []
  const rest = [...history.acknowledged]
  const reader = async () => {
    for (let next = rest.pop(); next; next = rest.pop()) {
      const row = next.ingestId === null ? byLabel.get(next.label)?.[0] : ingests.get(next.ingestId)
      if (row?.state !== 'committed') continue
      const answer = await fetch(`${url}/v1/files/${row.result_file_id}/content`, {
        headers: { authorization: `Bearer ${token}` },
      })
      const bytes = new Uint8Array(await answer.arrayBuffer())
      if (answer.status !== 200 || sha256(bytes) !== next.sha256)
        wrong.push(`${next.label} reads ${answer.status}, and other bytes`)
      if (!(await isThumbnailWhole(url, token, row.result_file_id))) wrong.push(`${next.label} has no whole thumbnail`)
    }
  }
  await Promise.all(Array.from({ length: 8 }, reader))
  return wrong
}

/** A RIFF file says how long it is (https://developers.google.com/speed/webp/docs/riff_container). */
async function isThumbnailWhole(url: string, token: string, fileId: string | null): Promise<boolean> {
  const answer = await fetch(`${url}/v1/files/${fileId}/thumbnail`, { headers: { authorization: `Bearer ${token}` } })
  const bytes = Buffer.from(await answer.arrayBuffer())
  return answer.status === 200 && bytes.length > 8 && bytes.readUInt32LE(4) + 8 === bytes.length
}

/** Accepted, and not started before the reconciler came: neither the outbox nor the queue had it. */
async function readRescued(sql: Sql): Promise<number> {
  const [row] = await sql<{ count: number }[]>`
    select count(*)::int as count from (
      select ingest_id, min(id) filter (where step = 'requeue') as requeued, min(id) filter (where step = 'start') as started
      from ingest_timeline group by ingest_id
    ) as each where requeued < coalesce(started, requeued + 1)`
  return row?.count ?? 0
}

/** Of ingests that were started more than once: from the first start to the end. */
async function recovery(sql: Sql): Promise<Findings['recoveryMs']> {
  const [row] = await sql<{ p50: number; p95: number; max: number; interrupted: number }[]>`
    with each as (
      select extract(epoch from max(ingests.finished_at) - min(line.at)) * 1000 as ms
      from ingests join ingest_timeline as line on line.ingest_id = ingests.id and line.step = 'start'
      where ingests.finished_at is not null group by ingests.id having count(*) > 1
    )
    select count(*)::int as interrupted, coalesce(percentile_cont(0.5) within group (order by ms), 0)::float8 as p50,
      coalesce(percentile_cont(0.95) within group (order by ms), 0)::float8 as p95, coalesce(max(ms), 0)::float8 as max from each`
  return row ?? { p50: 0, p95: 0, max: 0, interrupted: 0 }
}

const LINES_MAX = 60

function slowest(sql: Sql): Promise<string[]> {
  return texts(sql`
    with slow as (
      select ingests.id, min(line.at) as began
      from ingests join ingest_timeline as line on line.ingest_id = ingests.id and line.step = 'start'
      where ingests.finished_at is not null group by ingests.id having count(*) > 1
      order by ingests.finished_at - min(line.at) desc limit 1
    )
    select round(extract(epoch from line.at - slow.began), 1) || ' s  ' || line.step || ' ' || line.outcome || coalesce(': ' || line.detail, '') as text
    from ingest_timeline as line join slow on slow.id = line.ingest_id order by line.id limit ${LINES_MAX}`)
}

function tally(ingests: Ingests): Record<string, number> {
  const groups = Map.groupBy(ingests.values(), ({ state }) => state)
  return Object.fromEntries([...groups].map(([state, rows]) => [state, rows.length]))
}

async function texts(query: PromiseLike<readonly unknown[]>): Promise<string[]> {
  return (await query).map((row) => String((row as { text: unknown }).text))
}
