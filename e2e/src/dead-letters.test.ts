import { readdir, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { hashToken } from '@sluice/core'
import { drawSample } from '@sluice/images/samples'
import postgres from 'postgres'
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest'
import { answerOf, formOf, type Json } from './api.ts'
import { startSluice } from './import-command.ts'
import { openStack, RUNNABLE, type Stack, type Wiring } from './stack.ts'

const RUNBOOK = resolve(import.meta.dirname, '../../docs/operations/runbook.md')
/** With a bucket for staging there are no files that a test could damage; both backends of the queue are here all the same. */
const WIRED = RUNNABLE.filter((wiring) => wiring !== 'production with a staging bucket')
/** Attempts are few and follow one another soon: what is looked at is what comes after them. */
const IMPATIENT = {
  SLUICE_LIMIT_ATTEMPTS_MAX: '2',
  SLUICE_LIMIT_RETRY_MS_MIN: '5',
  SLUICE_LIMIT_RETRY_MS_MAX: '10',
  SLUICE_LIMIT_UPKEEP_EVERY_MS: '500',
}
const IMAGES = 16
const PATIENCE = { timeout: 60_000, interval: 100 }

describe.for(WIRED)('what failed for good on the wiring %s', (wiring) => {
  deadLetters(wiring)
})

function deadLetters(wiring: Wiring): void {
  let stack: Stack
  const images = new Map<string, Buffer>()
  /** In the order in which they came. */
  const dead: string[] = []
  let rejected: string

  beforeAll(async () => {
    stack = await openStack(wiring, IMPATIENT)
    for (let seed = 0; seed < IMAGES; seed += 1) {
      const image = Buffer.from(await drawSample({ seed, width: 64, height: 48, format: 'jpeg' }))
      dead.push(await park(image))
      images.set(dead.at(-1) ?? '', image)
    }
    rejected = await park(Buffer.concat([Buffer.from([0xff, 0xd8, 0xff, 0xe0]), Buffer.alloc(500)]))
    await damageStaged()
    expect((await stack.api.call('POST', '/v1/products', { sku: 'dead' })).status).toBe(201)
    await vi.waitFor(async () => expect(await failed()).toHaveLength(IMAGES), PATIENCE)
    await vi.waitFor(async () => expect(await idsIn('?state=rejected')).toEqual([rejected]), PATIENCE)
  })
  afterAll(() => stack?.[Symbol.asyncDispose]())

  /** It waits for its product, so that there is time to do something to its bytes. */
  async function park(image: Buffer): Promise<string> {
    const sent = await stack.api.send('POST', '/v1/products/sku:dead/images?park=600', { body: formOf(image) })
    return (await answerOf(sent)).body['id'] as string
  }

  async function stagedFiles(): Promise<{ path: string; content: Buffer }[]> {
    const entries = await readdir(stack.dataDir, { recursive: true, withFileTypes: true })
    const paths = entries.filter((entry) => entry.isFile()).map((entry) => join(entry.parentPath, entry.name))
    return Promise.all(paths.map(async (path) => ({ path, content: await readFile(path) })))
  }
  const intact = new Map<string, Buffer>()
  async function damageStaged(): Promise<void> {
    const ours = [...images.values()]
    for (const { path, content } of await stagedFiles()) {
      if (!ours.some((image) => image.equals(content))) continue
      intact.set(path, content)
      await writeFile(path, content.subarray(0, 10))
    }
    expect(intact.size).toBe(IMAGES)
  }
  async function mend(): Promise<void> {
    for (const [path, content] of intact) await writeFile(path, content)
  }

  const idsIn = async (query: string): Promise<string[]> =>
    (await stack.api.call('GET', `/v1/ingests${query}`)).body['items'].map(({ id }: Json) => id)
  const failed = async () => (await idsIn('?state=failed&limit=100')).toSorted()
  const committed = async () => (await idsIn('?state=committed&limit=100')).toSorted()
  const sluice = (...words: string[]) =>
    startSluice({ words, cwd: tmpdir(), env: { SLUICE_URL: stack.api.url, SLUICE_TOKEN: stack.token } }).ended
  const replay = (body: object) => stack.api.call('POST', '/v1/ingests/replay', body)
  const board = async (method: string, path: string, token = stack.token) => {
    const headers = { authorization: `Bearer ${token}` }
    return answerOf(await fetch(new URL(`/queues/api/queues${path}`, stack.consoleUrl), { method, headers }))
  }
  const failedJobs = async () => {
    const { body } = await board('GET', '?activeQueue=ingest&status=failed&page=1&jobsPerPage=100')
    return body['queues'][0].jobs as Json[]
  }
  /** The oldest of those that are left. */
  const take = (count: number) => dead.splice(0, count)
  const done: string[] = []
  async function landed(ids: readonly string[]): Promise<void> {
    done.push(...ids)
    await expect.poll(committed, PATIENCE).toEqual(done.toSorted())
    expect(await failed()).toEqual(dead.toSorted())
  }

  test('is listed with its reason, the step, the attempts, and until when it can be replayed', async () => {
    const { body } = await stack.api.call('GET', `/v1/ingests/${dead[0]}`)
    expect(body).toMatchObject({
      state: 'failed',
      attempts: 2,
      error: {
        code: 'attempts_exhausted',
        detail: 'Given up after 2 attempts. The last error was: The staged bytes are not those that were received.',
        step: 'validate',
        cause: 'bytes_damaged',
      },
      replay: { possible: true, code: null, detail: null },
    })
    const keptMs = Date.parse(body['replay'].until) - Date.parse(body['finished_at'])
    expect(keptMs).toBe(7 * 24 * 60 * 60 * 1000 - 60_000)
    expect((await idsIn('?code=bytes_damaged&limit=100')).toSorted()).toEqual(dead.toSorted())
    expect(await idsIn('?code=bytes_damaged&q=no-such-name')).toEqual([])
    expect(await idsIn('?code=image_truncated&code=image_corrupt')).toEqual([rejected])
  })

  test('is listed and explained by the command', async () => {
    const listed = await sluice('ingests', 'list', '--state', 'failed', '--code', 'bytes_damaged', '--since', '1h')
    expect([listed.code, listed.stderr]).toEqual([0, ''])
    expect(listed.stdout).toContain('attempts_exhausted: bytes_damaged in validate')
    for (const id of dead) expect(listed.stdout).toContain(id)
    const lines = (await sluice('ingests', 'list', '--json', '--limit', '3')).stdout.trimEnd().split('\n')
    expect(lines.map((line) => JSON.parse(line).id)).toEqual(await idsIn('?limit=3'))
    const shown = await sluice('ingests', 'show', dead[0] ?? '')
    expect(shown.code).toBe(0)
    expect(shown.stdout).toMatch(/error +attempts_exhausted: bytes_damaged in validate\. Given up after 2 attempts\./)
    expect(shown.stdout).toMatch(/2 +validate +retried .*The staged bytes are not those that were received\./)
    expect((await sluice('ingests', 'show', crypto.randomUUID())).code).toBe(2)
    expect((await sluice('ingests', 'list', '--state', 'lost')).code).toBe(2)
  })

  test('is on the board, with its error and the way to its ingest', async () => {
    await expect.poll(async () => (await failedJobs()).length, PATIENCE).toBe(IMAGES)
    const job = (await failedJobs()).find(({ data }) => data.ingestId === dead[0])
    expect(job).toMatchObject({
      failedReason: expect.stringMatching(/^attempts_exhausted: Given up after 2 attempts\./),
      stacktrace: [],
      externalUrl: { href: `/ingests/${dead[0]}` },
    })
  })

  test('fails again while the cause is there, and is told anew', async () => {
    const [id = ''] = dead
    expect((await replay({ ids: [id] })).body).toMatchObject({ matched: 1, replayed: 1, refused: [] })
    await expect.poll(async () => (await failedJobs()).map((job) => job['id']), PATIENCE).toContain(`${id}-1`)
    expect((await failedJobs()).map((job) => job['id'])).not.toContain(`${id}-0`)
    expect(await failed()).toEqual(dead.toSorted())
  })

  test('lands when it is replayed one by one', async () => {
    await mend()
    const [id = ''] = take(1)
    const { status, headers } = await stack.api.call('POST', `/v1/ingests/${id}/replay`)
    expect([status, headers.get('location')]).toEqual([202, `/v1/ingests/${id}`])
    await landed([id])
    expect(await stack.api.call('POST', `/v1/ingests/${id}/replay`)).toMatchObject({
      status: 409,
      body: { code: 'ingest_not_replayable', detail: expect.stringContaining('committed') },
    })
  })

  test('lands when it is replayed by a filter, page after page, after a dry run that changes nothing', async () => {
    const asked = { code: ['bytes_damaged'], product: 'sku:dead', from: new Date(Date.now() - 3_600_000).toISOString() }
    const dry = await replay({ ...asked, dry_run: true })
    expect([dry.status, dry.body]).toEqual([200, { matched: IMAGES - 1, replayed: 0, refused: [], next: null }])
    expect((await replay({ ...asked, q: 'no-such-name' })).body).toMatchObject({ matched: 0, replayed: 0 })
    expect(await failed()).toEqual(dead.toSorted())

    const newest = dead.splice(-3)
    const first = await replay({ ...asked, limit: 2 })
    expect([first.status, first.body]).toEqual([202, { matched: 2, replayed: 2, refused: [], next: newest[1] }])
    const second = await replay({ ...asked, limit: 1, before: first.body['next'] })
    expect(second.body).toMatchObject({ matched: 1, replayed: 1, next: newest[0] })
    await landed(newest)
    for (const body of [{ ids: [dead[0]], code: ['x'] }, { ids: ['x'] }, { state: ['failed'] }, { limit: 0 }]) {
      expect((await replay(body)).status).toBe(400)
    }
  })

  test('lands when the command replays it, by its id or by a filter', async () => {
    const dry = await sluice('replay', '--code', 'bytes_damaged', '--dry-run')
    expect([dry.code, dry.stdout]).toEqual([0, `${dead.length} ingests would be replayed, 0 refused.\n`])
    const named = take(2)
    const byId = await sluice('replay', ...named)
    expect([byId.code, byId.stdout]).toEqual([0, '2 ingests replayed, 0 refused.\n'])
    await landed(named)
    const again = await sluice('replay', named[0] ?? '', rejected)
    expect(again.code).toBe(1)
    expect(again.stdout).toContain('0 ingests replayed, 2 refused.')
    const newest = dead.splice(-2)
    const filtered = await sluice('replay', '--code', 'bytes_damaged', '--since', '1h', '--limit', '2', '--json')
    expect(JSON.parse(filtered.stdout)).toEqual({ matched: 2, replayed: 2, refused: [] })
    await landed(newest)
    expect((await sluice('replay', '--code', 'storage_full')).stdout).toBe('No failed ingest is like that.\n')
    expect((await sluice('replay')).code).toBe(2)
  })

  test('lands when the commands of the runbook are given, as they stand there', async () => {
    const section = /^## What failed for good$(.*?)^## /ms.exec(await readFile(RUNBOOK, 'utf8'))?.[1] ?? ''
    const commands = [...section.matchAll(/^sluice (.*)$/gm)].map(([, words = '']) => words.split(' '))
    expect(commands.length).toBeGreaterThanOrEqual(5)
    const [id = ''] = take(1)
    const newest = dead.splice(-2)
    const here = (word: string) => (word === '<id>' ? id : word.replace('source_unavailable', 'bytes_damaged'))
    for (const words of commands) expect([words, (await sluice(...words.map(here))).code]).toEqual([words, 0])
    await landed([id, ...newest])
  })

  test("is not another tenant's to replay, on the board or elsewhere", async () => {
    const token = await addStranger()
    const [id = ''] = dead
    expect((await board('PUT', `/ingest/${id}-0/retry`, token)).status).toBe(404)
    expect((await board('PUT', '/ingest/retry/failed', token)).body).toEqual({ retried: 0, skipped: dead.length })
    const body = JSON.stringify({ ids: [id] })
    const headers = { 'content-type': 'application/json' }
    const answer = await answerOf(await stack.api.send('POST', '/v1/ingests/replay', { token, body, headers }))
    expect(answer.body).toMatchObject({ matched: 0, replayed: 0, refused: [{ id, code: 'ingest_unknown' }] })
    expect(await failed()).toEqual(dead.toSorted())
  })

  /** An admin, whom no API makes yet. */
  async function addStranger(): Promise<string> {
    const sql = postgres(stack.databaseUrl, { max: 1 })
    const [tenant, token] = [crypto.randomUUID(), crypto.randomUUID()]
    try {
      await sql`insert into tenants (id, name) values (${tenant}, 'other')`
      const row = { id: crypto.randomUUID(), tenant_id: tenant, name: 'a', role: 'admin', sha256: hashToken(token), prefix: 'x' }
      await sql`insert into tokens ${sql(row)}`
    } finally {
      await sql.end()
    }
    return token
  }

  test('lands when the board retries its job', async () => {
    const [id = ''] = take(1)
    expect((await board('PUT', `/ingest/${id}-0/retry`)).status).toBe(204)
    await landed([id])
  })

  test('whose bytes are gone is refused at once, everywhere, and stays as it is', async () => {
    const [id = ''] = dead
    const path = [...intact].find(([, content]) => images.get(id)?.equals(content))?.[0] ?? ''
    await rm(path)
    const before = (await stack.api.call('GET', `/v1/ingests/${id}`)).body
    const gone = { code: 'ingest_bytes_gone', detail: 'Its bytes are not kept any more. Send the file again.' }
    expect(await stack.api.call('POST', `/v1/ingests/${id}/replay`)).toMatchObject({ status: 410, body: gone })
    expect((await replay({ ids: [id] })).body).toEqual({ matched: 1, replayed: 0, refused: [{ id, ...gone }], next: null })
    expect(await board('PUT', `/ingest/${id}-0/retry`)).toMatchObject({ status: 410, body: { message: gone.detail } })
    expect(await sluice('replay', id)).toMatchObject({ code: 1, stdout: expect.stringContaining(gone.detail) })
    expect((await stack.api.call('GET', `/v1/ingests/${id}`)).body).toEqual(before)
  })

  test('lands when the board retries all, but for those that cannot be', async () => {
    const [gone = ''] = take(1)
    const rest = take(Infinity)
    const answer = await board('PUT', '/ingest/retry/failed')
    expect([answer.status, answer.body]).toEqual([200, { retried: rest.length, skipped: 1 }])
    dead.push(gone)
    await landed(rest)
    expect((await failedJobs()).map((job) => job['data'].ingestId)).toEqual([gone])
  })

  test('is there exactly once in the end, and what was rejected was left alone', async () => {
    expect(done).toHaveLength(IMAGES - 1)
    const { body } = await stack.api.call('GET', '/v1/products/sku:dead/images')
    expect(body['images']).toHaveLength(IMAGES - 1)
    expect(new Set(body['images'].map(({ file }: Json) => file.sha256)).size).toBe(IMAGES - 1)
    expect(await replay({})).toMatchObject({ status: 202, body: { matched: 1, replayed: 0, refused: [{ id: dead[0] }] } })
    const left = (await stack.api.call('GET', `/v1/ingests/${rejected}`)).body
    expect(left).toMatchObject({
      state: 'rejected',
      replay: { possible: false, code: 'ingest_not_replayable', detail: expect.stringContaining('send it anew') },
    })
    expect(left['timeline'].map(({ step }: Json) => step)).not.toContain('replay')
  })
}
