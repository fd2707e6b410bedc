import { once } from 'node:events'
import { type AddressInfo, connect, createServer, type Server, type Socket } from 'node:net'

/** The network before a server, which breaks in the ways that the server's own death does not. */
export interface Proxy extends AsyncDisposable {
  readonly port: number
  /** Every connection is cut, and new ones are refused. */
  down(): Promise<void>
  up(): Promise<void>
  /** Connections that exist pass nothing on any more and are never closed: half-open TCP. New ones work. */
  silence(): void
  /** Connections that are made from now on are reset after so many bytes of the client; null ends that. */
  cutAfter(bytes: number | null): void
}

export async function openProxy(targetPort: number): Promise<Proxy> {
  const sockets = new Set<Socket>()
  let bytesMax: number | null = null
  const server = createServer({ noDelay: true }, (client) => {
    const upstream = connect({ port: targetPort, host: '127.0.0.1', noDelay: true })
    if (bytesMax !== null) resetAfter(client, bytesMax)
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
    cutAfter: (bytes) => void (bytesMax = bytes),
    [Symbol.asyncDispose]: down,
  }
}

function resetAfter(client: Socket, bytesMax: number): void {
  let bytes = 0
  client.on('data', (chunk: Buffer) => {
    bytes += chunk.byteLength
    if (bytes > bytesMax) client.resetAndDestroy()
  })
}

async function listen(server: Server, port: number): Promise<number> {
  server.listen(port, '127.0.0.1')
  await once(server, 'listening')
  return (server.address() as AddressInfo).port
}
