/** A plan in a file: what the server would do, and where the bytes are that it needs for it. */
import { createReadStream } from 'node:fs'
import { createInterface } from 'node:readline'
import { type Api, itemsOf } from './api.ts'
import { EXIT, CommandError } from './command-error.ts'
import { count, countOf } from './progress.ts'
import { type FaultNotes, joinRows, writeLines } from './import-report.ts'
import { type LocalBytes, type LocalRow, parseJson, type RowFault } from './import-row.ts'
import { type Counts, importPath, type ImportView, reasonOfRow, type RowView } from './import-views.ts'
import { printTable, say } from './print.ts'

interface PlanHead {
  /** The form of the file. */
  readonly sluice_plan: 1
  readonly import: string
  readonly plan_hash: string
  readonly url: string
  readonly name: string
  readonly created_at: string
  readonly counts: Counts
}

/** A line of the file after its head. */
export type PlanLine = RowView & { readonly file?: string; readonly bytes?: LocalBytes; readonly found_here?: RowFault }

/** Rows that a person reads before opening the file. */
const ROWS_SHOWN = 20

export async function writePlan(
  api: Api,
  planned: ImportView & { readonly plan_hash: string },
  path: string,
  locals: AsyncIterable<LocalRow>,
  notes: FaultNotes,
): Promise<void> {
  const { id, name, plan_hash, counts, created_at } = planned
  const head: PlanHead = { sluice_plan: 1, import: id, plan_hash, url: api.url, name, created_at, counts }
  const shown: string[][] = []
  const lines = async function* () {
    yield `${JSON.stringify(head)}\n`
    for await (const { row, local } of joinRows(itemsOf<RowView>(api, `${importPath(id)}/plan?limit=100`), locals)) {
      const found = notes.get(row.line)
      const line: PlanLine = {
        ...(local ? { file: local.where } : {}),
        ...row,
        ...(found ? { found_here: found } : {}),
        ...(local?.bytes ? { bytes: local.bytes } : {}),
      }
      if (row.action !== 'skip' && shown.length < ROWS_SHOWN) shown.push(describeRow(line))
      yield `${JSON.stringify(line)}\n`
    }
  }
  await writeLines(path, lines())
  showPlan(planned, shown, path)
}

function describeRow({ file, line, action, state, product, changes, error, found_here: found }: PlanLine): string[] {
  const what = action ?? state
  const why = found ? `${found.field} ${found.message}` : error ? reasonOfRow({ error }) : changes.join(', ')
  return [file ?? (line > 0 ? `line ${line}` : ''), what, product ?? '', why]
}

function showPlan({ counts, plan_hash: hash }: ImportView, shown: string[][], path: string): void {
  const actions = Object.entries(counts.actions).filter(([, number]) => number > 0)
  const invalid: [string, number][] = counts.states.invalid > 0 ? [['invalid', counts.states.invalid]] : []
  printTable(
    ['action', 'rows'],
    [...actions, ...invalid].map(([action, number]) => [action, count(number)]),
  )
  say()
  if (shown.length > 0) {
    printTable(['row', 'action', 'product', 'what and why'], shown)
    const rest =
      [...actions, ...invalid].reduce((sum, [action, number]) => (action === 'skip' ? sum : sum + number), 0) - shown.length
    if (rest > 0) say(`… and ${countOf(rest, 'more row')} in the file.`)
    say()
  }
  say(`Nothing was changed. The plan is in ${path}, its hash is ${hash ?? ''}.`)
  say(`To do it:  sluice import apply ${path}`)
}

export interface PlanFile {
  readonly head: PlanHead
  rows(): AsyncIterable<PlanLine>
}

export async function openPlan(path: string): Promise<PlanFile> {
  for await (const { value } of linesOf(path)) {
    if (isHead(value)) return { head: value, rows: () => rowsOf(path) }
    break
  }
  throw new CommandError(EXIT.usage, `${path}:1 is not the head of a plan that "sluice import --plan" has written.`)
}

async function* rowsOf(path: string): AsyncGenerator<PlanLine> {
  for await (const { line, value } of linesOf(path)) {
    if (line === 1) continue
    if (!isLine(value)) throw new CommandError(EXIT.usage, `${path}:${line} is not a line of a plan.`)
    yield value
  }
}

async function* linesOf(path: string): AsyncGenerator<{ line: number; value: unknown }> {
  const file = createReadStream(path)
  let line = 0
  try {
    for await (const text of createInterface({ input: file, crlfDelay: Infinity })) yield { line: ++line, value: parseJson(text) }
  } catch (error) {
    throw error instanceof Error && 'syscall' in error ? new CommandError(EXIT.usage, `${path} cannot be read.`, error) : error
  } finally {
    file.destroy()
  }
}

function isHead(value: unknown): value is PlanHead {
  return (
    typeof value === 'object' &&
    value !== null &&
    'sluice_plan' in value &&
    value.sluice_plan === 1 &&
    ['import', 'plan_hash', 'url'].every((name) => typeof (value as Record<string, unknown>)[name] === 'string')
  )
}

function isLine(value: unknown): value is PlanLine {
  return typeof value === 'object' && value !== null && 'line' in value && typeof value.line === 'number'
}
