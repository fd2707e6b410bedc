import { once } from 'node:events'
import * as http from 'node:http'
import { Webhook } from 'standardwebhooks'

/** One request that came in, with its body. */
export interface Received {
  readonly id: string
  readonly headers: Readonly<Record<string, string>>
  readonly body: string
  readonly event: { readonly type: string; readonly data: Readonly<Record<string, unknown>> }
}

type Behaviour = (received: Received, response: http.ServerResponse, times: number) => void

/** Endpoints of somebody who subscribes: each path is one. */
export interface Receiver extends AsyncDisposable {
  readonly host: string
  readonly url: (path: string) => string
  /** How a path answers; 204 where nothing is said. `times` counts the requests to it, from 1. */
  readonly behave: (path: string, behaviour: Behaviour) => void
  readonly received: (path: string) => readonly Received[]
}

export async function openReceiver(): Promise<Receiver> {
  const behaviours = new Map<string, Behaviour>()
  const all = new Map<string, Received[]>()
  async function receive(request: http.IncomingMessage, response: http.ServerResponse): Promise<void> {
    const path = request.url ?? ''
    const chunks: Buffer[] = []
    for await (const chunk of request) chunks.push(chunk as Buffer)
    const body = Buffer.concat(chunks).toString()
    const headers = Object.fromEntries(Object.entries(request.headers).map(([name, value]) => [name, String(value)]))
    const received = { id: headers['webhook-id'] ?? '', headers, body, event: JSON.parse(body) }
    const known = all.get(path) ?? []
    all.set(path, [...known, received])
    const behave = behaviours.get(path) ?? ((_received, answer) => void answer.writeHead(204).end())
    behave(received, response, known.length + 1)
  }

  // Who goes away in the middle of a request has sent none.
  const server = http.createServer((request, response) => void receive(request, response).catch(() => response.destroy()))
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const address = server.address()
  const host = `127.0.0.1:${typeof address === 'object' ? address?.port : ''}`
  return {
    host,
    url: (path) => `http://${host}${path}`,
    behave: (path, behaviour) => void behaviours.set(path, behaviour),
    received: (path) => all.get(path) ?? [],
    async [Symbol.asyncDispose]() {
      server.closeAllConnections()
      server.close()
      await once(server, 'close')
    },
  }
}

/** By the library of the standard; throws when the signature is not by this secret. */
export function verify(secret: string, { body, headers }: Received): void {
  new Webhook(secret).verify(body, headers)
}
