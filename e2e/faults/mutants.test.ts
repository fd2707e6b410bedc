import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { type Mutant, MUTANTS } from './mutants.ts'

const ROOT = join(import.meta.dirname, '../..')

/** A constraint that is not there is refused by the database. */
const PLACES = Object.entries<Mutant>(MUTANTS).flatMap(([name, mutant]) =>
  mutant.kind === 'source' ? mutant.edits.map(([from]) => ({ name, file: mutant.file, from })) : [],
)

test.for(PLACES)('the guard $name still stands where --break takes it away: $from', async ({ file, from }) => {
  const source = await readFile(join(ROOT, file), 'utf8')
  expect(source.split(from)).toHaveLength(2)
})
