import { failpoint } from '../failpoint.ts'
import type { FileId, ImageId } from '../ids.ts'
import type { StepOutcome, Work } from '../pipeline.ts'
import type { Commit, World } from '../ports.ts'
import { stagedBytes } from './staged-bytes.ts'

/** One transaction makes it true: file, image, name, position, roles, version, state. Twice is once. */
export async function commit(work: Work, world: World): Promise<StepOutcome> {
  const { ingest, timeline } = work
  const own = {
    at: world.now(),
    step: 'commit',
    attempt: ingest.attempts,
    outcome: 'done',
    durationMs: null,
    detail: null,
  } as const
  const state = await world.database.ingests.commit(
    {
      ingestId: ingest.id,
      attempt: ingest.attempts,
      since: ingest.updatedAt,
      file: fileOf(work, world),
      image: imageOf(work, world),
      timeline: [...timeline, own],
    },
    world.limits,
  )
  failpoint('w-after-commit')
  return { kind: 'done', found: { state } }
}

function fileOf(work: Work, world: World): Commit['file'] {
  const { file, facts } = work
  if (file) return { kind: 'existing', id: file.id }
  if (!facts) throw new Error('commit ran before the facts were known')
  const { fileName, reusesFile } = stagedBytes(work)
  return { kind: 'new', id: world.newId() as FileId, name: fileName, facts, reuses: reusesFile }
}

function imageOf({ ingest, stem }: Work, world: World): Commit['image'] {
  if (!ingest.target) return null
  if (ingest.target.kind === 'replace') return { kind: 'replace', id: ingest.target.imageId, change: ingest.target.change }
  if (stem === undefined) throw new Error('commit ran before the name was chosen')
  return { kind: 'attach', id: world.newId() as ImageId, stem, placement: ingest.target.placement }
}
