/** What an import came to, as people and as scripts read it. */
import { EXIT, type ExitCode } from './command-error.ts'
import { count, countOf } from './progress.ts'
import { failuresOf, type ImportView } from './import-views.ts'
import { printTable, say } from './print.ts'

export function showImport({ id, name, state, mode, counts, undo, created_at, finished_at }: ImportView): void {
  const states = Object.entries(counts.states).filter(([, number]) => number > 0)
  printTable(['import', 'name', 'mode', 'state', 'created', 'finished'], [[id, name, mode, state, created_at, finished_at ?? '']])
  say()
  printTable(
    ['rows', 'number'],
    [...states, ['in all', counts.total] as const].map(([what, number]) => [what, count(number)]),
  )
  if (!undo || (state !== 'undoing' && state !== 'undone')) return
  say()
  printTable(
    ['products', 'number'],
    Object.entries(undo).map(([what, number]) => [what.replace('_', ' '), count(number)]),
  )
}

/** The last lines of a run, and how it ends. */
export function concludeImport(seen: ImportView): ExitCode {
  const { id, state, counts } = seen
  const { done, skipped, parked } = counts.states
  const failed = failuresOf(counts)
  const said = [`${count(done)} done`, `${count(skipped)} the same already`, `${count(failed)} failed`]
  if (parked > 0) said.push(`${count(parked)} waiting`)
  say(`${countOf(counts.total, 'row')}: ${said.join(', ')}.`)
  if (parked > 0 && state === 'applying')
    say(
      `${countOf(parked, 'row')} will go on when the products are there; it is not needed to stay. "sluice import status ${id}" tells.`,
    )
  if (state === 'stopped')
    say(`The import was stopped. The same command goes on with it; "sluice import undo ${id}" takes it back.`)
  else say(`To take it back:  sluice import undo ${id}`)
  return failed > 0 || state === 'stopped' ? EXIT.someFailed : EXIT.fine
}
