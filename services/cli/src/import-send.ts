/** Rows go to an import page by page, and before each page the bytes that it names and the server lacks. */
import { type HashedBytes, hashBytes, missingOf, type Outcome, uploadBytes } from './import-bytes.ts'
import { inGroups, mapBounded } from './import-bounded.ts'
import type { Api } from './api.ts'
import type { LocalRow, RowFault } from './import-row.ts'
import { importPath } from './import-views.ts'

/** Small enough to be repeated without regret, and what the server writes at once. */
const PAGE_ROWS = 500

export interface Sending {
  readonly importId: string
  readonly rows: AsyncIterable<LocalRow>
  /** So many of the first are there already. */
  readonly sent: number
  /** False: rows are told, their bytes stay here. */
  readonly uploads: boolean
  readonly concurrency: number
  readonly onProgress: (progress: Sent) => void
  /** Told of each row that will fail, and why. Throws to end it. */
  readonly onFault: (row: LocalRow, fault: RowFault) => void
}

export interface Sent {
  readonly rows: number
  readonly files: number
  readonly bytes: number
}

type Prepared = readonly [row: LocalRow, outcome: Outcome<HashedBytes | null>]

/** Any part of it may be sent again: known bytes are not uploaded, known lines stay as they are. */
export async function sendRows(api: Api, sending: Sending): Promise<Sent> {
  const { importId, sent: before, uploads, concurrency, onProgress, onFault } = sending
  let sent: Sent = { rows: before, files: 0, bytes: 0 }
  const tell = (more: Sent) => {
    sent = { rows: sent.rows + more.rows, files: sent.files + more.files, bytes: sent.bytes + more.bytes }
    onProgress(sent)
  }
  for await (const page of inGroups(skip(sending.rows, before), PAGE_ROWS)) {
    const prepared = await mapBounded(page, concurrency, async (row): Promise<Prepared> => [row, await prepare(row)])
    const refused = uploads
      ? await uploadMissing(api, prepared, concurrency, (bytes) => tell({ rows: 0, files: 1, bytes }))
      : new Map<string, RowFault>()
    for (const one of prepared) {
      const fault = faultOf(one, refused)
      if (fault) onFault(one[0], fault)
    }
    await sendPage(api, importId, prepared, onFault)
    tell({ rows: page.length, files: 0, bytes: 0 })
  }
  return sent
}

async function* skip<Item>(items: AsyncIterable<Item>, count: number): AsyncGenerator<Item> {
  let seen = 0
  for await (const item of items) if (++seen > count) yield item
}

async function prepare({ bytes, fault }: LocalRow): Promise<Outcome<HashedBytes | null>> {
  if (fault) return { fault }
  return bytes ? hashBytes(bytes) : { value: null }
}

/** Each content once, however many rows name it. Answers why what was refused was refused, by digest. */
export async function uploadMissing(
  api: Api,
  prepared: readonly Prepared[],
  concurrency: number,
  onUploaded: (bytes: number) => void,
): Promise<Map<string, RowFault>> {
  const contents = new Map<string, HashedBytes>()
  for (const [, outcome] of prepared) if ('value' in outcome && outcome.value) contents.set(outcome.value.digest, outcome.value)
  const missing = await missingOf(api, [...contents.keys()])
  const refused = new Map<string, RowFault>()
  await mapBounded([...missing], concurrency, async (digest) => {
    const content = contents.get(digest)
    if (!content) return
    const fault = await uploadBytes(api, content)
    if (fault) refused.set(digest, fault)
    else onUploaded(content.bytes)
  })
  return refused
}

function faultOf([, outcome]: Prepared, refused: ReadonlyMap<string, RowFault>): RowFault | null {
  if ('fault' in outcome) return outcome.fault
  return (outcome.value && refused.get(outcome.value.digest)) ?? null
}

interface Received {
  readonly errors: readonly { readonly line: number; readonly field: string; readonly message: string }[]
}

/** A row without bytes goes too: the import must know that it is there and fails, or a sync would detach what it is about. */
async function sendPage(api: Api, importId: string, prepared: readonly Prepared[], onFault: Sending['onFault']): Promise<void> {
  const lines = prepared.map(([{ line, fields }, outcome]) => {
    const digest = 'value' in outcome && outcome.value ? { sha256: outcome.value.digest } : {}
    return JSON.stringify({ ...fields, ...digest, line })
  })
  const { errors } = await api.call<Received>('POST', `${importPath(importId)}/rows`, {
    body: `${lines.join('\n')}\n`,
    headers: { 'content-type': 'application/x-ndjson' },
  })
  const rows = new Map(prepared.map((one) => [one[0].line, one]))
  for (const { line, field, message } of errors) {
    const one = rows.get(line)
    // What was found here has been told already.
    if (one && 'value' in one[1]) onFault(one[0], { field, message })
  }
}
