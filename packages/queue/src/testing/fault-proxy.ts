import { once } from 'node:events'
import { type AddressInfo, connect, createServer, type Server, type Socket } from 'node:net'

/** Stands before a server and breaks the network in the ways that a server's own death does not. */
export interface FaultProxy extends AsyncDisposable {
  readonly port: number
  /** Every connection is cut, and new ones are refused. */
  down(): Promise<void>
  up(): Promise<void>
  /** Connections that exist pass nothing on any more and are never closed: half-open TCP. New ones work. */
  silence(): void
}

export async function openFaultProxy(targetUrl: string): Promise<FaultProxy> {
  const target = new URL(targetUrl)
  const sockets = new Set<Socket>()
  const server = createServer({ noDelay: true }, (client) => {
    // Without this, Nagle's algorithm and delayed acknowledgements make 40 ms of each small exchange.
    const upstream = connect({ port: Number(target.port), host: target.hostname, noDelay: true })
    client.pipe(upstream).pipe(client)
    for (const [socket, other] of [[client, upstream] as const, [upstream, client] as const]) {
      sockets.add(socket)
      socket.on('error', () => other.destroy())
      socket.on('close', () => {
        sockets.delete(socket)
        other.destroy()
      })
    }
  })
  const port = await listen(server, 0)

  async function down(): Promise<void> {
    const closed = server.listening ? once(server, 'close') : null
    server.close()
    for (const socket of sockets) socket.destroy()
    await closed
  }

  return {
    port,
    down,
    up: async () => void (await listen(server, port)),
    silence() {
      for (const socket of sockets) socket.unpipe().pause()
    },
    [Symbol.asyncDispose]: down,
  }
}

async function listen(server: Server, port: number): Promise<number> {
  server.listen(port, '127.0.0.1')
  await once(server, 'listening')
  return (server.address() as AddressInfo).port
}
