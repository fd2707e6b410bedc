import type { StagedSource } from '../ingest.ts'
import type { Work } from '../pipeline.ts'

/** The staged bytes of the work, whoever staged them: the request, or an earlier step. */
export function stagedBytes({ ingest: { source }, staged }: Work): StagedSource {
  if (staged) return staged
  if (source.kind === 'staged') return source
  throw new Error('the bytes were needed before they were there')
}
