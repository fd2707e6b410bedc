import { once } from 'node:events'
import * as http from 'node:http'

/** A server out there with images on it: what it answers at each path, and what it was asked for. */
export interface Origin extends AsyncDisposable {
  readonly host: string
  readonly url: (path: string) => string
  readonly answers: Map<string, http.RequestListener>
  readonly asked: (path: string) => readonly http.IncomingMessage[]
  /** The most requests that it was answering at a time. */
  readonly most: () => number
}

/** On this machine, where Sluice fetches only from what `SLUICE_FETCH_ALLOW` names. */
export async function openOrigin(): Promise<Origin> {
  const answers = new Map<string, http.RequestListener>()
  const asked: http.IncomingMessage[] = []
  let [running, most] = [0, 0]
  const pathOf = ({ url }: http.IncomingMessage) => (url ?? '').split('?')[0] ?? ''
  const server = http.createServer((request, response) => {
    asked.push(request)
    most = Math.max(most, ++running)
    response.once('close', () => (running -= 1))
    const answer = answers.get(pathOf(request))
    if (answer) answer(request, response)
    else response.writeHead(404).end()
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const address = server.address()
  const host = `127.0.0.1:${typeof address === 'object' ? address?.port : ''}`
  return {
    host,
    url: (path) => `http://${host}${path}`,
    answers,
    asked: (path) => asked.filter((request) => pathOf(request) === path),
    most: () => most,
    async [Symbol.asyncDispose]() {
      server.closeAllConnections()
      server.close()
      await once(server, 'close')
    },
  }
}
