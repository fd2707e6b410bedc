import { once } from 'node:events'
import * as http from 'node:http'

/** What goes wrong with one request. */
export type Fault =
  | { readonly kind: 'answer'; readonly status: number; readonly body?: string }
  | { readonly kind: 'silence' }
  | { readonly kind: 'reset' }
  /** The answer is cut off after so many bytes of its body. */
  | { readonly kind: 'cut'; readonly afterBytes: number }
  /** One byte of the request's body is changed. */
  | { readonly kind: 'damage' }

export interface FaultServer extends AsyncDisposable {
  readonly endpoint: string
  /** Asked for every request; null lets it through. */
  fault: (request: http.IncomingMessage) => Fault | null
  /** `METHOD /path` of all requests so far, without their queries. */
  readonly seen: string[]
}

/** Stands between a client and a real server, on this machine, and lets things go wrong. For tests. */
export async function openFaultServer(target: { host: string; port: number }): Promise<FaultServer> {
  const seen: string[] = []
  const server = http.createServer((request, response) => {
    seen.push(`${request.method} ${request.url?.split('?')[0]}`)
    const fault = faults.fault(request)
    handle(fault, target, request, response).catch(() => response.destroy())
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const address = server.address()
  const port = typeof address === 'object' && address ? address.port : 0
  const faults: FaultServer = {
    endpoint: `http://127.0.0.1:${port}`,
    fault: () => null,
    seen,
    async [Symbol.asyncDispose]() {
      server.closeAllConnections()
      await new Promise((resolve) => server.close(resolve))
    },
  }
  return faults
}

async function handle(
  fault: Fault | null,
  target: { host: string; port: number },
  request: http.IncomingMessage,
  response: http.ServerResponse,
): Promise<void> {
  if (fault?.kind === 'silence') return
  if (fault?.kind === 'reset') return void request.socket.resetAndDestroy()
  if (fault?.kind === 'answer') return void response.writeHead(fault.status).end(fault.body)
  const { method, url, headers } = request
  // The signature covers the Host header, which therefore passes as it is.
  const onward = http.request({ ...target, method, path: url, headers, agent: false })
  const answered = once(onward, 'response')
  answered.catch(() => {})
  for await (const chunk of request) await pass(fault, Buffer.from(chunk), onward)
  onward.end()
  const [answer] = await answered
  if (!(answer instanceof http.IncomingMessage)) throw new Error('Not an answer')
  await giveBack(fault, answer, response)
}

async function pass(fault: Fault | null, chunk: Buffer, onward: http.ClientRequest): Promise<void> {
  if (fault?.kind === 'damage') chunk[0] = (chunk[0] ?? 0) ^ 1
  if (!onward.write(chunk)) await once(onward, 'drain')
}

async function giveBack(fault: Fault | null, answer: http.IncomingMessage, response: http.ServerResponse): Promise<void> {
  response.writeHead(answer.statusCode ?? 502, answer.headers)
  let left = fault?.kind === 'cut' ? fault.afterBytes : Infinity
  for await (const chunk of answer) {
    const piece = Buffer.from(chunk).subarray(0, left)
    left -= piece.length
    await new Promise((resolve) => response.write(piece, resolve))
    if (left <= 0) return void response.destroy()
  }
  response.end()
}
