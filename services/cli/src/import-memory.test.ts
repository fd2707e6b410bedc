import { spawn } from 'node:child_process'
import { createHash } from 'node:crypto'
import { once } from 'node:events'
import { createWriteStream } from 'node:fs'
import { mkdtemp, readFile, rm } from 'node:fs/promises'
import { createServer, type IncomingMessage } from 'node:http'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { Readable } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'

const PROGRAM = resolve(import.meta.dirname, 'main.ts')
const ROWS = 100_000
/** The program itself takes 12 MB once it is loaded; the rows, held at one time, would be 100 more. */
const HEAP_MB = 40

describe(`an import of ${ROWS} rows`, () => {
  let directory: string

  beforeAll(async () => {
    directory = await mkdtemp(join(tmpdir(), 'sluice-many-'))
  })
  afterAll(() => rm(directory, { recursive: true, force: true }))

  it('takes no more memory than one of few, from the manifest to the report', { timeout: 180_000 }, async () => {
    const manifest = join(directory, 'many.jsonl')
    await pipeline(Readable.from(manifestLines()), createWriteStream(manifest))
    await using server = await serveCounting()
    const report = join(directory, 'out.jsonl')
    const words = ['import', manifest, '--url', server.url, '--token', 'x', '--report', report]
    const child = spawn(process.execPath, [`--max-old-space-size=${HEAP_MB}`, PROGRAM, ...words], {
      stdio: ['ignore', 'pipe', 'pipe'],
    })
    let output = ''
    for (const stream of [child.stdout, child.stderr]) stream.setEncoding('utf8').on('data', (text: string) => (output += text))
    const [code] = (await once(child, 'close')) as [number | null]
    expect(output).toContain('100,000 rows: 100,000 done')
    expect(code).toBe(0)
    expect(server.rows()).toBe(ROWS)
    const lines = (await readFile(report, 'utf8')).trimEnd().split('\n')
    expect(lines).toHaveLength(ROWS)
    expect(JSON.parse(lines.at(-1) ?? '')).toMatchObject({ file: `many.jsonl:${ROWS}`, line: ROWS, state: 'done' })
  })
})

/** A kilobyte each. */
function* manifestLines(): Generator<string> {
  const label = 'A label that says a good deal more than is needed. '.repeat(18)
  for (let number = 1; number <= ROWS; number += 1) {
    const sha256 = createHash('sha256').update(String(number)).digest('hex')
    yield `${JSON.stringify({ sku: `sku-${number % 1000}`, sha256, label })}\n`
  }
}

/** The routes that an import goes through, on which nothing is kept but numbers: memory is what is tested, of the other side. */
async function serveCounting() {
  let rows = 0
  let isApplied = false
  const view = () => ({
    id: 'one',
    name: 'many',
    state: isApplied ? 'finished' : 'open',
    created_at: '',
    counts: {
      total: rows,
      states: { invalid: 0, pending: 0, parked: 0, running: 0, done: isApplied ? rows : 0, skipped: 0, failed: 0 },
      actions: {},
    },
  })
  const server = createServer((request, response) => {
    const reply = async () => {
      const body = await answer(request)
      response.writeHead(200, { 'content-type': 'application/json' })
      if (typeof body === 'string') response.end(body)
      else body.pipe(response)
    }
    void reply()
  }).listen(0, '127.0.0.1')
  const answer = async (request: IncomingMessage): Promise<string | Readable> => {
    const { method, url = '' } = request
    for await (const chunk of request as AsyncIterable<Buffer>)
      if (url.endsWith('/rows')) rows += chunk.toString('latin1').split('\n').length - 1
    if (url.startsWith('/v1/imports?')) return '{"items":[],"next":null}'
    if (url.endsWith('/rows')) return '{"errors":[]}'
    if (url.endsWith('/report')) return Readable.from(reportLines())
    if (method === 'POST' && url.endsWith('/apply')) isApplied = true
    return JSON.stringify(view())
  }
  await once(server, 'listening')
  const address = server.address()
  return {
    url: `http://127.0.0.1:${typeof address === 'object' && address ? address.port : 0}`,
    rows: () => rows,
    async [Symbol.asyncDispose]() {
      server.close()
      server.closeAllConnections()
      await once(server, 'close')
    },
  }
}

function* reportLines(): Generator<string> {
  for (let line = 1; line <= ROWS; line += 1) yield `${JSON.stringify({ line, state: 'done', action: 'attach' })}\n`
}
