import { once } from 'node:events'
import { createWriteStream } from 'node:fs'
import { EXIT, CommandError, messageOf } from './command-error.ts'
import type { Api } from './api.ts'
import type { LocalRow, RowFault } from './import-row.ts'
import { importPath, type RowView } from './import-views.ts'

/** What was found here about rows, by their lines. */
export interface FaultNotes {
  note(line: number, fault: RowFault): void
  get(line: number): RowFault | undefined
}

/** So many are remembered; of what goes wrong more often than this, the server's reason tells enough. */
const NOTES_MAX = 10_000

export function openFaultNotes(): FaultNotes {
  const notes = new Map<number, RowFault>()
  return {
    note(line, fault) {
      if (notes.size < NOTES_MAX) notes.set(line, fault)
    },
    get: (line) => notes.get(line),
  }
}

/** The server's rows, each with the row here that it came from; both are in the order of their lines. Rows that a plan made have none. */
export async function* joinRows<Row extends { readonly line: number }>(
  rows: AsyncIterable<Row>,
  locals: AsyncIterable<LocalRow>,
): AsyncGenerator<{ readonly row: Row; readonly local: LocalRow | null }> {
  const iterator = locals[Symbol.asyncIterator]()
  try {
    let next = await iterator.next()
    for await (const row of rows) {
      while (!next.done && next.value.line < row.line) next = await iterator.next()
      yield { row, local: !next.done && next.value.line === row.line ? next.value : null }
    }
  } finally {
    await iterator.return?.()
  }
}

/** One line of JSON for each row: what the server tells of it, `file` as it is called here, and what was found here. */
export async function writeReport(
  api: Api,
  importId: string,
  path: string,
  locals: AsyncIterable<LocalRow>,
  notes: FaultNotes = openFaultNotes(),
): Promise<number> {
  let written = 0
  const rows = api.lines<RowView>(`${importPath(importId)}/report`)
  const lines = async function* () {
    for await (const { row, local } of joinRows(rows, locals)) {
      written += 1
      const found = notes.get(row.line)
      yield `${JSON.stringify({ ...(local ? { file: local.where } : {}), ...row, ...(found ? { found_here: found } : {}) })}\n`
    }
  }
  await writeLines(path, lines())
  return written
}

/** Keeps pace with the disk; throws where it cannot be written. */
export async function writeLines(path: string, lines: AsyncIterable<string>): Promise<void> {
  const file = createWriteStream(path)
  try {
    await once(file, 'open')
    for await (const line of lines) if (!file.write(line)) await once(file, 'drain')
    file.end()
    await once(file, 'close')
  } catch (error) {
    file.destroy()
    if (error instanceof Error && 'syscall' in error)
      throw new CommandError(EXIT.usage, `${path} cannot be written: ${messageOf(error)}.`, error)
    throw error
  }
}

export async function* noRows(): AsyncGenerator<LocalRow> {
  // There is nothing here to join with.
}
