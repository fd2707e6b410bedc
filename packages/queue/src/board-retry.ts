import type { BullMQAdapter } from '@bull-board/api/bullMQAdapter'
import { ERRORS, type IngestId, type Refusal } from '@sluice/core'
import type { Job } from 'bullmq'
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify'
import { parseIngestJob } from './queues.ts'

/** Has failed ingests tried again in the database, on behalf of whoever has sent the request. */
export type Replay = (request: FastifyRequest, ids: readonly IngestId[]) => Promise<{ readonly refused: readonly Refusal[] }>

/** Of the two routes; all others have none, or more. */
type Params = Partial<Record<'queueName' | 'jobId' | 'queueStatus', string>>

interface RetryOptions {
  readonly basePath: string
  readonly adapter: () => BullMQAdapter | null
  readonly replay: Replay
}

/** Jobs that "Retry all" looks at in one look. */
const PAGE_JOBS = 100

/**
 * The job of an ingest that has failed would find that there is nothing to do: what is tried again is the ingest, which gets another
 * job. So these two buttons of the board do not reach it.
 */
export function retryByReplay(app: FastifyInstance, options: RetryOptions): void {
  const { basePath } = options
  app.addHook('preHandler', async (request, reply) => {
    const adapter = options.adapter()
    if (!adapter || request.method !== 'PUT') return
    const { url } = request.routeOptions
    const isOne = url === `${basePath}/api/queues/:queueName/:jobId/retry`
    const isAll = url === `${basePath}/api/queues/:queueName/retry/:queueStatus`
    const { queueName, jobId = '', queueStatus: status } = request.params as Params
    if ((!isOne && !isAll) || queueName !== adapter.getName()) return
    const replay = (ids: readonly IngestId[]) => options.replay(request, ids)
    if (isOne) await retryOne(await adapter.getJob(jobId), replay, reply)
    else if (status === 'failed') await reply.send(await retryAll(adapter, replay))
    else await reply.code(400).send({ error: { key: 'ERRORS.STATUS_NOT_RETRIABLE', options: { status } } })
  })
}

type Replaying = (ids: readonly IngestId[]) => ReturnType<Replay>

/** That there is no such job is the board's to say. */
async function retryOne(job: Job | undefined, replay: Replaying, reply: FastifyReply): Promise<void> {
  if (!job) return
  const state = await job.getState()
  const [refusal] = state === 'failed' ? await retryFailed([job], replay) : [{ code: 'request_invalid', detail: null } as const]
  if (!refusal) return void (await reply.code(204).send())
  const { code, detail: message } = refusal
  await reply.code(ERRORS[code].status).send({ error: { key: 'ERRORS.JOB_NOT_RETRIABLE', options: { state } }, message })
}

/** The newest first. Those that stay failed are passed over, and none is looked at twice. */
async function retryAll(adapter: BullMQAdapter, replay: Replaying): Promise<{ retried: number; skipped: number }> {
  const total = (await adapter.getJobCounts()).failed ?? 0
  const seen = new Set<string>()
  let skipped = 0
  while (seen.size < total) {
    const page = await adapter.getJobs(['failed'], skipped, skipped + PAGE_JOBS - 1)
    const jobs = page.filter(({ id = '' }) => !seen.has(id))
    if (jobs.length === 0) break
    for (const { id = '' } of jobs) seen.add(id)
    skipped += (await retryFailed(jobs, replay)).length
  }
  return { retried: seen.size - skipped, skipped }
}

/** Answers why some stay failed. */
async function retryFailed(jobs: readonly Job[], replay: Replaying): Promise<readonly Refusal[]> {
  const payloads = new Map(jobs.map((job) => [job, parseIngestJob(job.data)]))
  const ids = [...payloads.values()].flatMap((payload) => (payload ? [payload.ingestId] : []))
  const { refused } = ids.length > 0 ? await replay(ids) : { refused: [] }
  const refusals = new Map(refused.map((refusal) => [refusal.id, refusal]))
  const left: Refusal[] = []
  for (const [job, payload] of payloads) {
    const refusal = payload ? refusals.get(payload.ingestId) : undefined
    // The ingest has not failed, only its job: run again, that asks the database whether there is something left to do.
    if (!payload || refusal?.code === 'ingest_not_replayable') await job.retry('failed')
    else if (refusal) left.push(refusal)
    // It may be gone already: a new job of the ingest removes it, too.
    else await job.remove().catch(() => undefined)
  }
  return left
}
