import { createBullBoard } from '@bull-board/api'
import { BullMQAdapter } from '@bull-board/api/bullMQAdapter'
import { FastifyAdapter } from '@bull-board/fastify'
import { type IngestId, type IngestJob, SluiceError } from '@sluice/core'
import { Queue } from 'bullmq'
import type { FastifyPluginAsync, FastifyReply } from 'fastify'
import type { OnError, Producer } from './backend.ts'
import { openBackend, type QueueConnection } from './connection.ts'
import { type Replay, retryByReplay } from './board-retry.ts'
import { keepProducer } from './producer.ts'
import { jobId, parseIngestJob, QUEUES } from './queues.ts'
import { TIMING } from './timing.ts'

export interface BoardOptions {
  readonly connection: QueueConnection
  /** Where the board is mounted, without a slash at its end. */
  readonly basePath: string
  /** Where an operator sees the ingest of a job. */
  readonly ingestUrl: (ingestId: IngestId) => string
  readonly replay: Replay
  readonly onError?: OnError
}

/**
 * Bull Board as a Fastify plugin: to look, retry, promote and clean. It shows ids, never content, and it trusts whoever reaches
 * it: the login stands before it. While the server is away it answers 503. It closes with the application.
 */
export function openBoard(options: BoardOptions): FastifyPluginAsync {
  const { connection, basePath, onError = () => undefined } = options
  return async (app) => {
    const producer = keepProducer(openBackend(connection, TIMING, onError), 'ingest', TIMING)
    const adapter = new FastifyAdapter().setBasePath(basePath)
    const { replaceQueues } = createBullBoard({ queues: [], serverAdapter: adapter, options: { uiConfig: UI } })
    let shown: Producer | null = null
    let shownBy: BullMQAdapter | null = null

    app.addHook('onRequest', async (_request, reply) => {
      try {
        const current = await producer.ask(async (producer) => producer)
        if (current === shown) return
        shownBy = adapt(current, options)
        replaceQueues([shownBy])
        shown = current
      } catch (error) {
        onError(error)
        await refuse(reply)
      }
    })
    retryByReplay(app, { basePath, adapter: () => shownBy, replay: options.replay })
    app.addHook('onClose', () => producer.close())
    await app.register(adapter.registerPlugin(), { prefix: basePath })
  }
}

/** The board's page of one job. */
export function jobPath(basePath: string, job: IngestJob): string {
  return `${basePath}/queue/ingest/${jobId(job)}`
}

const UI = { boardTitle: 'Sluice', hideDocsLink: true, sortQueues: true } as const

function adapt(producer: Producer, { basePath, ingestUrl }: BoardOptions): BullMQAdapter {
  if (!(producer instanceof Queue)) throw new SluiceError('internal_error')
  const { title, description } = QUEUES.ingest
  return new BullMQAdapter(producer, {
    displayName: title,
    description,
    externalJobUrl: (job) => {
      const payload = parseIngestJob(job.data)
      return payload ? { displayText: 'Ingest', href: ingestUrl(payload.ingestId) } : { displayText: 'Board', href: basePath }
    },
  })
}

/** In the shape that the board's pages show. */
function refuse(reply: FastifyReply): FastifyReply {
  return reply
    .code(503)
    .header('retry-after', '3')
    .send({ error: { key: 'ERRORS.INTERNAL_SERVER_ERROR' }, message: 'The queue is not available' })
}
