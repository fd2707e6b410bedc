/** Rows of a manifest on their way into the database: read one by one, written in batches. */
import {
  type Caller,
  type FileId,
  type ImportId,
  type IntakeWorld,
  isRefusal,
  type NewRow,
  type ReadRow,
  readImportRow,
  type RowRules,
  type RowSource,
  type StagedUpload,
  stageUpload,
} from '@sluice/core'
import { Base64Decoder, STRICT_BASE64 } from '../bodies/base64.ts'
import type { Line } from './import-lines.ts'

export interface Received {
  received: number
  added: number
  invalid: number
  last_line: number | null
  readonly errors: { line: number; field: string; message: string }[]
}

/** A row with the bytes that were staged for it, which go when the row is not kept. */
interface Pending {
  readonly row: ReadRow
  readonly staged: StagedUpload | null
}

type Intake = Pick<IntakeWorld, 'database' | 'objects' | 'decoder' | 'limits' | 'newId' | 'policy' | 'fetcher'>

/** Throws `import_busy`, `import_rows_exceeded`, and what the lines throw; batches that were written before stay. */
export async function takeRows(
  world: Intake,
  { tenantId }: Pick<Caller, 'tenantId'>,
  id: ImportId,
  lines: AsyncIterable<Line>,
  signal: AbortSignal,
): Promise<Received> {
  const received: Received = { received: 0, added: 0, invalid: 0, last_line: null, errors: [] }
  const rules = await rulesOf(world, tenantId)
  let batch: Pending[] = []
  const flush = async () => {
    const written = batch
    batch = []
    await writeBatch(world, tenantId, id, written, received)
  }
  try {
    for await (const line of lines) {
      batch.push(await readLine(world, tenantId, line, rules, signal))
      if (batch.length === world.limits.importRowsBatch) await flush()
    }
    if (batch.length > 0) await flush()
    return received
  } finally {
    for (const { staged } of batch) await staged?.discard()
  }
}

async function rulesOf({ database, limits, policy, fetcher }: Intake, tenantId: Caller['tenantId']): Promise<RowRules> {
  const numbers = new Map<string, number>()
  for (const { code, number } of await database.catalogue.listStores(tenantId))
    numbers.set(String(number), number).set(code, number)
  return { limits, policy, fetcher, storeOf: (ref) => numbers.get(ref) ?? null }
}

async function readLine(
  world: Intake,
  tenantId: Caller['tenantId'],
  line: Line,
  rules: RowRules,
  signal: AbortSignal,
): Promise<Pending> {
  if ('fault' in line) return { row: { line: line.line, kind: 'invalid', product: null, errors: [line.fault] }, staged: null }
  const row = readImportRow(line.value, line.line, rules)
  if (row.kind === 'invalid' || row.source.kind !== 'base64') return { row, staged: null }
  try {
    const { text, fileName } = row.source
    const declaration = { contentType: null, fileName, typeMustMatch: false }
    return { row, staged: await stageUpload(world, tenantId, decoded(text), declaration, signal) }
  } catch (error) {
    if (!isRefusal(error)) throw error
    return { row: invalid(row, 'base64', error.message), staged: null }
  }
}

async function* decoded(text: string): AsyncGenerator<Uint8Array> {
  const decoder = new Base64Decoder(STRICT_BASE64)
  yield decoder.write(Buffer.from(text))
  yield decoder.end()
}

function invalid(
  { line, product }: Pick<ReadRow, 'line' | 'product'>,
  field: string,
  message: string,
): Extract<NewRow, { kind: 'invalid' }> {
  return { line, kind: 'invalid', product, errors: [{ field, message }] }
}

async function writeBatch(
  world: Intake,
  tenantId: Caller['tenantId'],
  id: ImportId,
  batch: readonly Pending[],
  received: Received,
): Promise<void> {
  const kept = new Set<StagedUpload>()
  try {
    const rows = await withFiles(world, tenantId, batch)
    const added = await world.database.imports.addRows(tenantId, id, rows, world.limits.importRowsMax)
    const first = new Set<number>()
    for (const [index, row] of rows.entries()) {
      const isNew = added.has(row.line) && !first.has(row.line)
      first.add(row.line)
      const staged = batch[index]?.staged
      if (isNew && staged) kept.add(staged)
      tell(received, row, isNew, world.limits.importErrorsTold)
    }
  } finally {
    // An answer that was lost may have been a yes: then the row has lost its bytes, and says so when its turn comes.
    for (const { staged } of batch) if (staged && !kept.has(staged)) await staged.discard()
  }
}

function tell(received: Received, row: NewRow, isNew: boolean, errorsMax: number): void {
  received.received += 1
  received.last_line = row.line
  if (!isNew) return
  received.added += 1
  if (row.kind === 'valid') return
  received.invalid += 1
  const room = errorsMax - received.errors.length
  received.errors.push(
    ...row.errors.slice(0, Math.max(0, room)).map(({ field, message }) => ({ line: row.line, field, message })),
  )
}

/** What only the database or the staging store can say of a source. */
async function withFiles(
  { database }: Intake,
  tenantId: Caller['tenantId'],
  batch: readonly Pending[],
): Promise<readonly NewRow[]> {
  const ids = batch.flatMap(({ row }) => (row.kind === 'valid' && row.source.kind === 'file' ? [row.source.fileId] : []))
  const files = ids.length > 0 ? await database.files.findMany(tenantId, [...new Set(ids)]) : []
  const digests = new Map(files.map((file) => [file.id, file.facts.digest]))
  return batch.map(({ row, staged }): NewRow => {
    if (row.kind === 'invalid') return row
    const source = sourceOf(row.source, staged, digests)
    return source ? { ...row, source } : invalid(row, 'file_id', 'is not the id of a file')
  })
}

function sourceOf(
  source: Extract<ReadRow, { kind: 'valid' }>['source'],
  staged: StagedUpload | null,
  digests: ReadonlyMap<FileId, Extract<RowSource, { kind: 'file' }>['digest']>,
): RowSource | null {
  if (source.kind === 'base64') return staged?.source ?? null
  if (source.kind !== 'file') return source
  const digest = digests.get(source.fileId)
  return digest === undefined ? null : { ...source, digest }
}
