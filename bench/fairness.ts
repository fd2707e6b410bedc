/** What a tenant with ten images feels of another one that has brought 100,000. */
import { createHash, randomUUIDv7 } from 'node:crypto'
import { availableParallelism, cpus } from 'node:os'
import { setTimeout as sleep } from 'node:timers/promises'
import { hashToken, type Lane, newTokenSecret, type TenantId, tokenHint, type TokenId } from '@sluice/core'
import { openDatabase } from '@sluice/database'
import { drawSample } from '@sluice/images/samples'
import { openMinioObjects } from '@sluice/storage'
import postgres from 'postgres'
import { openProduction, type Production } from './production.ts'

const BACKLOG = 100_000
/** So many of them have bytes: more than are worked on while this measures. */
const BACKLOG_BYTES = 4_000
/** How many of those have been used up. */
let done = 0
const PICTURES = 24
const BATCH = 10
const ROUNDS = 10
const BLOCKS = 5
const SIZE = { width: 640, height: 480, format: 'jpeg' } as const

const METHOD = `Method: an intake and a worker, a process each, on PostgreSQL, Redis and S3, all on this machine
(${availableParallelism()} cores, ${cpus()[0]?.model.trim() ?? 'unknown'}; ${availableParallelism()} images at a time).
A small tenant uploads ${BATCH} images of ${SIZE.width} × ${SIZE.height} at once and waits for each to be finished, ${ROUNDS} times
in a row; this is repeated in ${BLOCKS} blocks of all cases, so that whatever else the machine does meets each of them. The figures
that are compared are the middle ones of the blocks.
"Idle": nobody else asks for anything. "Backlog": another tenant has ${BACKLOG.toLocaleString('en')} ingests waiting, of images
of the same size that are really worked on. The time is the client's: from its request to the finished image.
`

interface Tenant {
  readonly id: TenantId
  readonly tokenId: TokenId
  readonly secret: string
}

await using production = await openProduction()
await using database = await openDatabase({ url: production.databaseUrl, poolMax: 4, applicationName: 'bench' })
const sql = postgres(production.databaseUrl, { max: 1 })
const [small, big] = [await newTenant('small'), await newTenant('big')]
const pictures = await Promise.all(Array.from({ length: PICTURES }, (_, seed) => drawSample({ seed, ...SIZE })))

process.stdout.write(`${METHOD}\n`)
await stageBacklog(production)
{
  await using _worker = await production.startWorker()
  await measure('warm-up', 3)
  const [idle, behindImport, beside]: [number[], number[], number[]] = [[], [], []]
  for (let block = 1; block <= BLOCKS; block += 1) {
    idle.push(await measure('idle', ROUNDS))
    await fillBacklog('import')
    behindImport.push(await measure('backlog is imported', ROUNDS))
    await moveBacklog('interactive')
    beside.push(await measure('backlog is interactive', ROUNDS))
    await emptyBacklog()
  }
  report('The backlog is an import, the small tenant is interactive', middle(behindImport) / middle(idle))
  report('Both are interactive, and take turns', middle(beside) / middle(idle))
  if (done > BACKLOG_BYTES) process.stdout.write(`Not valid: more of the backlog than has bytes was worked on.\n`)
  process.stdout.write(`Of the backlog, ${done} were worked on meanwhile.\n`)
}
await measureClaims()
await sql.end()

function middle(numbers: readonly number[]): number {
  return numbers.toSorted((a, b) => a - b)[Math.floor(numbers.length / 2)] ?? Number.NaN
}

// ── The small tenant ────────────────────────────────────────────────────────────────────────────────────────────────

/** The 95th percentile. */
async function measure(name: string, rounds: number): Promise<number> {
  const times: number[] = []
  for (let round = 0; round < rounds; round += 1) times.push(...(await Promise.all(Array.from({ length: BATCH }, upload))))
  times.sort((a, b) => a - b)
  const at = (share: number) => times[Math.min(times.length - 1, Math.floor(times.length * share))] ?? Number.NaN
  const [p50Ms, p95Ms] = [at(0.5), at(0.95)]
  process.stdout.write(
    `${name.padEnd(24)} p50 ${p50Ms.toFixed(0).padStart(5)} ms   p95 ${p95Ms.toFixed(0).padStart(5)} ms   max ${at(1).toFixed(0).padStart(5)} ms\n`,
  )
  return p95Ms
}

async function upload(): Promise<number> {
  const began = performance.now()
  const answer = await fetch(`${production.url}/v1/files`, {
    method: 'POST',
    headers: { authorization: `Bearer ${small.secret}`, 'content-type': 'image/jpeg', prefer: 'wait=60' },
    body: Buffer.from(newImage()),
  })
  await answer.text()
  if (answer.status !== 201) throw new Error(`an upload was answered ${answer.status}`)
  return performance.now() - began
}

/** A picture with bytes of its own: what is known already would not be worked on. */
function newImage(): Uint8Array {
  const picture = pictures[Math.floor(Math.random() * pictures.length)] ?? Buffer.alloc(0)
  return Buffer.concat([picture, Buffer.from(randomUUIDv7())])
}

function report(what: string, ratio: number): void {
  process.stdout.write(`${what}: p95 is ${ratio.toFixed(2)} × that of an idle system${ratio <= 2 ? '' : ', MORE THAN TWICE'}.\n`)
}

// ── The backlog ─────────────────────────────────────────────────────────────────────────────────────────────────────

async function newTenant(name: string): Promise<Tenant> {
  const [id, tokenId, secret] = [randomUUIDv7() as TenantId, randomUUIDv7() as TokenId, newTokenSecret()]
  await sql`insert into tenants (id, name) values (${id}, ${name})`
  const token = { name, role: 'writer', sha256Hex: hashToken(secret), prefix: tokenHint(secret), expiresAt: null } as const
  await database.tokens.create({ id: tokenId, tenantId: id, ...token })
  return { id, tokenId, secret }
}

async function stageBacklog({ s3, bucket, stagingDir }: Production): Promise<void> {
  const staging = { kind: 'volume', dir: stagingDir } as const
  const endpoint = `http://${s3.endPoint}:${s3.port}`
  const { accessKey, secretKey } = s3
  await using objects = await openMinioObjects({ endpoint, accessKey, secretKey, region: 'us-east-1', bucket, staging })
  await sql`create table bench_bytes (n int primary key, digest text not null, bytes int not null)`
  const signal = AbortSignal.timeout(300_000)
  for (let n = 1; n <= BACKLOG_BYTES; n += 1) {
    const image = newImage()
    await objects.stage(`${big.id}/${n}`, once(image), signal)
    const digest = createHash('sha256').update(image).digest('hex')
    await sql`insert into bench_bytes values (${n}, ${digest}, ${image.byteLength})`
  }
}

async function* once(bytes: Uint8Array): AsyncGenerator<Uint8Array> {
  yield bytes
}

async function fillBacklog(lane: Lane): Promise<void> {
  await sql`
    with made as (
      insert into ingests (id, tenant_id, token_id, lane, source_kind, staged_key, digest, bytes, type_must_match, created_at)
      select gen_random_uuid(), ${big.id}, ${big.tokenId}, ${lane}, 'staged', ${big.id}::text || '/' || n,
        coalesce(digest, repeat('0', 64)), coalesce(bytes, 1), false, now() + n * interval '1 ms'
      from generate_series(${done + 1}::int, ${done + BACKLOG}::int) as n left join bench_bytes using (n)
      returning id, tenant_id, lane, created_at
    )
    insert into outbox (ingest_id, epoch, tenant_id, lane, since) select id, 0, tenant_id, lane, created_at from made`
  await sql`analyze outbox`
  await sql`analyze ingests`
  await sql`notify sluice_outbox`
}

async function moveBacklog(lane: Lane): Promise<void> {
  await sql`update outbox set lane = ${lane}`
  await sql`vacuum analyze outbox`
  await sql`notify sluice_outbox`
}

/** What was taken from it is finished; the rest was never there. */
async function emptyBacklog(): Promise<void> {
  const [row] = await sql<{ left: number }[]>`
    with gone as (delete from outbox where tenant_id = ${big.id} and claimed_until is null returning ingest_id)
    select count(*)::int as left from gone`
  done += BACKLOG - (row?.left ?? 0)
  await untilQuiet()
  await sql`delete from ingests where tenant_id = ${big.id} and state = 'received'`
  await sql`vacuum analyze`
}

async function untilQuiet(): Promise<void> {
  const deadline = Date.now() + 30_000
  for (;;) {
    const [row] = await sql<{ busy: number }[]>`
      select (select count(*) from outbox)::int + (select count(*) from ingests where state = 'running')::int as busy`
    if (row?.busy === 0) break
    if (Date.now() > deadline) throw new Error('the worker does not come to rest')
    await sleep(100)
  }
  // Those in the queue, which are in neither: a few.
  await sleep(1_000)
}

// ── The claim itself ────────────────────────────────────────────────────────────────────────────────────────────────

async function measureClaims(): Promise<void> {
  await fillBacklog('import')
  const times: number[] = []
  for (let n = 0; n < 200; n += 1) {
    const began = performance.now()
    const entries = await database.outbox.claim({ interactive: 32, import: 32 }, 60_000)
    times.push(performance.now() - began)
    await database.outbox.remove(entries.map(({ id }) => id))
  }
  times.sort((a, b) => a - b)
  process.stdout.write(
    `A claim of 32 rows among ${BACKLOG.toLocaleString('en')}: p50 ${times[100]?.toFixed(1)} ms, p95 ${times[190]?.toFixed(1)} ms.\n`,
  )
}
