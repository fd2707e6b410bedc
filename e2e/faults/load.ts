/** A client that uploads, repeats what was not answered as clients do, and remembers what was promised to it. */
import { connect } from 'node:net'
import { drawSample } from '@sluice/images/samples'
import type { Random } from './plan.ts'
import { pause, sha256 } from './servers.ts'

/** What was answered with 202 or 201. */
interface Acknowledged {
  readonly label: string
  /** Null when the finished image was answered, which does not tell what made it. */
  readonly ingestId: string | null
  readonly sha256: string
  /** What must become of it. */
  readonly end: 'committed' | 'rejected' | 'failed'
}

export interface History {
  sent: number
  readonly acknowledged: Acknowledged[]
  /** Labels that were sent under an Idempotency-Key: there may be one ingest of each. */
  readonly keyed: Set<string>
  readonly removed: Set<string>
  /** Deletes that were asked for, answered or not. */
  readonly maybeRemoved: Set<string>
  /** Promises that contradict one another. */
  readonly contradictions: string[]
  readonly answers: Map<string, number>
  gaveUp: number
  goneMidBody: number
}

export interface Load {
  readonly history: History
  readonly productIds: readonly string[]
  readonly authorization: string
  /** Begins; `stop` lets what is under way come to its end. */
  start(): void
  stop(): Promise<void>
  /** One upload of bytes that nobody has sent before. */
  uploadFresh(): Promise<Acknowledged | null>
  /** The same, and not repeated. */
  tryFresh(): Promise<Acknowledged | null>
  /** Different requests with the same known bytes for one product: nothing but their commits takes time, so these meet. */
  crowd(times: number): Promise<void>
  /** The same request under the same key, so many times at once. */
  burst(times: number): Promise<void>
}

export interface LoadOptions {
  readonly urls: readonly string[]
  readonly token: string
  readonly clients: number
  /** How many are to come at least. */
  readonly uploads: number
  readonly random: Random
}

const PRODUCTS_MIN = 8
/** Then the next product is the one that is contended: nobody lists thousands of images all the time. */
const UPLOADS_EACH = 500
/** A client repeats for so long; longer than any fault lasts. */
const PATIENCE_MS = 120_000
const ANSWER_MS_MAX = 10_000

export async function openLoad({ urls, token, clients, uploads, random }: LoadOptions): Promise<Load> {
  const pictures = await drawPictures()
  const history: History = {
    sent: 0,
    acknowledged: [],
    keyed: new Set(),
    removed: new Set(),
    maybeRemoved: new Set(),
    contradictions: [],
    answers: new Map(),
    gaveUp: 0,
    goneMidBody: 0,
  }
  const over = new AbortController()
  let running: Promise<unknown> = Promise.resolve()

  const pick = <T>(list: readonly T[]): T => list[Math.floor(random() * list.length)] as T
  const send = async (method: string, path: string, init: RequestInit = {}) => {
    const answer = await fetch(pick(urls) + path, {
      ...init,
      method,
      headers: { authorization: `Bearer ${token}`, ...(init.headers as Record<string, string>) },
      signal: AbortSignal.timeout(ANSWER_MS_MAX),
    })
    const text = await answer.text()
    const kind = `${method} ${answer.status}`
    history.answers.set(kind, (history.answers.get(kind) ?? 0) + 1)
    return { status: answer.status, headers: answer.headers, body: text === '' ? {} : parse(text) }
  }
  const productIds = await makeProducts(send, Math.max(PRODUCTS_MIN, Math.ceil(uploads / UPLOADS_EACH)))
  const contended = () => productIds[Math.floor(history.sent / UPLOADS_EACH) % productIds.length] ?? ''
  /** Half of everything hits one product: names and places are contended there. */
  const product = () => (random() < 0.5 ? contended() : pick(productIds))

  async function upload(
    end: Acknowledged['end'],
    kind: 'any' | 'crowded' | 'fresh' = 'any',
    patienceMs = PATIENCE_MS,
  ): Promise<Acknowledged | null> {
    const number = (history.sent += 1)
    const label = `upload-${number}`
    const known = kind === 'crowded' || (kind === 'any' && random() < 0.15)
    const bytes = end === 'rejected' ? truncated(pick(pictures)) : known ? pick(pictures) : unique(pick(pictures), label)
    const isKeyed = kind === 'fresh' || random() < 0.8
    if (isKeyed) history.keyed.add(label)
    const waits = random() < 0.15
    const { path, init } = request(
      kind === 'crowded' ? contended() : product(),
      bytes,
      label,
      pick(['multipart', 'base64', 'raw']),
      random() < 0.1,
    )
    const headers = {
      ...(init.headers as Record<string, string>),
      ...(isKeyed ? { 'idempotency-key': `key-${label}` } : {}),
      ...(waits ? { prefer: 'wait=3' } : {}),
    }
    const deadline = Date.now() + patienceMs
    for (let attempt = 0; attempt === 0 || Date.now() < deadline; attempt++) {
      const answer = await send('POST', path, { ...init, headers }).catch(() => null)
      const ingestId = answer && promisedBy(answer)
      if (ingestId || answer?.status === 201) {
        const acknowledged: Acknowledged = { label, ingestId, sha256: sha256(bytes), end }
        history.acknowledged.push(acknowledged)
        return acknowledged
      }
      const mayRepeat = answer === null || answer.status >= 500 || [408, 409, 429].includes(answer.status)
      if (!mayRepeat) {
        if (end === 'committed')
          history.contradictions.push(`${label} was refused: ${answer.status} ${JSON.stringify(answer.body)}`)
        return null
      }
      // Without a key nobody knows whether it was taken: a client that must not double it stops here.
      if (!isKeyed && answer === null) break
      await pause(100 + random() * 200 * Math.min(attempt + 1, 5))
    }
    history.gaveUp += 1
    return null
  }

  async function change(): Promise<void> {
    const path = `/v1/products/${product()}/images`
    const list = await send('GET', path).catch(() => pause(200).then(() => send('GET', path)))
    const images = ((list.body['images'] ?? []) as { id: string }[]).map(({ id }) => id)
    if (list.status !== 200 || images.length < 2) return
    const act = pick(['reorder', 'main', 'remove'] as const)
    const json = (body: object) => ({ body: JSON.stringify(body), headers: { 'content-type': 'application/json' } })
    if (act === 'reorder') {
      const { body, headers } = json({ images: images.toSorted(() => random() - 0.5) })
      await send('PUT', `${path}/order`, { body, headers: { ...headers, 'if-match': list.headers.get('etag') ?? '' } })
    } else if (act === 'main') {
      await send('PUT', path.replace(/images$/, 'main_image'), json({ image_id: pick(images) }))
    } else {
      const id = pick(images)
      history.maybeRemoved.add(id)
      const { status } = await send('DELETE', `${path}/${id}`)
      if (status === 204) history.removed.add(id)
    }
  }

  /** Says that it brings more than it does, and is gone. */
  async function leaveMidBody(): Promise<void> {
    const { hostname, port } = new URL(pick(urls))
    const bytes = pick(pictures)
    const socket = connect(Number(port), hostname).on('error', () => undefined)
    const head = `POST /v1/products/${product()}/images HTTP/1.1\r\nhost: x\r\nauthorization: Bearer ${token}\r\ncontent-type: image/jpeg\r\ncontent-length: ${bytes.length}\r\n\r\n`
    socket.write(Buffer.concat([Buffer.from(head), bytes.subarray(0, Math.floor(bytes.length * random()))]))
    await pause(50 + random() * 100)
    socket.destroy()
    history.goneMidBody += 1
  }

  async function client(): Promise<void> {
    while (!over.signal.aborted) {
      const draw = random()
      const act = draw < 0.04 ? leaveMidBody() : draw < 0.3 ? change() : draw < 0.33 ? upload('rejected') : upload('committed')
      // Changes are not repeated: whether they were made is seen by the next reader.
      await act.catch(() => undefined)
    }
  }

  return {
    history,
    productIds,
    authorization: `Bearer ${token}`,
    uploadFresh: () => upload('committed', 'fresh'),
    tryFresh: () => upload('committed', 'fresh', 0),
    async crowd(times) {
      await Promise.all(Array.from({ length: times }, () => upload('committed', 'crowded')))
    },
    start: () => void (running = Promise.all(Array.from({ length: clients }, client))),
    async stop() {
      over.abort()
      await running
    },
    async burst(times) {
      const label = `burst-${(history.sent += 1)}`
      history.keyed.add(label)
      const bytes = unique(pick(pictures), label)
      const { path, init } = request(product(), bytes, label, 'raw', false)
      const headers = { ...(init.headers as Record<string, string>), 'idempotency-key': `key-${label}` }
      const once = () => send('POST', path, { ...init, headers }).catch(() => null)
      const ids = new Set<string>()
      const deadline = Date.now() + PATIENCE_MS
      // All of them each time: where everybody was dead the first time, nothing met anything.
      while (ids.size === 0 && Date.now() < deadline) {
        const answers = await Promise.all(Array.from({ length: times }, once))
        for (const answer of answers) {
          const id = answer && promisedBy(answer)
          if (id) ids.add(id)
        }
        if (ids.size === 0) await pause(500)
      }
      if (ids.size > 1) history.contradictions.push(`one key was promised ${ids.size} ingests at once`)
      for (const ingestId of ids) history.acknowledged.push({ label, ingestId, sha256: sha256(bytes), end: 'committed' })
    },
  }
}

interface Answer {
  readonly status: number
  readonly headers: Headers
  readonly body: Readonly<Record<string, unknown>>
}

/** 202, or a problem that names the ingest which has ended as it. */
function promisedBy({ status, body }: Answer): string | null {
  if (status === 202) return String(body['id'])
  const told = body['ingest'] ?? (body['details'] as Record<string, unknown> | undefined)?.['ingest']
  return typeof told === 'string' ? (told.split('/').at(-1) ?? null) : null
}

type Send = (method: string, path: string, init: RequestInit) => Promise<Answer>

async function makeProducts(send: Send, count: number): Promise<string[]> {
  const ids: string[] = []
  for (let number = 1; number <= count; number++) {
    const sku = `faults-${number}`
    const init = { body: JSON.stringify({ sku }), headers: { 'content-type': 'application/json' } }
    for (let attempt = 1; ; attempt++) {
      const made = await send('POST', '/v1/products', init).catch(() => null)
      const found = made?.status === 409 ? await send('GET', `/v1/products/sku:${sku}`, {}).catch(() => null) : made
      if (typeof found?.body['id'] === 'string') {
        ids.push(found.body['id'])
        break
      }
      if (attempt === 150) throw new Error(`No product can be made: ${JSON.stringify(made)}`)
      await pause(200)
    }
  }
  return ids
}

function request(productId: string, bytes: Buffer, label: string, form: 'multipart' | 'base64' | 'raw', main: boolean) {
  const path = `/v1/products/${productId}/images`
  const type = bytes[0] === 0xff ? 'image/jpeg' : 'image/png'
  if (form === 'multipart') {
    const body = new FormData()
    body.set('label', label)
    if (main) body.set('main', 'true')
    body.set('file', new Blob([Uint8Array.from(bytes)], { type }), 'photo.jpg')
    return { path, init: { body } satisfies RequestInit as RequestInit }
  }
  if (form === 'base64') {
    const body = { label, ...(main ? { main } : {}), file: { base64: bytes.toString('base64'), media_type: type } }
    return { path, init: { body: JSON.stringify(body), headers: { 'content-type': 'application/json' } } as RequestInit }
  }
  const query = new URLSearchParams({ label, ...(main ? { main: 'true' } : {}) })
  return {
    path: `${path}?${query.toString()}`,
    init: { body: Uint8Array.from(bytes), headers: { 'content-type': type } } as RequestInit,
  }
}

async function drawPictures(): Promise<Buffer[]> {
  const size = { width: 240, height: 160 }
  const jpegs = Array.from({ length: 8 }, (_, seed) => drawSample({ seed, format: 'jpeg', ...size }))
  return Promise.all(jpegs)
}

/** The same picture in bytes that nobody has sent before: with a comment behind its first marker (ITU T.81, B.2.4.5). */
function unique(jpeg: Buffer, text: string): Buffer {
  const comment = Buffer.from(`${text} ${crypto.randomUUID()}`)
  const head = Buffer.from([0xff, 0xfe, 0, comment.length + 2])
  return Buffer.concat([jpeg.subarray(0, 2), head, comment, jpeg.subarray(2)])
}

function truncated(jpeg: Buffer): Buffer {
  return jpeg.subarray(0, Math.floor(jpeg.length * 0.6))
}

function parse(text: string): Record<string, unknown> {
  try {
    return JSON.parse(text) as Record<string, unknown>
  } catch {
    return { text }
  }
}
