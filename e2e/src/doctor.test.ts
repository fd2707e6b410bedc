import { execFile } from 'node:child_process'
import { mkdir, mkdtemp, rm, utimes, writeFile } from 'node:fs/promises'
import { createHash, randomBytes } from 'node:crypto'
import { tmpdir } from 'node:os'
import { dirname, join, resolve } from 'node:path'
import postgres from 'postgres'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { blobKey, type Digest, type Objects, type TenantId, thumbnailKey } from '@sluice/core'
import { drawSample } from '@sluice/images/samples'
import { openObjects, readConfig } from '@sluice/runtime'
import { answerOf, formOf, type Json } from './api.ts'
import { openStack, RUNNABLE, type Stack, wires } from './stack.ts'

const PROGRAM = resolve(import.meta.dirname, '../../services/cli/src/main.ts')
const CALM = new AbortController().signal
const HOUR_S = 3_600
/** Each command is a process that loads all of Sluice. */
const SLOW = { timeout: 600_000 }

interface Ran {
  readonly code: number
  readonly text: string
}

function sluice(environment: Record<string, string>, ...words: string[]): Promise<Ran> {
  return new Promise((settle) => {
    const env = { PATH: process.env['PATH'], ...environment }
    execFile(process.execPath, [PROGRAM, ...words], { env, maxBuffer: 10 ** 8 }, (error, stdout, stderr) =>
      settle({
        code: typeof error?.code === 'number' ? error.code : error ? -1 : 0,
        text: `${stdout}${error ? '' : ''}` || stderr,
      }),
    )
  })
}

type Same<Items extends readonly unknown[], Value> = { -readonly [index in keyof Items]: Value }

async function inTurn<const Items extends readonly string[]>(items: Items, act: (item: string, index: number) => Promise<Json>) {
  const done: Json[] = []
  for (const [index, item] of items.entries()) done.push(await act(item, index))
  return done as Same<Items, Json>
}

/** The counts of a tally that are not zero. */
const some = (tally: Json) => Object.fromEntries(Object.entries(tally).filter(([, number]) => number > 0))

// Staging in a bucket has no file whose age could be changed.
describe.each(RUNNABLE.filter((wiring) => wiring !== 'production with a staging bucket'))('sluice doctor: %s', (wiring) => {
  let directory: string
  let stack: Stack
  let objects: Objects & AsyncDisposable
  let sql: postgres.Sql
  let environment: Record<string, string>
  let tenantId: TenantId

  beforeAll(async () => {
    directory = await mkdtemp(join(tmpdir(), 'sluice-doctor-'))
    const places = { SLUICE_DATA_DIR: directory, ...wires(wiring, directory) }
    // Only what the doctor does is to be seen.
    stack = await openStack(wiring, { ...places, SLUICE_LIMIT_UPKEEP_EVERY_MS: '86400000' })
    environment = { ...places, SLUICE_DATABASE_URL: stack.databaseUrl }
    objects = await openObjects(readConfig(environment).objects)
    sql = postgres(stack.databaseUrl, { max: 1, onnotice: () => undefined })
    const [row] = await sql<{ id: TenantId }[]>`select id from tenants where name = 'default'`
    tenantId = row?.id as TenantId
  })
  afterAll(async () => {
    await sql.end()
    await objects[Symbol.asyncDispose]()
    await stack[Symbol.asyncDispose]()
    await rm(directory, { recursive: true, force: true })
  })

  const doctor = (...words: string[]) => sluice(environment, 'doctor', ...words)
  async function report(...words: string[]): Promise<{ code: number; report: Json }> {
    const { code, text } = await doctor('--json', ...words)
    return { code, report: JSON.parse(text) as Json }
  }
  const image = (seed: number) => drawSample({ seed, width: 60, height: 40, format: 'png' })
  async function store(product: string, seed: number): Promise<Json> {
    const { status, body } = await stack.api.addImage(product, await image(seed), {}, { prefer: 'wait=60' })
    expect(status).toBe(201)
    return body
  }
  const keysOf = ({ file }: Json) => {
    const digest = file.sha256 as Digest
    return { blob: blobKey(tenantId, digest), thumbnail: thumbnailKey(tenantId, digest) }
  }
  async function allKeys(): Promise<readonly string[]> {
    return (await objects.listBlobs(1_000)).map(({ key, bytes }) => `${key} ${bytes}`)
  }
  async function contentOf({ file }: Json): Promise<string | number> {
    const answer = await stack.api.send('GET', file.url)
    return answer.ok ? sha256(new Uint8Array(await answer.arrayBuffer())) : answer.status
  }
  /** The same bytes once more, staged for an ingest that waits for its product. */
  async function park(seed: number, sku: string): Promise<string> {
    const init = { body: formOf(await image(seed)) }
    const { status, body } = await answerOf(await stack.api.send('POST', `/v1/products/sku:${sku}/images?park=3600`, init))
    expect(status).toBe(202)
    return body['id']
  }

  test('finds what does not fit together, mends what it can, and touches nothing that is needed', SLOW, async () => {
    const product = await stack.api.newProduct()
    const { sku } = (await stack.api.call('GET', product)).body
    const names = ['sound', 'missing', 'healed', 'shortened', 'faceless', 'unreferenced'] as const
    const [sound, missing, healed, shortened, faceless, unreferenced] = await inTurn(names, (_, seed) => store(product, seed))

    for (const key of Object.values(keysOf(missing))) await objects.removeBlob(key)
    await objects.removeBlob(keysOf(healed).blob)
    await park(names.indexOf('healed'), 'never-1')
    await objects.putBlob(keysOf(shortened).blob, randomBytes(10), 'image/png', CALM)
    await park(names.indexOf('shortened'), 'never-2')
    await objects.removeBlob(keysOf(faceless).thumbnail)
    expect((await stack.api.call('DELETE', `/v2/files/${unreferenced['file'].id}`)).status).toBe(204)
    const orphan = randomBytes(32).toString('hex') as Digest
    await objects.putBlob(blobKey(tenantId, orphan), randomBytes(100), 'image/png', CALM)
    await objects.putBlob(thumbnailKey(tenantId, orphan), randomBytes(10), 'image/webp', CALM)
    await objects.putBlob('notes/readme.txt', randomBytes(10), 'text/plain', CALM)
    const staged = join(directory, wiring === 'embedded' ? 'objects' : 'staging', 'staged', tenantId, crypto.randomUUID())
    await mkdir(dirname(staged), { recursive: true })
    await writeFile(staged, 'left behind')
    const yesterday = Date.now() / 1_000 - 25 * HOUR_S
    await utimes(staged, yesterday, yesterday)
    const stuck = await park(99, 'never-3')
    const productId = product.split('/').at(-1) ?? ''
    await sql`
      update ingests set state = 'received', product_id = ${productId}, updated_at = now() - interval '1 hour' where id = ${stuck}`

    const before = await allKeys()
    const found = { orphan: 1, foreign: 1, missing: 2, damaged: 1, thumbnail: 1, unreferenced: 1, staged: 1, stuck: 1 }
    const dry = await report('--grace', '0')
    expect([dry.code, some(dry.report['found'])]).toEqual([1, found])
    expect(dry.report).toMatchObject({ repaired: false, mended: null })
    expect(dry.report['stuck']).toMatchObject([{ id: stuck, waiting: { reason: 'queue' } }])
    const spoken = await doctor('--grace', '0')
    expect(spoken.code).toBe(1)
    for (const text of [sku, missing['name'], missing['file'].id, 'notes/readme.txt', 'sluice doctor --repair', stuck])
      expect(spoken.text).toContain(text)
    expect(await allKeys()).toEqual(before)
    // What is young, and what was only just marked, has its hour.
    expect(some((await report()).report['found'])).toEqual({ ...found, orphan: undefined })

    const repair = await report('--repair', '--grace', '0')
    expect([repair.code, some(repair.report['left'])]).toEqual([1, { foreign: 1, missing: 1 }])
    expect(await objects.statBlob(blobKey(tenantId, orphan))).toBeNull()
    expect(await objects.statBlob(keysOf(unreferenced).blob)).toBeNull()
    for (const image of [sound, healed, shortened, faceless]) {
      expect(await contentOf(image)).toBe(image['file'].sha256)
      expect(await objects.statBlob(keysOf(image).thumbnail)).not.toBeNull()
    }
    expect(await stack.api.finished(`/v1/ingests/${stuck}`)).toMatchObject({ state: 'committed', waiting: null })

    // What is left is for people.
    await objects.removeBlob('notes/readme.txt')
    expect(await contentOf(missing)).not.toBe(missing['file'].sha256)
    await store(await stack.api.newProduct(), names.indexOf('missing'))
    expect(await contentOf(missing)).toBe(missing['file'].sha256)
    expect(await doctor('--grace', '0')).toMatchObject({ code: 0, text: expect.stringContaining('All is well.') })
    // What was removed may come again.
    const again = await store(product, names.indexOf('unreferenced'))
    expect(await contentOf(again)).toBe(unreferenced['file'].sha256)

    const metrics = await (
      await fetch(`${stack.consoleUrl}/metrics`, { headers: { authorization: `Bearer ${stack.token}` } })
    ).text()
    expect(metrics).toMatch(/^sluice_examination_mended_total\{kind="orphan"\} 1$/m)
    expect(metrics).toMatch(/^sluice_examination_findings\{kind="missing"\} 0$/m)
    expect(metrics).toMatch(/^sluice_examination_timestamp_seconds 1\d{9}/m)
  })

  test('that is killed in the middle of a removal loses nothing: the same bytes wait until it was ended', SLOW, async () => {
    const product = await stack.api.newProduct()
    const doomed = await store(product, 301)
    expect((await stack.api.call('DELETE', `/v2/files/${doomed['file'].id}`)).status).toBe(204)
    const killed = await sluice({ ...environment, SLUICE_FAILPOINTS: 'gc-marked=kill' }, 'doctor', '--repair', '--grace', '0')
    expect(killed).toMatchObject({ code: -1, text: expect.stringContaining('failpoint gc-marked') })
    expect(await objects.statBlob(keysOf(doomed).blob)).not.toBeNull()

    const { body } = await answerOf(await stack.api.send('POST', `${product}/images`, { body: formOf(await image(301)) }))
    const path = `/v1/ingests/${body['id']}`
    const waiting = async () => (await stack.api.call('GET', path)).body['waiting']
    await expect
      .poll(waiting, { timeout: 60_000 })
      .toMatchObject({ reason: 'outage', detail: expect.stringContaining('removed') })
    const soon = { SLUICE_LIMIT_REMOVAL_MS_MAX: '5000', SLUICE_LIMIT_REMOVAL_TAKEOVER_MS: '5001' }
    const stateAfterRepair = async () => {
      await sluice({ ...environment, ...soon }, 'doctor', '--repair', '--grace', '0')
      return (await stack.api.call('GET', path)).body['state']
    }
    await expect.poll(stateAfterRepair, { timeout: 300_000, interval: 1_000 }).toBe('committed')
    const { result } = (await stack.api.call('GET', path)).body
    const { body: file } = await stack.api.call('GET', result.file)
    expect(await contentOf({ file })).toBe(doomed['file'].sha256)
    expect(await doctor('--grace', '0')).toMatchObject({ code: 0, text: expect.stringContaining('All is well.') })
  })

  test('takes nothing away from uploads that run beside it, of the same bytes that it removes', SLOW, async () => {
    const product = await stack.api.newProduct()
    const seeds = [201, 202, 203]
    const pictures = await Promise.all(seeds.map(image))
    const kept: Json[] = []
    const done = new AbortController()
    let brought = 0
    const bringing = seeds.map(async (_, lane) => {
      for (let turn = lane; !done.signal.aborted && turn < 1_000; turn += 1) {
        const picture = pictures[turn % pictures.length] as Uint8Array
        const { status, body } = await stack.api.addImage(product, picture, {}, { prefer: 'wait=60' })
        expect(status).toBe(201)
        brought += 1
        expect(await contentOf(body)).toBe(sha256(picture))
        // Mostly the last file of its bytes: they are unreferenced, and come again.
        const { status: removed } = await stack.api.call('DELETE', `/v2/files/${body['file'].id}`)
        expect(removed).toBe(204)
      }
    })
    const sweeping = async () => {
      try {
        for (const _ of [1, 2, 3]) {
          const { code } = await report('--repair', '--grace', '0')
          expect(code).toBeLessThan(2)
        }
      } finally {
        done.abort()
      }
    }
    await Promise.all([sweeping(), ...bringing])
    expect(brought).toBeGreaterThan(3)
    for (const seed of seeds) kept.push(await store(product, seed))
    await doctor('--repair', '--grace', '0')
    expect(await doctor('--grace', '0')).toMatchObject({ code: 0, text: expect.stringContaining('All is well.') })
    for (const [index, body] of kept.entries()) expect(await contentOf(body)).toBe(sha256(pictures[index] as Uint8Array))
  })
})

function sha256(bytes: Uint8Array): string {
  return createHash('sha256').update(bytes).digest('hex')
}
