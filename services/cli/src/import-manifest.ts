import { Readable } from 'node:stream'
import { DEFAULT_LIMITS } from '@sluice/core'
import { CsvError, parse } from 'csv-parse'
import split from 'split2'
import { EXIT, CommandError } from './command-error.ts'
import { FIELDS, type LocalRow, parseJson, recordOfCsv, rowOf } from './import-row.ts'

export type ManifestFormat = 'csv' | 'jsonl'

/** A manifest as it comes from a disk or a pipe. */
export interface Manifest {
  /** As messages call it. */
  readonly name: string
  readonly format: ManifestFormat
  /** What relative paths are relative to. */
  readonly resolve: (path: string) => string
}

/** One row, its base64 in it: an image of the size that the API takes. */
const ROW_CHARACTERS_MAX = Math.ceil((DEFAULT_LIMITS.fileBytesMax * 4) / 3) + DEFAULT_LIMITS.envelopeBytesMax

/** The rows of a manifest while it streams in. Throws when it cannot be read on. */
export async function* readManifest(bytes: AsyncIterable<Uint8Array>, manifest: Manifest): AsyncGenerator<LocalRow> {
  const text = decode(bytes, manifest.name)
  yield* manifest.format === 'csv' ? readCsv(text, manifest) : readJsonLines(text, manifest)
}

/** Text that is not UTF-8 would arrive as labels that nobody can read, so it is refused. A byte order mark is left out. */
async function* decode(bytes: AsyncIterable<Uint8Array>, name: string): AsyncGenerator<string> {
  const decoder = new TextDecoder('utf-8', { fatal: true })
  let line = 1
  try {
    for await (const chunk of bytes) {
      const text = decoder.decode(chunk, { stream: true })
      yield text
      line += text.split('\n').length - 1
    }
    yield decoder.decode()
  } catch (error) {
    if (!(error instanceof TypeError)) throw error
    throw new CommandError(EXIT.usage, `${name}:${line} or a line soon after: the text is not UTF-8.`, error)
  }
}

async function* readCsv(text: AsyncGenerator<string>, { name, resolve }: Manifest): AsyncGenerator<LocalRow> {
  const { head, all } = await peekLine(withPlainBreaks(text))
  const parser = parse({
    columns: (header: string[]) => readHeader(header, name),
    delimiter: delimiterOf(head),
    info: true,
    skip_empty_lines: true,
    max_record_size: ROW_CHARACTERS_MAX,
  })
  const source = Readable.from(all)
  source.once('error', (error) => parser.destroy(error))
  source.pipe(parser)
  let line = 1
  try {
    for await (const { record, info } of parser as AsyncIterable<CsvRow>) {
      // What the parser counts is the line at which a record ends.
      const breaks = Object.values(record).reduce((count, cell) => count + cell.split('\n').length - 1, 0)
      line = Math.max(line + 1, info.lines - breaks)
      yield rowOf(recordOfCsv(record), { line, where: `${name}:${line}`, resolve })
    }
  } catch (error) {
    throw error instanceof CsvError ? csvFault(error, name, line) : error
  } finally {
    source.destroy()
  }
}

interface CsvRow {
  readonly record: Record<string, string>
  readonly info: { readonly lines: number }
}

/** Inside of quotes the parser counts a carriage return and its line feed as two lines, so there is only the line feed. */
async function* withPlainBreaks(text: AsyncGenerator<string>): AsyncGenerator<string> {
  let held = ''
  for await (const piece of text) {
    const all = held + piece
    held = all.endsWith('\r') ? '\r' : ''
    yield all.slice(0, all.length - held.length).replaceAll('\r\n', '\n')
  }
  yield held
}

/** The first line without its end, and everything again. */
async function peekLine(text: AsyncGenerator<string>): Promise<{ head: string; all: AsyncIterable<string> }> {
  let start = ''
  while (!start.includes('\n') && start.length < 65_536) {
    const { done, value } = await text.next()
    if (done) break
    start += value
  }
  const all = async function* () {
    yield start
    yield* text
  }
  return { head: start.split('\n', 1)[0] ?? '', all: all() }
}

/** Spreadsheets of many countries write semicolons. */
function delimiterOf(header: string): string {
  return [',', ';', '\t'].find((character) => header.includes(character)) ?? ','
}

function readHeader(header: readonly string[], name: string): string[] {
  const columns = header.map((column) => column.trim())
  const unknown = columns.find((column) => !FIELDS.some((field) => field === column))
  if (unknown !== undefined)
    throw new CommandError(EXIT.usage, `${name}:1: "${unknown}" is not one of the columns ${FIELDS.join(', ')}.`)
  const twice = columns.find((column, index) => columns.indexOf(column) !== index)
  if (twice !== undefined) throw new CommandError(EXIT.usage, `${name}:1: the column "${twice}" is there twice.`)
  if (!columns.includes('sku') && !columns.includes('product'))
    throw new CommandError(EXIT.usage, `${name}:1: a column "sku" or "product" must say whose image it is.`)
  return columns
}

function csvFault(error: CsvError, name: string, line: number): CommandError {
  const at = 'lines' in error && typeof error['lines'] === 'number' ? error['lines'] : line + 1
  return new CommandError(EXIT.usage, `${name}:${at}: ${error.message}.`, error)
}

async function* readJsonLines(text: AsyncGenerator<string>, { name, resolve }: Manifest): AsyncGenerator<LocalRow> {
  let line = 0
  const source = Readable.from(text)
  const lines = split(/\r?\n/, { maxLength: ROW_CHARACTERS_MAX })
  source.once('error', (error) => lines.destroy(error))
  source.pipe(lines)
  try {
    for await (const content of lines as AsyncIterable<string>) {
      line += 1
      if (content.trim() === '') continue
      const where = `${name}:${line}`
      const record = parseJson(content)
      yield isRecord(record) ? rowOf(record, { line, where, resolve }) : unreadable(line, where, content)
    }
  } catch (error) {
    if (!(error instanceof Error) || error.message !== 'maximum buffer reached') throw error
    throw new CommandError(EXIT.usage, `${name}:${line + 1}: the line is longer than ${ROW_CHARACTERS_MAX} characters.`, error)
  } finally {
    source.destroy()
  }
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

/** Nobody knows whose row it is. */
function unreadable(line: number, where: string, content: string): LocalRow {
  const shown = content.length > 60 ? `${content.slice(0, 60)}…` : content
  return { line, where, fields: {}, bytes: null, fault: { field: 'line', message: `is not a JSON object: ${shown}` } }
}
