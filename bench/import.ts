/** An import of 10,000 images, the same one again, and back. */
import { createHash } from 'node:crypto'
import { availableParallelism, cpus } from 'node:os'
import { setTimeout as sleep } from 'node:timers/promises'
import { hashToken, newTokenSecret, tokenHint, type TokenId } from '@sluice/core'
import { openDatabase } from '@sluice/database'
import { drawSample } from '@sluice/images/samples'
import postgres from 'postgres'
import { openProduction } from './production.ts'

const IMAGES = Number(process.env['BENCH_IMAGES'] ?? 10_000)
const PER_PRODUCT = 4
const SIZE = { width: 160, height: 120, format: 'jpeg' } as const
const SENDERS = 8
const PAGE = 1_000
/** So long may any part of it take. */
const MS_MAX = 45 * 60_000

process.stdout.write(`Method: an intake and a worker, a process each, on PostgreSQL, Redis and S3, all on this machine
(${availableParallelism()} cores, ${cpus()[0]?.model.trim() ?? 'unknown'}). ${IMAGES.toLocaleString('en')} different images of ${SIZE.width} × ${SIZE.height}, ${PER_PRODUCT} to a
product that is not there yet. A client does what \`sluice import\` does: it asks which bytes are here, sends the others as files,
${SENDERS} at a time, sends the rows, has them planned and applied. Then the whole again, and then it is undone.

`)

await using production = await openProduction()
await using _worker = await production.startWorker()
await using database = await openDatabase({ url: production.databaseUrl, poolMax: 2, applicationName: 'bench' })
const sql = postgres(production.databaseUrl, { max: 1 })
const secret = await newToken()

const first = await importAll('the first time')
const second = await importAll('the same again')
const before = await versions()
await timed('undo', async () => {
  await call('POST', `/v1/imports/${first}/undo`)
  const { undo } = await settled(first)
  process.stdout.write(`${''.padEnd(34)}${JSON.stringify(undo)}\n`)
})
process.stdout.write(`versions made by undoing: ${(await versions()) - before}; the second import was ${second}\n`)
await sql.end()

async function newToken(): Promise<string> {
  const tenantId = await database.tenants.findByName('default')
  if (tenantId === null) throw new Error('there is no tenant "default"')
  const given = newTokenSecret()
  const role = 'writer' as const
  const hint = { sha256Hex: hashToken(given), prefix: tokenHint(given), expiresAt: null }
  await database.tokens.create({ id: crypto.randomUUID() as TokenId, tenantId, name: 'bench', role, ...hint })
  return given
}

async function importAll(name: string): Promise<string> {
  process.stdout.write(`${name}\n`)
  const start = { decodes: await decodes(), versions: await versions() }
  let sentBytes = 0
  const digests: string[] = []
  await timed('  send the bytes that are not here', async () => {
    for (let at = 0; at < IMAGES; at += PAGE) {
      const seeds = Array.from({ length: Math.min(PAGE, IMAGES - at) }, (_, index) => at + index + 1)
      sentBytes += await sendMissing(seeds, digests)
    }
  })
  const { id } = await call('POST', '/v1/imports', { name, create_products: true })
  await timed('  send the rows', async () => {
    for (let at = 0; at < IMAGES; at += PAGE) await sendRows(id, digests.slice(at, at + PAGE), at)
  })
  await timed('  plan', async () => void (await call('POST', `/v1/imports/${id}/plan`)))
  const { plan_hash } = await call('GET', `/v1/imports/${id}`)
  await timed('  apply', async () => {
    await call('POST', `/v1/imports/${id}/apply`, { plan_hash })
    const { counts } = await settled(id)
    process.stdout.write(`${''.padEnd(34)}${JSON.stringify(counts.states)}\n`)
  })
  const made = { decodes: (await decodes()) - start.decodes, versions: (await versions()) - start.versions }
  process.stdout.write(
    `  ${sentBytes.toLocaleString('en')} bytes of files sent, ${made.decodes} decodes, ${made.versions} versions\n`,
  )
  return id
}

/** Answers how many bytes went over the network. */
async function sendMissing(seeds: readonly number[], digests: string[]): Promise<number> {
  const images = await Promise.all(seeds.map((seed) => drawSample({ seed, ...SIZE })))
  const own = images.map((image) => createHash('sha256').update(image).digest('hex'))
  digests.push(...own)
  const { files } = await call<{ files: Record<string, string | null> }>('POST', '/v1/files/check', { digests: own })
  const missing = images.filter((_, index) => files[own[index] ?? ''] === null).values()
  let bytes = 0
  const lane = async () => {
    for (const image of missing) {
      bytes += image.byteLength
      const headers = { 'content-type': 'image/jpeg', prefer: 'wait=60' }
      await send('POST', '/v1/files', { body: Buffer.from(image), headers })
    }
  }
  await Promise.all(Array.from({ length: SENDERS }, lane))
  return bytes
}

async function sendRows(id: string, digests: readonly string[], at: number): Promise<void> {
  const rows = digests.map((sha256, index) => {
    const number = at + index
    return {
      sku: `bench-${Math.floor(number / PER_PRODUCT)}`,
      sha256,
      position: (number % PER_PRODUCT) + 1,
      label: `row ${number}`,
    }
  })
  const body = rows.map((row) => JSON.stringify(row)).join('\n')
  await send('POST', `/v1/imports/${id}/rows?first_line=${at + 1}`, { body, headers: { 'content-type': 'application/x-ndjson' } })
}

interface Seen {
  readonly id: string
  readonly state: string
  readonly plan_hash: string | null
  readonly counts: { readonly states: object }
  readonly undo: object | null
}

async function settled(id: string): Promise<Seen> {
  const deadline = Date.now() + MS_MAX
  for (;;) {
    const seen = await call('GET', `/v1/imports/${id}`)
    if (['finished', 'stopped', 'undone'].includes(seen.state)) return seen
    if (Date.now() > deadline) throw new Error(`the import is still ${seen.state}`)
    await sleep(500)
  }
}

async function decodes(): Promise<number> {
  const [row] = await sql`select count(*)::int as n from ingest_timeline where step = 'validate' and outcome = 'done'`
  return row?.['n']
}

async function versions(): Promise<number> {
  const [row] = await sql`select coalesce(sum(version - 1), 0)::int as n from products`
  return row?.['n']
}

async function timed(name: string, act: () => Promise<void>): Promise<void> {
  const start = performance.now()
  await act()
  const seconds = (performance.now() - start) / 1000
  process.stdout.write(
    `${name.padEnd(34)}${seconds.toFixed(1).padStart(8)} s${(IMAGES / seconds).toFixed(0).padStart(8)} per second\n`,
  )
}

async function call<Answer = Seen>(method: string, path: string, body?: object): Promise<Answer> {
  const sent = body === undefined ? {} : { body: JSON.stringify(body), headers: { 'content-type': 'application/json' } }
  return (await send(method, path, sent)).json() as Promise<Answer>
}

interface Outgoing {
  readonly body?: string | Buffer
  readonly headers?: Readonly<Record<string, string>>
}

async function send(method: string, path: string, { headers, ...rest }: Outgoing): Promise<Response> {
  const authorization = { authorization: `Bearer ${secret}` }
  const answer = await fetch(new URL(path, production.url), { method, headers: { ...authorization, ...headers }, ...rest })
  if (!answer.ok) throw new Error(`${method} ${path}: ${answer.status} ${await answer.text()}`)
  return answer
}
