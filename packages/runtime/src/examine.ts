import {
  examine,
  type ExamineOptions,
  type Examination,
  FINDING_KINDS,
  mend,
  type Mending,
  type MendOptions,
  type Tally,
  type Wait,
  whyWaiting,
} from '@sluice/core'
import { armFaults, loadConfig } from './env.ts'
import { createObserver } from './observer.ts'
import { withDatabaseUrl } from './with-database.ts'
import { openIngestQueue, openParts, workerWorld } from './world.ts'

export interface ExaminationRequest extends Omit<ExamineOptions, 'onProgress' | 'pause'>, Pick<MendOptions, 'force'> {
  readonly repairs: boolean
  readonly progress: (title: string, done: number, total: number) => void
}

export interface ExaminationReport {
  readonly examination: Examination
  /** Null in a dry run. */
  readonly mending: Mending | null
  readonly left: Tally
  readonly whyStuck: (ingest: Examination['stuck'][number]) => Wait | null
}

const NOTHING = Object.fromEntries(FINDING_KINDS.map((kind) => [kind, 0])) as Tally

/** On whatever the configuration names, beside whoever runs on it. What was found and mended is kept for the metrics of all services. */
export async function runExamination(request: ExaminationRequest): Promise<ExaminationReport> {
  const config = loadConfig()
  armFaults()
  const observability = createObserver({ level: config.logLevel ?? 'fatal', destination: process.stderr })
  return withDatabaseUrl(async (databaseUrl) => {
    await using parts = await openParts(config, observability, databaseUrl, 'sluice-doctor')
    await using queue = await openIngestQueue({ config, observability, databaseUrl })
    const world = workerWorld(parts, queue)
    const total = await world.database.blobs.count()
    const { graceMs, limit, force, repairs, progress } = request
    const examination = await examine(world, { graceMs, limit, onProgress: (done) => progress('Looking', done, total) })
    const onMended = (done: number) => progress('Mending', done, examination.findings.length)
    const mending = repairs ? await mend(world, examination, { graceMs, force, onProgress: onMended }) : null
    const mended = mending?.mended ?? NOTHING
    const left = Object.fromEntries(FINDING_KINDS.map((kind) => [kind, examination.found[kind] - mended[kind]])) as Tally
    await world.database.examinations.record(left, mended)
    return { examination, mending, left, whyStuck: (ingest) => whyWaiting(ingest, examination.at, config.limits) }
  })
}
