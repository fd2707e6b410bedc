/** One row of a manifest, or one file of a folder, before its bytes are looked at. */
export interface LocalRow {
  /** Unique and ascending: the line of a manifest, the number of a file in a folder. */
  readonly line: number
  /** For people: `photos.csv:17`, or the path of the file in its folder. */
  readonly where: string
  /** All that is sent of it, apart from what `bytes` will be known by. */
  readonly fields: Readonly<Record<string, unknown>>
  /** What is to be hashed, and uploaded where it is missing; null when the row names something else. */
  readonly bytes: LocalBytes | null
  /** Why it cannot be sent as it is. */
  readonly fault: RowFault | null
}

export type LocalBytes = { readonly kind: 'path'; readonly path: string } | { readonly kind: 'base64'; readonly text: string }

export interface RowFault {
  readonly field: string
  readonly message: string
}

/** What a record may have; `path` and `base64` are ours, the rest is the API's. */
export const FIELDS = [
  'product',
  'sku',
  'path',
  'url',
  'base64',
  'file_id',
  'sha256',
  'label',
  'position',
  'roles',
  'main',
  'excluded',
  'name',
  'stores',
  'file_name',
] as const

const SOURCES = ['path', 'url', 'base64', 'file_id', 'sha256'] as const

interface Place {
  readonly line: number
  readonly where: string
  /** What a relative path is relative to. */
  readonly resolve: (path: string) => string
}

/** A record of a manifest as a row. What is wrong with fields that the API knows, the API says. */
export function rowOf(record: Readonly<Record<string, unknown>>, { line, where, resolve }: Place): LocalRow {
  const { path, base64, line: _own, ...fields } = record
  const row = { line, where, fields, bytes: null, fault: null }
  const given = SOURCES.filter((name) => record[name] !== undefined && record[name] !== null)
  if (given.length > 1) return { ...row, fault: { field: given.join(', '), message: 'only one source can be given' } }
  if (given[0] === 'path') {
    if (typeof path !== 'string' || path === '')
      return { ...row, fault: { field: 'path', message: 'must be the path of a file' } }
    return { ...row, bytes: { kind: 'path', path: resolve(path) } }
  }
  if (given[0] === 'base64') {
    if (typeof base64 !== 'string') return { ...row, fault: { field: 'base64', message: 'must be a text' } }
    return { ...row, bytes: { kind: 'base64', text: base64 } }
  }
  if (given.length === 0) return { ...row, fault: { field: 'source', message: `must be given as one of ${SOURCES.join(', ')}` } }
  return row
}

/** A CSV record as JSON would say it. A value that is not what its column asks for stays as it is: the API says why. */
export function recordOfCsv(cells: Readonly<Record<string, string>>): Record<string, unknown> {
  const said = Object.entries(cells).filter(([, value]) => value !== '')
  return Object.fromEntries(said.map(([name, value]) => [name, READERS[name]?.(value) ?? value]))
}

const READERS: Readonly<Record<string, (text: string) => unknown>> = {
  position: (text) => (/^\d{1,15}$/.test(text.trim()) ? Number(text) : text),
  roles: (text) => text.split(',').map((role) => role.trim()),
  main: booleanOf,
  excluded: booleanOf,
  stores: (text) => parseJson(text) ?? text,
}

const BOOLEANS: Readonly<Record<string, boolean>> = { true: true, false: false, yes: true, no: false, '1': true, '0': false }

function booleanOf(text: string): unknown {
  return BOOLEANS[text.trim().toLowerCase()] ?? text
}

/** Undefined when it is none. */
export function parseJson(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    // What is wrong with it is said by whoever needs it to be JSON.
    return undefined
  }
}
