/** Manifests as streams: rows of JSON Lines or CSV, one after the other, and never more than one of them in memory. */
import { pipeline, Readable } from 'node:stream'
import { CsvError, parse } from 'csv-parse'
import { humanBytes, type Limits, SluiceError } from '@sluice/core'
import { parseJson } from '../bodies/json-envelope.ts'

/** A row as it was written, or why it cannot be read; that concerns this row alone. */
export type Line =
  | { readonly line: number; readonly value: unknown }
  | { readonly line: number; readonly fault: { readonly field: string; readonly message: string } }

type Bounds = Pick<Limits, 'importRowBytesMax'>

const NEWLINE = 0x0a

/** Empty lines count, and are no rows. */
export async function* jsonLines(bytes: AsyncIterable<Buffer>, firstLine: number, bounds: Bounds): AsyncGenerator<Line> {
  let line = firstLine
  for await (const text of splitLines(bytes, bounds.importRowBytesMax)) {
    if (text === null) yield { line, fault: { field: 'row', message: tooLong(bounds) } }
    else if (!isBlank(text)) yield readJson(text, line)
    line += 1
  }
}

function readJson(text: Buffer, line: number): Line {
  try {
    return { line, value: parseJson(text) }
  } catch (error) {
    if (!SluiceError.is(error)) throw error
    return { line, fault: { field: 'row', message: `is not valid JSON: ${error.message}` } }
  }
}

function isBlank(text: Buffer): boolean {
  return text.every((byte) => byte === 0x20 || byte === 0x09 || byte === 0x0d)
}

const tooLong = ({ importRowBytesMax }: Bounds) =>
  `must not be longer than ${humanBytes(importRowBytesMax)}; upload the file by itself first`

/** Null for a line that is too long; what of it came is dropped. The end of the last line may be missing. */
async function* splitLines(bytes: AsyncIterable<Buffer>, bytesMax: number): AsyncGenerator<Buffer | null> {
  let parts: Buffer[] = []
  let length = 0
  const take = () => {
    const line = length > bytesMax ? null : Buffer.concat(parts)
    parts = []
    length = 0
    return line
  }
  for await (const chunk of bytes) {
    let start = 0
    for (let end = chunk.indexOf(NEWLINE); end !== -1; end = chunk.indexOf(NEWLINE, start)) {
      length += end - start
      parts.push(chunk.subarray(start, end))
      yield take()
      start = end + 1
    }
    length += chunk.length - start
    if (length <= bytesMax) parts.push(chunk.subarray(start))
    else parts = []
  }
  if (length > 0) yield take()
}

/** Records under a header, RFC 4180 with any line ending. The line of a record is that on which it ends. Throws `csv_invalid` where nothing can be read on. */
export async function* csvLines(bytes: AsyncIterable<Buffer>, firstLine: number | null, bounds: Bounds): AsyncGenerator<Line> {
  const parser = parse({
    bom: true,
    columns: (header: string[]) => header.map((name) => name.trim()),
    info: true,
    max_record_size: bounds.importRowBytesMax,
    relax_column_count: true,
    skip_empty_lines: true,
  })
  let index = 0
  try {
    const records: AsyncIterable<CsvRecord> = pipeline(Readable.from(wellFormed(bytes)), parser, () => undefined)
    for await (const { record, info } of records) {
      const line = firstLine === null ? info.lines : firstLine + index
      index += 1
      if (info.error) yield { line, fault: { field: 'row', message: 'must have as many columns as the header' } }
      else yield { line, value: Object.fromEntries(Object.entries(record).filter(([, value]) => value !== '')) }
    }
  } catch (cause) {
    if (!(cause instanceof CsvError)) throw cause
    throw new SluiceError('csv_invalid', `${cause.message}.`, { cause })
  }
}

interface CsvRecord {
  readonly record: Readonly<Record<string, string>>
  readonly info: { readonly lines: number; readonly error?: unknown }
}

/** The parser would put replacement characters into SKUs. */
async function* wellFormed(bytes: AsyncIterable<Buffer>): AsyncGenerator<string> {
  const decoder = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true })
  try {
    for await (const chunk of bytes) yield decoder.decode(chunk, { stream: true })
    yield decoder.decode()
  } catch (cause) {
    if (!(cause instanceof TypeError)) throw cause
    throw new SluiceError('csv_invalid', 'The body is not UTF-8.', { cause })
  }
}
