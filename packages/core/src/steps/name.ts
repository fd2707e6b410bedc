import { DEFAULT_NAME, nameStem } from '../naming.ts'
import type { StepOutcome, Work } from '../pipeline.ts'
import type { World } from '../ports.ts'

/** The stem of the name. Its number is given inside the commit, under the product's lock: `image`, `image_2`, … */
export async function name({ ingest }: Work, world: World): Promise<StepOutcome> {
  if (!ingest.target) return { kind: 'skipped', because: 'the file is kept without a product' }
  if (ingest.target.kind === 'replace') return { kind: 'skipped', because: 'the image keeps its name' }
  const given = ingest.target.placement.name
  return { kind: 'done', found: { stem: given === null ? DEFAULT_NAME : nameStem(given, world.limits) } }
}
