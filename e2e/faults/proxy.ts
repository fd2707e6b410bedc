import { once } from 'node:events'
import { createServer as createHttpServer, type RequestListener, type Server as HttpServer } from 'node:http'
import { type AddressInfo, connect, createServer, type Server, type Socket } from 'node:net'
import { Transform } from 'node:stream'

/** The network before a server, which breaks in the ways that the server's own death does not. */
export interface Proxy extends AsyncDisposable {
  readonly port: number
  readonly targetPort: number
  /** How much each way of breaking has broken: a fault that touched nothing has shown nothing. */
  readonly counts: { silenced: number; cut: number; delayed: number; answered: number }
  /** Every connection is cut, and new ones are refused. */
  down(): Promise<void>
  up(): Promise<void>
  /** Connections pass nothing on any more and are never closed: half-open TCP. New ones are as silent. */
  silence(): void
  /** New connections work again. Those that were silent stay so. */
  unsilence(): void
  /** Connections that are made from now on are reset after so many bytes of the client; null ends that. */
  cutAfter(bytes: number | null): void
  /** What the server sends on connections that are made from now on comes so much later. */
  delay(ms: number): void
  /** Connections that are made from now on are answered by this instead; null ends that. */
  answerBy(listener: RequestListener | null): void
}

export async function openProxy(targetPort: number): Promise<Proxy> {
  const sockets = new Set<Socket>()
  const counts = { silenced: 0, cut: 0, delayed: 0, answered: 0 }
  let bytesMax: number | null = null
  let isSilent = false
  let delayMs = 0
  let stranger: HttpServer | null = null

  const keep = (socket: Socket, onEnd: () => void) => {
    sockets.add(socket)
    socket.on('error', onEnd)
    socket.on('close', () => {
      sockets.delete(socket)
      onEnd()
    })
  }
  const mute = (socket: Socket) => {
    counts.silenced += 1
    socket.unpipe().pause()
  }
  const server = createServer({ noDelay: true }, (client) => {
    if (isSilent || stranger) {
      keep(client, () => client.destroy())
      if (isSilent) mute(client)
      else stranger?.emit('connection', client)
      return
    }
    const upstream = connect({ port: targetPort, host: '127.0.0.1', noDelay: true })
    if (bytesMax !== null) resetAfter(client, bytesMax, () => (counts.cut += 1))
    client.pipe(upstream)
    if (delayMs > 0) upstream.pipe(later(delayMs, () => (counts.delayed += 1))).pipe(client)
    else upstream.pipe(client)
    keep(client, () => upstream.destroy())
    keep(upstream, () => client.destroy())
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
    targetPort,
    counts,
    down,
    up: async () => void (await listen(server, port)),
    silence() {
      isSilent = true
      for (const socket of sockets) mute(socket)
    },
    unsilence: () => void (isSilent = false),
    cutAfter: (bytes) => void (bytesMax = bytes),
    delay: (ms) => void (delayMs = ms),
    answerBy(listener) {
      const counted: RequestListener = (request, response) => {
        counts.answered += 1
        listener?.(request, response)
      }
      stranger = listener && createHttpServer(counted)
    },
    [Symbol.asyncDispose]: down,
  }
}

function resetAfter(client: Socket, bytesMax: number, onReset: () => void): void {
  let bytes = 0
  client.on('data', (chunk: Buffer) => {
    bytes += chunk.byteLength
    if (bytes <= bytesMax || client.destroyed) return
    onReset()
    client.resetAndDestroy()
  })
}

function later(ms: number, onChunk: () => void): Transform {
  return new Transform({
    transform(chunk, _encoding, done) {
      onChunk()
      setTimeout(() => done(null, chunk), ms)
    },
  })
}

async function listen(server: Server, port: number): Promise<number> {
  server.listen(port, '127.0.0.1')
  await once(server, 'listening')
  return (server.address() as AddressInfo).port
}
