import { setTimeout as sleep } from 'node:timers/promises'
import { type Api, itemsOf } from './api.ts'
import { count, type Progress } from './progress.ts'
import type { FaultNotes } from './import-report.ts'
import { importPath, type ImportView, reasonOfRow, type RowView, settledOf } from './import-views.ts'

/** Counting the rows of a large import costs its server something. */
const POLL_MS_MIN = 500
const POLL_MS_MAX = 3_000
/** Errors are shown as they come while there are few enough to be read; the report has them all. */
export const ERRORS_SHOWN = 100

/** How a row is called here: by its place in what was given, or by its line alone. */
export type NameRows = (lines: ReadonlySet<number>) => Promise<ReadonlyMap<number, string>>

export const byLine: NameRows = async (lines) => new Map([...lines].map((line) => [line, `line ${line}`]))

interface Following {
  readonly progress: Progress
  readonly nameRows: NameRows
  /** Of rows whose faults were told already. */
  readonly notes?: FaultNotes
}

/** Until it is over, or until all that is left waits for products. */
export async function followImport(api: Api, id: string, following: Following): Promise<ImportView> {
  const { progress } = following
  const shown = new Set<number>()
  let title = ''
  let failed = 0
  let waitingSince: number | null = null
  for (;;) {
    const seen: ImportView = await api.call('GET', importPath(id))
    if (title !== TITLES[seen.state]) {
      title = TITLES[seen.state]
      progress.begin(title, seen.counts.total, doneOf(seen))
    }
    progress.update(doneOf(seen), textOf(seen))
    if (seen.counts.states.failed > failed && shown.size < ERRORS_SHOWN && seen.state !== 'undoing') {
      failed = seen.counts.states.failed
      await showFailures(api, id, shown, following)
    }
    waitingSince = isWaiting(seen) ? (waitingSince ?? performance.now()) : null
    if (isOver(seen) || (waitingSince !== null && performance.now() - waitingSince > LOOKS_MS)) {
      progress.end()
      return seen
    }
    await sleep(Math.min(POLL_MS_MIN + seen.counts.total / 50, POLL_MS_MAX), undefined, { signal: api.signal })
  }
}

const TITLES: Readonly<Record<ImportView['state'], string>> = {
  open: 'Waiting',
  planned: 'Waiting',
  applying: 'Applying',
  stopping: 'Stopping',
  stopped: 'Stopped',
  finished: 'Applying',
  undoing: 'Undoing',
  undone: 'Undoing',
}

function isOver({ state }: ImportView): boolean {
  return state === 'finished' || state === 'stopped' || state === 'undone'
}

/** How long the server may take to see that a product is there which rows wait for. */
const LOOKS_MS = 3_000

function isWaiting({ state, counts: { states } }: ImportView): boolean {
  return state === 'applying' && states.parked > 0 && states.pending + states.running === 0
}

function doneOf({ counts, state, undo }: ImportView): number {
  if ((state === 'undoing' || state === 'undone') && undo) {
    const { open, ...over } = undo
    const products = Object.values(over).reduce((sum, number) => sum + number, 0)
    return open + products === 0 ? counts.total : Math.round((counts.total * products) / (open + products))
  }
  return settledOf(counts)
}

function textOf({ counts: { states } }: ImportView): string {
  const parts = (['running', 'parked', 'failed', 'invalid'] as const).filter((state) => states[state] > 0)
  return parts.map((state) => `${count(states[state])} ${state}`).join(', ')
}

async function showFailures(api: Api, id: string, shown: Set<number>, { progress, nameRows, notes }: Following): Promise<void> {
  const rows: RowView[] = []
  for await (const row of itemsOf<RowView>(api, `${importPath(id)}/rows?state=failed&limit=100`)) {
    if (!shown.has(row.line) && !notes?.get(row.line)) rows.push(row)
    if (shown.size + rows.length >= ERRORS_SHOWN) break
  }
  const names = await nameRows(new Set(rows.map(({ line }) => line)))
  for (const row of rows) {
    shown.add(row.line)
    progress.note(`${names.get(row.line) ?? `line ${row.line}`}: ${row.product ?? ''} ${reasonOfRow(row)}`)
  }
  if (shown.size >= ERRORS_SHOWN) progress.note(`More errors are not shown; --report <file> has all of them.`)
}
