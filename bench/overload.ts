/** What an intake does at far more than its worker can take, and how soon it is itself again. */
import { readFile } from 'node:fs/promises'
import { availableParallelism, cpus, loadavg } from 'node:os'
import { setTimeout as sleep } from 'node:timers/promises'
import { drawSample } from '@sluice/images/samples'
import { createToken, defaultTenant } from '@sluice/runtime'
import { openDatabase } from '@sluice/database'
import postgres from 'postgres'
import { openProduction } from './production.ts'

const WAITING_MAX = 200
const PER_SECOND = 150
const SECONDS = 30
const ROUNDS = 3
const PICTURES = 64
const SIZE = { width: 640, height: 480, format: 'jpeg' } as const
const LOOK_MS = 100
const DRAIN_MS_MAX = 300_000
/** An answer that takes longer counts as none. */
const ANSWER_MS_MAX = 30_000

const METHOD = `Method: an intake and a worker, a process each, on PostgreSQL, Redis and S3, all on this machine (${availableParallelism()} cores,
${cpus()[0]?.model.trim() ?? 'unknown'}; load average ${loadavg()
  .map((load) => load.toFixed(1))
  .join(', ')} before). The intake turns uploads away while ${WAITING_MAX} ingests wait. For ${SECONDS} s ${PER_SECOND} uploads of
${SIZE.width} × ${SIZE.height} begin in each second, by the clock, whatever became of those before; ${ROUNDS} times. "Taken again" is
the time from the end of the burst to the first upload that is taken, "drained" to the last promised image. RSS is the intake's.
`

let sent = 0
await using production = await openProduction({ SLUICE_LIMIT_INGESTS_WAITING_MAX: String(WAITING_MAX) })
await using database = await openDatabase({ url: production.databaseUrl, poolMax: 2, applicationName: 'bench' })
const sql = postgres(production.databaseUrl, { max: 1 })
const secret = 'a-token-of-a-bench-that-keeps-nothing'
await createToken(database, await defaultTenant(database), { name: 'bench', role: 'writer', expiresAt: null }, secret)
const pictures = await Promise.all(Array.from({ length: PICTURES }, (_, seed) => drawSample({ seed, ...SIZE })))
await using _worker = await production.startWorker()

process.stdout.write(`${METHOD}\n`)
for (let n = 0; n < 20; n += 1) await upload()
await drained()
const rows: Record<string, string>[] = []
for (let round = 1; round <= ROUNDS; round += 1) rows.push(await measure(round))
table(rows)
await sql.end()

interface Seen {
  readonly status: number
  readonly ms: number
  readonly retryAfter: boolean
}

/** A different file each time, so that each is decoded. */
async function upload(): Promise<Seen> {
  sent += 1
  // Decoders stop at the end of the image, and its digest is another.
  const body = Buffer.concat([pictures[sent % PICTURES] ?? Buffer.alloc(0), Buffer.from(String(sent))])
  const startedMs = performance.now()
  const headers = { authorization: `Bearer ${secret}`, 'content-type': 'image/jpeg' }
  const signal = AbortSignal.timeout(ANSWER_MS_MAX)
  try {
    const answer = await fetch(`${production.url}/v1/files`, { method: 'POST', body, headers, signal })
    await answer.arrayBuffer()
    return { status: answer.status, ms: performance.now() - startedMs, retryAfter: answer.headers.has('retry-after') }
  } catch {
    return { status: 0, ms: performance.now() - startedMs, retryAfter: false }
  }
}

async function measure(round: number): Promise<Record<string, string>> {
  const rssBefore = await rssBytes()
  let rssDuring = 0
  const looking = setInterval(() => void rssBytes().then((bytes) => (rssDuring = Math.max(rssDuring, bytes))), LOOK_MS)
  const already = await committed()
  const burst = await openModel()
  const endMs = performance.now()
  const takenAgainMs = await takenAgain(endMs)
  await drained()
  const drainedMs = performance.now() - endMs
  clearInterval(looking)
  await sleep(10_000)
  const taken = burst.filter(({ status }) => status === 202)
  const refused = burst.filter(({ status }) => status === 503 || status === 429)
  const times = (seen: readonly Seen[]) => seen.map(({ ms }) => ms).toSorted((a, b) => a - b)
  const at = (ms: readonly number[], share: number) => `${(ms[Math.floor((ms.length - 1) * share)] ?? 0).toFixed(0)} ms`
  return {
    round: String(round),
    offered: String(burst.length),
    taken: String(taken.length),
    'turned away': `${refused.length} (${((100 * refused.length) / burst.length).toFixed(0)} %)`,
    'without Retry-After': String(refused.filter(({ retryAfter }) => !retryAfter).length),
    'other answers': String(burst.length - taken.length - refused.length),
    // One more was taken to see that it is.
    'promised, not committed': String(taken.length + 1 - ((await committed()) - already)),
    'refusal p50': at(times(refused), 0.5),
    'refusal p99': at(times(refused), 0.99),
    'taken again': `${(takenAgainMs / 1000).toFixed(1)} s`,
    drained: `${(drainedMs / 1000).toFixed(1)} s`,
    'RSS before': mebibytes(rssBefore),
    'RSS during': mebibytes(rssDuring),
    'RSS 10 s after': mebibytes(await rssBytes()),
  }
}

async function openModel(): Promise<readonly Seen[]> {
  const startMs = performance.now()
  const uploads: Promise<Seen>[] = []
  for (let n = 0; n < PER_SECOND * SECONDS; n += 1) {
    const dueMs = startMs + (n * 1000) / PER_SECOND
    if (dueMs > performance.now()) await sleep(dueMs - performance.now())
    uploads.push(upload())
  }
  return Promise.all(uploads)
}

async function takenAgain(sinceMs: number): Promise<number> {
  while ((await upload()).status !== 202) {
    if (performance.now() - sinceMs > DRAIN_MS_MAX) throw new Error('uploads are still turned away')
    await sleep(LOOK_MS)
  }
  return performance.now() - sinceMs
}

async function drained(): Promise<void> {
  const deadlineMs = performance.now() + DRAIN_MS_MAX
  for (;;) {
    const [row] = await sql`select count(*)::int as waiting from ingests where state in ('received', 'running')`
    if (row?.['waiting'] === 0) return
    if (performance.now() > deadlineMs) throw new Error(`${row?.['waiting']} ingests still wait`)
    await sleep(LOOK_MS)
  }
}

async function committed(): Promise<number> {
  const [row] = await sql`select count(*)::int as committed from ingests where state = 'committed'`
  return Number(row?.['committed'])
}

async function rssBytes(): Promise<number> {
  const status = await readFile(`/proc/${production.intakePid}/status`, 'utf8').catch(() => '')
  return Number(/VmRSS:\s+(\d+) kB/.exec(status)?.[1] ?? 0) * 1024
}

function mebibytes(bytes: number): string {
  return `${Math.round(bytes / 1024 / 1024)} MiB`
}

function table(measured: readonly Record<string, string>[]): void {
  for (const name of Object.keys(measured[0] ?? {})) {
    process.stdout.write(`${name.padEnd(26)}${measured.map((row) => (row[name] ?? '').padStart(16)).join('')}\n`)
  }
}
