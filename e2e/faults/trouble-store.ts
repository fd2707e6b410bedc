/** What an object store does wrong: away, slow, failing, cut off, and lying. */
import { createHash } from 'node:crypto'
import { type IncomingMessage, request as ask, type RequestListener, type ServerResponse } from 'node:http'
import type { Load } from './load.ts'
import type { Proxy } from './proxy.ts'
import { type Objects, pause } from './servers.ts'
import type { Fault, Scene } from './trouble.ts'

export function storeFaults({ load, objects, complaints }: Scene, proxy: Proxy): Fault[] {
  /** For a while, and until it has been noticed. */
  const during = (name: string, count: keyof Proxy['counts'], begin: () => void, end: () => void): Fault => ({
    name,
    isOutage: true,
    async happen() {
      const before = proxy.counts[count]
      begin()
      // Kept connections would go on as before.
      await away(proxy, 0)
      await pause(WRONG_MS)
      for (let tries = 0; proxy.counts[count] === before && tries < TRIES; tries++) {
        await load.tryFresh()
        await pause(500)
      }
      if (proxy.counts[count] === before) complaints.push(`${name}: nobody met it`)
      end()
      await away(proxy, 0)
    },
  })
  const lies = { count: 0 }
  return [
    { name: 'object store away 14 s', isOutage: true, happen: () => awayWhileMuchWaits(proxy, load) },
    during(
      'object store cut mid-body',
      'cut',
      () => proxy.cutAfter(3_000),
      () => proxy.cutAfter(null),
    ),
    during(
      'object store slow',
      'delayed',
      () => proxy.delay(LATE_MS),
      () => proxy.delay(0),
    ),
    during(
      'object store answers 500',
      'answered',
      () => proxy.answerBy(failing),
      () => proxy.answerBy(null),
    ),
    {
      name: 'object store truncates in silence',
      isOutage: true,
      async happen() {
        const before = lies.count
        proxy.answerBy(truncating(objects, proxy.targetPort, () => (lies.count += 1)))
        await away(proxy, 0)
        await pause(WRONG_MS)
        for (let tries = 0; lies.count === before && tries < TRIES; tries++) {
          await load.tryFresh()
          await pause(500)
        }
        if (lies.count === before) complaints.push('object store truncates in silence: nothing was stored')
        proxy.answerBy(null)
        await away(proxy, 0)
      },
    },
  ]
}

const WRONG_MS = 4_000
const LATE_MS = 1_500
/** Half a minute and more, for busy machines. */
const TRIES = 80

async function away(proxy: Proxy, ms: number): Promise<void> {
  await proxy.down()
  await pause(ms)
  await proxy.up()
}

/** Longer than an ingest has attempts, and than the sweeper leaves alone what nobody needs. */
const AWAY_MS = 14_000
const WAITING = 8

async function awayWhileMuchWaits(proxy: Proxy, load: Load): Promise<void> {
  await proxy.down()
  await Promise.all(Array.from({ length: WAITING }, () => load.uploadFresh()))
  await pause(AWAY_MS)
  await proxy.up()
}

const failing: RequestListener = (request, response) => {
  request.resume()
  response.writeHead(500, { 'content-type': 'application/xml', connection: 'close' })
  response.end('<Error><Code>InternalError</Code><Message>We encountered an internal error.</Message></Error>')
}

/** Takes every object whole, says so, and keeps half of it. All else it does as it should. */
function truncating(objects: Objects, targetPort: number, onLie: () => void): RequestListener {
  return (request, response) => {
    const isObject = request.method === 'PUT' && /^\/[^/?]+\/[^?]+$/.test(request.url ?? '')
    const act = isObject ? keepHalf(request, response, objects, onLie) : passOn(request, response, targetPort)
    act.catch(() => response.destroy())
  }
}

async function keepHalf(request: IncomingMessage, response: ServerResponse, objects: Objects, onLie: () => void): Promise<void> {
  const chunks: Buffer[] = []
  for await (const chunk of request) chunks.push(chunk as Buffer)
  const bytes = Buffer.concat(chunks)
  await objects.put(request.url ?? '', bytes.subarray(0, Math.floor(bytes.length / 2)))
  onLie()
  response.writeHead(200, { etag: `"${createHash('md5').update(bytes).digest('hex')}"`, 'content-length': '0' }).end()
}

async function passOn(request: IncomingMessage, response: ServerResponse, port: number): Promise<void> {
  const { method, url: path, headers } = request
  const upstream = ask({ host: '127.0.0.1', port, method, path, headers, agent: false })
  const answered = Promise.withResolvers<IncomingMessage>()
  upstream.on('response', answered.resolve).on('error', answered.reject)
  request.pipe(upstream)
  const answer = await answered.promise
  response.writeHead(answer.statusCode ?? 502, answer.headers)
  answer.pipe(response)
}
