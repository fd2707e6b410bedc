import { createHash } from 'node:crypto'
import { createReadStream, createWriteStream } from 'node:fs'
import { mkdtemp, rm, stat } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { basename, dirname, extname, join, resolve } from 'node:path'
import { pipeline } from 'node:stream/promises'
import { EXIT, CommandError } from './command-error.ts'
import { readFolder } from './import-folder.ts'
import { type ManifestFormat, readManifest } from './import-manifest.ts'
import type { NamePattern } from './import-pattern.ts'
import type { LocalRow } from './import-row.ts'

/** Where rows come from. */
export interface RowSource extends AsyncDisposable {
  readonly name: string
  /** From the first one, as often as needed. */
  rows(onOther?: (relativePath: string) => void): AsyncIterable<LocalRow>
}

export interface SourceOptions {
  readonly pattern: NamePattern
  /** Null: its name, or its first character, says it. */
  readonly format: ManifestFormat | null
  readonly signal: AbortSignal
}

/** A folder, a manifest, or `-` for a manifest that is piped in. */
export async function openSource(argument: string, options: SourceOptions): Promise<RowSource> {
  if (argument === '-') return openPiped(options)
  const path = resolve(argument)
  const found = await stat(path).catch((error: unknown) => {
    throw new CommandError(EXIT.usage, `${argument} cannot be read: there is no such folder or file.`, error)
  })
  if (found.isDirectory()) return folder(path, options.pattern)
  const format = options.format ?? FORMATS[extname(path).toLowerCase()]
  if (!format)
    throw new CommandError(EXIT.usage, `${argument} is neither a folder nor a .csv or .jsonl; --format says what else a file is.`)
  return manifestFile(path, basename(path), format, dirname(path))
}

const FORMATS: Readonly<Record<string, ManifestFormat>> = { '.csv': 'csv', '.jsonl': 'jsonl', '.ndjson': 'jsonl' }

function folder(path: string, pattern: NamePattern): RowSource {
  return {
    name: basename(path),
    rows: (onOther) => readFolder({ path, pattern, ...(onOther ? { onOther } : {}) }),
    [Symbol.asyncDispose]: async () => undefined,
  }
}

function manifestFile(path: string, name: string, format: ManifestFormat, directory: string): RowSource {
  return {
    name,
    rows: () => readManifest(createReadStream(path), { name, format, resolve: (relative) => resolve(directory, relative) }),
    [Symbol.asyncDispose]: async () => undefined,
  }
}

/** What is piped in goes to a file first, since it is read more than once. Its paths are relative to the working directory. */
async function openPiped({ format, signal }: SourceOptions): Promise<RowSource> {
  await using stack = new AsyncDisposableStack()
  const directory = await mkdtemp(join(tmpdir(), 'sluice-import-'))
  stack.defer(() => rm(directory, { recursive: true, force: true }))
  const path = join(directory, 'manifest')
  await pipeline(process.stdin, createWriteStream(path, { mode: 0o600 }), { signal })
  const source = manifestFile(path, 'stdin', format ?? (await formatOf(path)), process.cwd())
  const opened = stack.move()
  return { ...source, [Symbol.asyncDispose]: () => opened.disposeAsync() }
}

async function formatOf(path: string): Promise<ManifestFormat> {
  for await (const chunk of createReadStream(path, { encoding: 'utf8', end: 1023 }) as AsyncIterable<string>)
    return /^\uFEFF?\s*\{/.test(chunk) ? 'jsonl' : 'csv'
  throw new CommandError(EXIT.usage, 'stdin was empty: pipe a manifest in.')
}

/** What is to be done, counted before any of it is done. */
export interface Survey {
  readonly rows: number
  /** Of the files that are named by path. */
  readonly bytes: number
  /** Files of a folder whose names do not match the pattern. */
  readonly others: number
  /** Lines that no row could be made of. */
  readonly unreadable: number
  /** Two surveys with the same one would do the same: rows, and sizes and times of all files are equal. */
  readonly fingerprint: string
}

/** Reads everything but the files themselves. Throws where a manifest cannot be read to its end. */
export async function surveySource(source: RowSource, settings: object, onOther: (path: string) => void): Promise<Survey> {
  const hash = createHash('sha256').update(JSON.stringify(settings))
  const seen = { rows: 0, bytes: 0, others: 0, unreadable: 0 }
  const rows = source.rows((path) => {
    seen.others += 1
    onOther(path)
  })
  for await (const { line, fields, bytes, fault } of rows) {
    const file = bytes?.kind === 'path' ? await stat(bytes.path).catch(() => null) : null
    hash.update(JSON.stringify([line, fields, bytes, file && [file.size, file.mtimeMs], fault]))
    seen.rows += 1
    seen.bytes += file?.size ?? 0
    if (fault?.field === 'line') seen.unreadable += 1
  }
  return { ...seen, fingerprint: hash.digest('hex') }
}
