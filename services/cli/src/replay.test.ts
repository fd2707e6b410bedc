import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { createServer, type IncomingMessage } from 'node:http'
import { resolve } from 'node:path'
import { expect, it } from 'vitest'

interface Asked {
  readonly before?: string
  readonly limit: number
  readonly dry_run: boolean
}

const idOf = (number: number) => `00000000-0000-7000-8000-${String(number).padStart(12, '0')}`
const GONE = { code: 'ingest_bytes_gone', detail: 'Its bytes are not kept any more. Send the file again.' }

async function bodyOf(request: IncomingMessage): Promise<string> {
  const chunks: Buffer[] = []
  for await (const chunk of request) chunks.push(chunk as Buffer)
  return Buffer.concat(chunks).toString()
}

/** An API with so many failed ingests, of which each tenth has no bytes any more; ids count down, as a list does. */
async function serve(failed: number) {
  const asked: Asked[] = []
  const listed: string[] = []
  const below = (before: string | null | undefined) => (before ? Number(before.slice(-12)) - 1 : failed)
  const from = (before: string | null | undefined, limit: number) =>
    Array.from({ length: Math.min(limit, below(before)) }, (_, n) => idOf(below(before) - n))
  const replayed = (body: Asked) => {
    const ids = from(body.before, body.limit)
    const refused = ids.filter((id) => id.endsWith('0')).map((id) => ({ id, code: GONE.code, detail: GONE.detail }))
    const next = below(ids.at(-1)) > 0 ? ids.at(-1) : null
    return { matched: ids.length, replayed: body.dry_run ? 0 : ids.length - refused.length, refused, next }
  }
  const page = (path: string) => {
    const query = new URL(path, 'http://here').searchParams
    const items = from(query.get('before'), Number(query.get('limit'))).map((id) => ({ id }))
    query.set('before', items.at(-1)?.id ?? '')
    return { items, next: below(items.at(-1)?.id) > 0 ? `/v1/ingests?${query.toString()}` : null }
  }
  const answer = async (request: IncomingMessage): Promise<object> => {
    if (request.method === 'GET') {
      listed.push(request.url ?? '')
      return page(request.url ?? '')
    }
    const body = JSON.parse(await bodyOf(request)) as Asked
    asked.push(body)
    return replayed(body)
  }
  const server = createServer((request, response) => {
    void answer(request).then((said) => response.writeHead(200, { 'content-type': 'application/json' }).end(JSON.stringify(said)))
  }).listen(0, '127.0.0.1')
  await once(server, 'listening')
  const address = server.address()
  const close = async () => {
    server.close()
    server.closeAllConnections()
    await once(server, 'close')
  }
  const url = `http://127.0.0.1:${typeof address === 'object' && address ? address.port : 0}`
  return { url, asked, listed, [Symbol.asyncDispose]: close }
}

async function sluice(url: string, ...words: string[]) {
  const env = { PATH: process.env['PATH'], SLUICE_URL: url, SLUICE_TOKEN: 'secret' }
  const child = spawn(process.execPath, [resolve(import.meta.dirname, 'main.ts'), ...words], { env })
  const texts = { stdout: '', stderr: '' }
  child.stdout.on('data', (text) => (texts.stdout += String(text)))
  child.stderr.on('data', (text) => (texts.stderr += String(text)))
  const [code] = await once(child, 'close')
  return { code: code as number, ...texts }
}

it('replays page after page, says how much is to come, and names those that were refused', async () => {
  await using api = await serve(250)
  const { code, stdout, stderr } = await sluice(api.url, 'replay', '--code', 'storage_full', '--since', '2026-01-01T00:00:00Z')
  expect(code).toBe(1)
  expect(stdout.split('\n').slice(0, 3)).toEqual([
    '225 ingests replayed, 25 refused.',
    `ingest_bytes_gone: ${GONE.detail}`,
    `  ${idOf(250)}`,
  ])
  expect(stdout).toContain('and 15 more: --json names them all')
  expect(stderr).toMatch(/^Replaying: 250 ingests\n/)
  const filter = { code: ['storage_full'], from: '2026-01-01T00:00:00.000Z', limit: 100, dry_run: false }
  expect(api.asked).toEqual([filter, { ...filter, before: idOf(151) }, { ...filter, before: idOf(51) }])
  expect(api.listed).toHaveLength(2)
  expect(api.listed[0]).toBe(
    `/v1/ingests?code=storage_full&from=2026-01-01T00%3A00%3A00.000Z&before=${idOf(151)}&state=failed&limit=100`,
  )
})

it('replays no more than it was told to', async () => {
  await using api = await serve(250)
  expect(await sluice(api.url, 'replay', '--all', '--limit', '120', '--json')).toMatchObject({ code: 1 })
  expect(api.asked.map(({ limit }) => limit)).toEqual([100, 20])
})

it('ends well where there is nothing to do, and asks once', async () => {
  await using api = await serve(0)
  const { code, stdout, stderr } = await sluice(api.url, 'replay', '--all', '--dry-run')
  expect([code, stdout, stderr]).toEqual([0, 'No failed ingest is like that.\n', ''])
  expect(api.asked).toEqual([{ limit: 100, dry_run: true }])
  expect(api.listed).toEqual([])
})
