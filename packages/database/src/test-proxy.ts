/** A wire between a client and a server that tests can cut, silence and listen to. */
import { once } from 'node:events'
import { connect, createServer, type Socket } from 'node:net'

export interface TestProxy extends AsyncDisposable {
  /** The server's URL by way of the proxy. */
  readonly url: string
  /** Nothing arrives any more, in either direction, and nobody is told: a half-open connection. */
  silence(): void
  /** As `silence`, from the moment when the client has sent this text, which still arrives. */
  silenceAnswerTo(text: string): Promise<void>
  /** New connections work again; silenced ones stay silent. */
  heal(): void
  /** Resets all connections. */
  cut(): void
}

export async function openTestProxy(serverUrl: string): Promise<TestProxy> {
  const target = new URL(serverUrl)
  const pairs = new Set<{ client: Socket; server: Socket }>()
  let isSilent = false
  let awaited: { text: string; heard: () => void } | null = null

  const proxy = createServer((client) => {
    const server = connect(Number(target.port), target.hostname)
    const pair = { client, server }
    pairs.add(pair)
    const silencedHere = { is: isSilent }
    const end = () => {
      pairs.delete(pair)
      client.destroy()
      server.destroy()
    }
    for (const socket of [client, server]) socket.on('error', end).on('close', end)
    client.on('data', (bytes) => {
      silencedHere.is ||= isSilent
      if (silencedHere.is) return
      server.write(bytes)
      if (awaited === null || !bytes.includes(awaited.text)) return
      silencedHere.is = true
      awaited.heard()
      awaited = null
    })
    server.on('data', (bytes) => {
      silencedHere.is ||= isSilent
      if (!silencedHere.is) client.write(bytes)
    })
  })
  proxy.listen(0, '127.0.0.1')
  await once(proxy, 'listening')
  const address = proxy.address()
  const port = typeof address === 'object' && address ? address.port : 0

  const cut = () => {
    for (const { client, server } of pairs) {
      client.resetAndDestroy()
      server.destroy()
    }
  }
  return {
    url: Object.assign(new URL(serverUrl), { hostname: '127.0.0.1', port: String(port) }).href,
    silence: () => void (isSilent = true),
    silenceAnswerTo: (text) => new Promise((heard) => (awaited = { text, heard })),
    heal: () => void (isSilent = false),
    cut,
    async [Symbol.asyncDispose]() {
      proxy.close()
      cut()
    },
  }
}
