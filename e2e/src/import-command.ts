import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { createServer, request as forward } from 'node:http'
import { resolve } from 'node:path'

const PROGRAM = resolve(import.meta.dirname, '../../services/cli/src/main.ts')

export interface Ended {
  readonly code: number | null
  readonly signal: NodeJS.Signals | null
  readonly stdout: string
  readonly stderr: string
}

export interface Running {
  readonly child: ChildProcess
  /** All that it has said so far. */
  output(): string
  readonly ended: Promise<Ended>
}

export interface Command {
  readonly words: readonly string[]
  readonly cwd: string
  readonly env: Readonly<Record<string, string>>
  readonly stdin?: string
}

/** The real program, in a process of its own. */
export function startSluice({ words, cwd, env, stdin = '' }: Command): Running {
  const child = spawn(process.execPath, [PROGRAM, ...words], { cwd, env: { PATH: process.env['PATH'], ...env } })
  let stdout = ''
  let stderr = ''
  child.stdout.setEncoding('utf8').on('data', (text: string) => (stdout += text))
  child.stderr.setEncoding('utf8').on('data', (text: string) => (stderr += text))
  // A program that ends before it has read all is none of the test's business.
  child.stdin.on('error', () => undefined).end(stdin)
  const ended: Promise<Ended> = once(child, 'close').then(([code, signal]) => ({ code, signal, stdout, stderr }))
  return { child, output: () => stdout + stderr, ended }
}

export interface Passing extends AsyncDisposable {
  readonly url: string
  /** `POST /v1/files` and the like, without ids and queries, and how often each came. */
  readonly requests: Map<string, number>
  /** Bytes of files that went through. */
  fileBytes(): number
  reset(): void
  /** Called before a request is passed on, and may take its time. */
  onRequest: (line: string) => void | Promise<void>
}

/** Stands between a client and the server, and counts. */
export async function openPassing(target: string): Promise<Passing> {
  let fileBytes = 0
  const requests = new Map<string, number>()
  const passing = {
    requests,
    fileBytes: () => fileBytes,
    reset() {
      requests.clear()
      fileBytes = 0
    },
    onRequest: (_line: string): void | Promise<void> => undefined,
  }
  const server = createServer((incoming, response) => {
    const path = (incoming.url ?? '').split('?')[0] ?? ''
    const line = `${incoming.method} ${path.replace(/[0-9a-f]{8}-[0-9a-f-]{27}/g, ':id')}`
    requests.set(line, (requests.get(line) ?? 0) + 1)
    const outgoing = () => {
      const url = new URL(incoming.url ?? '', target)
      const sent = forward(url, { method: incoming.method, headers: { ...incoming.headers, host: url.host } }, (answer) => {
        response.writeHead(answer.statusCode ?? 502, answer.headers)
        answer.pipe(response)
      })
      sent.on('error', () => response.destroy())
      incoming.on('error', () => sent.destroy())
      if (line === 'POST /v1/files') incoming.on('data', (chunk: Buffer) => (fileBytes += chunk.byteLength))
      incoming.pipe(sent)
    }
    void Promise.resolve(passing.onRequest(line)).then(outgoing, () => response.destroy())
  }).listen(0, '127.0.0.1')
  await once(server, 'listening')
  const address = server.address()
  return Object.assign(passing, {
    url: `http://127.0.0.1:${typeof address === 'object' && address ? address.port : 0}`,
    async [Symbol.asyncDispose]() {
      server.close()
      server.closeAllConnections()
      await once(server, 'close')
    },
  })
}
