import { isOutage, isRefusal, type Problem, SluiceError } from './errors.ts'
import type { Facts, File } from './file.ts'
import { failpoint } from './failpoint.ts'
import {
  type Ingest,
  isTerminal,
  type IngestState,
  type Postponed,
  stagedKeysOf,
  type StagedSource,
  type TimelineEntry,
} from './ingest.ts'
import type { IngestJob, Inspection, JobOutcome, LocalCopy, World } from './ports.ts'
import { outageWaitMs, retryWaitMs, sourceWaitMs } from './retry.ts'
import { commit } from './steps/commit.ts'
import { extract } from './steps/extract.ts'
import { fetch } from './steps/fetch.ts'
import { name } from './steps/name.ts'
import { store } from './steps/store.ts'
import { validate } from './steps/validate.ts'

/** The order of work. To see the pipeline, read this line; to change it, change this line. */
export const PIPELINE = [fetch, validate, store, extract, name, commit] as const satisfies readonly Step[]

/**
 * One verb of the pipeline; its function name is the step's name in timelines, logs and metrics. It answers what it found,
 * or why there was nothing to do. A SluiceError below 500 is the image's fault or the request's and ends the ingest as
 * rejected; any other error is ours or the network's, and the ingest is tried again.
 */
export type Step = (work: Work, world: World, signal: AbortSignal) => Promise<StepOutcome>

export type StepOutcome =
  | { readonly kind: 'done'; readonly found?: Partial<Findings>; readonly note?: string }
  | { readonly kind: 'skipped'; readonly found?: Partial<Findings>; readonly because: string }

/** Thrown by a step whose turn has not come: the job is to come again, as if this run had never been. */
export class NotYet extends Error {
  override readonly name = 'NotYet'
  readonly waitMs: number

  constructor(waitMs: number, because: string) {
    super(because)
    this.waitMs = waitMs
  }
}

/** What the steps of one run have found so far. */
export interface Findings {
  /** Where the bytes are that did not come with the request. */
  readonly staged: StagedSource
  /** The staged bytes, within reach of the decoder. */
  readonly copy: LocalCopy
  readonly inspection: Inspection
  readonly facts: Facts
  /** The file that the request referred to. */
  readonly file: File
  /** The name before its number. */
  readonly stem: string
  readonly state: IngestState
}

export interface Work extends Partial<Findings> {
  readonly ingest: Ingest
  readonly timeline: readonly TimelineEntry[]
}

/**
 * Runs the pipeline for one job. Whatever happens, the outcome is in the database before this resolves; if the database
 * cannot be reached, the job comes again.
 */
export async function processIngest(world: World, job: IngestJob, signal: AbortSignal): Promise<JobOutcome> {
  const run: Run = { world, job, stopping: signal, timeline: [], copy: null, staged: [] }
  try {
    const ingest = await world.database.ingests.start(job.ingestId, job.epoch)
    if (!ingest) return { kind: 'done', note: 'nothing to do: the ingest is over, or queued anew' }
    failpoint('w-start')
    return await runToTheEnd(run, ingest)
  } catch (error) {
    return postpone(run, outageWaitMs(world), error)
  }
}

/** What belongs to one run: its notes, and what must be given back at its end. */
interface Run {
  readonly world: World
  readonly job: IngestJob
  readonly stopping: AbortSignal
  readonly timeline: TimelineEntry[]
  copy: LocalCopy | null
  /** What the ingest has in staging. */
  staged: readonly string[]
}

async function runToTheEnd(run: Run, ingest: Ingest): Promise<JobOutcome> {
  run.staged = stagedKeysOf(ingest)
  if (ingest.attempts > run.world.limits.attemptsMax) return await giveUp(run, ingest, null)
  try {
    const state = await runSteps(run, ingest)
    return await finish(run, ingest, state, null)
  } catch (error) {
    return await settle(run, ingest, error)
  } finally {
    await run.copy?.[Symbol.asyncDispose]()
  }
}

async function runSteps(run: Run, ingest: Ingest): Promise<IngestState> {
  const { world, timeline } = run
  const signal = AbortSignal.any([run.stopping, AbortSignal.timeout(world.limits.ingestMsMax)])
  const work: Work = { ingest, timeline }
  for (const step of PIPELINE) {
    signal.throwIfAborted()
    const outcome = await noted(run, ingest, step.name, () => step(work, world, signal))
    Object.assign(work, outcome.found)
    run.copy = work.copy ?? null
    run.staged = stagedKeysOf({ ...ingest, fetched: work.staged ?? ingest.fetched })
  }
  return work.state ?? ingest.state
}

/** Runs one step and writes it into the timeline, however it ends. */
async function noted(run: Run, ingest: Ingest, step: string, act: () => Promise<StepOutcome>): Promise<StepOutcome> {
  const { world, timeline } = run
  const at = world.now()
  const note = (outcome: TimelineEntry['outcome'], detail: string | null) => {
    const durationMs = world.now().getTime() - at.getTime()
    timeline.push({ at, step, attempt: ingest.attempts, outcome, durationMs, detail })
    world.observer.observe({ kind: 'ingest.step_ended', ingestId: ingest.id, step, outcome, durationMs })
  }
  try {
    const outcome = await act()
    note(outcome.kind, outcome.kind === 'done' ? (outcome.note ?? null) : outcome.because)
    return outcome
  } catch (error) {
    if (error instanceof NotYet) throw error
    note(isRefusal(error) ? 'rejected' : 'retried', problemOf(error).detail)
    throw error
  }
}

/** Decides what an error means for the ingest. Only the first case is an end by the image's own fault. */
async function settle(run: Run, ingest: Ingest, error: unknown): Promise<JobOutcome> {
  const { world, timeline } = run
  if (error instanceof NotYet) return putBack(run, ingest, error)
  if (isRefusal(error)) return end(run, ingest, 'rejected', problemOf(error))
  const interrupted = run.stopping.aborted
  if (!interrupted && !isOutage(error) && ingest.attempts >= world.limits.attemptsMax) return giveUp(run, ingest, error)

  const forgiveAttempt = interrupted || isOutage(error)
  const waitMs = interrupted ? 0 : waitMsAfter(error, ingest, world)
  const postponed = { because: interrupted ? 'shutdown' : becauseOf(error), waitMs } as const
  await world.database.ingests.release(ingest.id, { forgiveAttempt, problem: problemOf(error), timeline, postponed })
  return postpone(run, waitMs, error)
}

function becauseOf(error: unknown): Postponed['because'] {
  if (isOutage(error)) return 'outage'
  return SluiceError.is(error, 'source_unavailable') ? 'source' : 'error'
}

function waitMsAfter(error: unknown, { attempts }: Ingest, world: World): number {
  if (isOutage(error)) return outageWaitMs(world)
  if (SluiceError.is(error, 'source_unavailable')) return sourceWaitMs(world, attempts, error.details['retryAfterMs'])
  return retryWaitMs(world, attempts)
}

async function putBack({ world }: Run, { id }: Ingest, { waitMs, message }: NotYet): Promise<JobOutcome> {
  await world.database.ingests.putBack(id, { because: 'turn', waitMs })
  return { kind: 'again', waitMs, note: message }
}

async function giveUp(run: Run, ingest: Ingest, error: unknown): Promise<JobOutcome> {
  const last = error === null ? 'The worker died each time.' : `The last error was: ${problemOf(error).detail}`
  const problem: Problem = {
    code: 'attempts_exhausted',
    detail: `Given up after ${run.world.limits.attemptsMax} attempts. ${last}`,
    ...(error !== null && { details: { step: run.timeline.at(-1)?.step ?? null, cause: problemOf(error).code } }),
  }
  return end(run, ingest, 'failed', problem, error)
}

/** Of two runs of one ingest only the first may say how it ended, and with that whether its bytes are still needed. */
async function end(
  run: Run,
  ingest: Ingest,
  state: 'rejected' | 'failed',
  problem: Problem,
  cause?: unknown,
): Promise<JobOutcome> {
  const isOurs = await run.world.database.ingests.end(ingest.id, state, problem, run.timeline)
  return isOurs ? finish(run, ingest, state, problem, cause) : { kind: 'done', note: 'nothing to do: another run has ended it' }
}

/** The ingest is over: its staged bytes are not needed any more, unless it may be replayed. What was fetched can be fetched again. */
async function finish(
  run: Run,
  ingest: Ingest,
  state: IngestState,
  problem: Problem | null,
  cause?: unknown,
): Promise<JobOutcome> {
  const { world, staged } = run
  const mayBeReplayed = state === 'failed' && ingest.source.kind !== 'url'
  const unneeded = isTerminal(state) && !mayBeReplayed ? staged : []
  for (const key of unneeded) await world.objects.unstage(key).catch(() => undefined) // The sweeper removes what stays.
  const totalMs = world.now().getTime() - ingest.createdAt.getTime()
  world.observer.observe({ kind: 'ingest.ended', ingestId: ingest.id, state, code: problem?.code ?? null, totalMs, cause })
  failpoint('w-before-ack')
  if (state === 'failed') return { kind: 'failed', note: `${problem?.code ?? state}: ${problem?.detail ?? ''}` }
  return { kind: 'done', note: problem ? `${state}: ${problem.code}` : state }
}

function postpone(run: Run, waitMs: number, cause: unknown): JobOutcome {
  run.world.observer.observe({ kind: 'ingest.postponed', ingestId: run.job.ingestId, waitMs, cause })
  return { kind: 'again', waitMs, note: problemOf(cause).detail }
}

/** What may be told of an error. The text of one that is not ours stays in the log. */
function problemOf(error: unknown): Problem {
  if (!SluiceError.is(error)) return { code: 'internal_error', detail: 'An unexpected error; the log has the details.' }
  return { code: error.code, detail: error.message, details: error.details }
}
