/** A row of a manifest, as it was written: what it asks for, or all that is wrong with it. */
import { isRefusal, SluiceError } from './errors.ts'
import type { Digest, FileId } from './ids.ts'
import { isUuid } from './ids.ts'
import { type NewRow, productOfText, type RowError, type RowSource, type RowWishes, type StoreWish } from './import.ts'
import { refuseDeepJson } from './json-depth.ts'
import type { Limits } from './limits.ts'
import { checkRoles, readPlacement } from './placement.ts'
import type { Fetcher, Policy } from './ports.ts'
import { MAIN_ROLE, type ProductRef } from './product-image.ts'

export interface RowRules {
  readonly limits: Limits
  readonly policy: Policy
  readonly fetcher: Pick<Fetcher, 'check'>
  /** The number of a store view, by its code or number; null: there is none. */
  readonly storeOf: (ref: string) => number | null
}

/** A file is only named by its id here, and base64 not decoded yet: both need the world. */
export type ReadSource =
  | Extract<RowSource, { kind: 'bytes' | 'url' }>
  | { readonly kind: 'file'; readonly fileId: FileId }
  | { readonly kind: 'base64'; readonly text: string; readonly fileName: string | null }

export type ReadRow =
  | Extract<NewRow, { kind: 'invalid' }>
  | (Omit<Extract<NewRow, { kind: 'valid' }>, 'source'> & { readonly source: ReadSource })

const PLACEMENT = ['name', 'label', 'position', 'roles', 'main', 'excluded'] as const
const SOURCES = ['sha256', 'file_id', 'url', 'base64'] as const
const OTHERS = ['line', 'product', 'sku', 'file_name', 'stores'] as const
const FIELDS: ReadonlySet<string> = new Set([...PLACEMENT, ...SOURCES, ...OTHERS])

/** `given` is the line where the row stands, which one of its own goes before. Columns know only text, and members of JSON their types. */
export function readImportRow(value: unknown, given: number, rules: RowRules): ReadRow {
  const errors: RowError[] = []
  if (typeof value !== 'object' || value === null || Array.isArray(value)) {
    return { line: given, kind: 'invalid', product: null, errors: [{ field: 'row', message: 'must be an object' }] }
  }
  // As with every other request, null is the same as nothing.
  const row = Object.fromEntries(Object.entries(value).filter(([, member]) => member !== null)) as Fields
  for (const field of Object.keys(row)) {
    if (!FIELDS.has(field)) errors.push({ field, message: 'is not a field of a row' })
  }
  const line = readLine(row['line'], given, errors)
  const product = readProduct(row, rules.limits, errors)
  const source = readSource(row, rules, errors)
  const wishes = { ...readWishes(row, rules, errors), ...readStores(row['stores'], rules, errors) }
  if (errors.length > 0 || product === null || source === null) return { line, kind: 'invalid', product, errors }
  return { line, kind: 'valid', product, source, wishes }
}

type Fields = Readonly<Record<string, unknown>>

const LINE_MAX = 1_000_000_000

function readLine(value: unknown, given: number, errors: RowError[]): number {
  if (value === undefined || value === '') return given
  const line = typeof value === 'string' && /^\d{1,10}$/.test(value) ? Number(value) : value
  if (typeof line === 'number' && Number.isInteger(line) && line >= 1 && line <= LINE_MAX) return line
  errors.push({ field: 'line', message: `must be a whole number from 1 to ${LINE_MAX}` })
  return given
}

// oxlint-disable-next-line no-control-regex -- the rule of SKUs: they appear in addresses, headers and logs
const CONTROL = /[\u0000-\u001f\u007f-\u009f]/

function readProduct({ product, sku }: Fields, { skuLengthMax }: Limits, errors: RowError[]): ProductRef | null {
  const report = (field: string, message: string) => {
    errors.push({ field, message })
    return null
  }
  if (product !== undefined && sku !== undefined) return report('product', 'must not be given together with sku')
  if (sku !== undefined) {
    const text = typeof sku === 'number' ? String(sku) : sku
    if (typeof text !== 'string' || text === '') return report('sku', 'must be a text')
    return isSku(text, skuLengthMax) ? { kind: 'sku', sku: text } : report('sku', skuRule(skuLengthMax))
  }
  if (product === undefined) return report('product', 'is required, as sku:<sku>, a UUID or an integer id; or give sku')
  const text = typeof product === 'number' ? String(product) : product
  const ref = typeof text === 'string' ? productOfText(text) : null
  if (ref === null) return report('product', 'must be sku:<sku>, model:<code>, a UUID or an integer id')
  const isSound = ref.kind === 'sku' ? isSku(ref.sku, skuLengthMax) : ref.kind !== 'model' || isSku(ref.code, skuLengthMax)
  return isSound ? ref : report('product', skuRule(skuLengthMax))
}

function isSku(text: string, max: number): boolean {
  return text.length > 0 && text.length <= max && !CONTROL.test(text) && text.isWellFormed()
}

const skuRule = (max: number) => `must have 1 to ${max} characters, and no control characters`

function readSource(row: Fields, { fetcher, limits }: RowRules, errors: RowError[]): ReadSource | null {
  const report = (field: string, message: string) => {
    errors.push({ field, message })
    return null
  }
  const [field, ...more] = SOURCES.filter((name) => row[name] !== undefined)
  if (field === undefined) return report('source', `is missing: give one of ${SOURCES.join(', ')}`)
  if (more.length > 0) return report(more[0] ?? field, `must not be given together with ${field}`)
  const value = row[field]
  if (typeof value !== 'string') return report(field, 'must be a text')
  if (field === 'sha256') {
    const digest = value.toLowerCase()
    return /^[0-9a-f]{64}$/.test(digest) ? { kind: 'bytes', digest: digest as Digest } : report(field, 'must be 64 hex digits')
  }
  if (field === 'file_id') {
    return isUuid(value) ? { kind: 'file', fileId: value.toLowerCase() as FileId } : report(field, 'must be the id of a file')
  }
  if (field === 'base64') {
    const name = row['file_name']
    if (name !== undefined && typeof name !== 'string') return report('file_name', 'must be a text')
    return { kind: 'base64', text: value, fileName: name ?? null }
  }
  if (value.length > limits.urlLengthMax) return report(field, `must not be longer than ${limits.urlLengthMax} characters`)
  try {
    return { kind: 'url', url: fetcher.check(value) }
  } catch (error) {
    if (!isRefusal(error)) throw error
    return report(field, `cannot be fetched: ${error.message}`)
  }
}

/** What is not said stays unsaid: a placement would have defaults for it. */
function readWishes(row: Fields, rules: RowRules, errors: RowError[]): RowWishes {
  const given = Object.fromEntries(PLACEMENT.flatMap((field) => (row[field] === undefined ? [] : [[field, row[field]]])))
  try {
    const placement = readPlacement(given, rules)
    const says = (field: (typeof PLACEMENT)[number]) => given[field] !== undefined
    return {
      ...(says('label') && { label: placement.label }),
      ...(placement.rank !== null && { position: placement.rank }),
      ...(says('roles') && { roles: placement.roles.filter((role) => role !== MAIN_ROLE) }),
      ...(placement.main !== null && { main: placement.main }),
      ...(says('excluded') && given['excluded'] !== '' && { excluded: placement.excluded }),
      ...(placement.name !== null && { name: placement.name }),
    }
  } catch (error) {
    errors.push(...faultsOf(error, 'roles'))
    return {}
  }
}

function faultsOf(error: unknown, field: string): readonly RowError[] {
  if (!isRefusal(error)) throw error
  const { errors } = error.details
  return Array.isArray(errors) ? (errors as RowError[]) : [{ field, message: error.message }]
}

function readStores(value: unknown, rules: RowRules, errors: RowError[]): Pick<RowWishes, 'stores'> {
  if (value === undefined) return {}
  const given = typeof value === 'string' ? parse(value) : value
  if (typeof given !== 'object' || given === null || Array.isArray(given)) {
    errors.push({ field: 'stores', message: 'must be an object with a store view for each member' })
    return {}
  }
  const stores = new Map<number, StoreWish>()
  for (const [ref, wish] of Object.entries(given)) {
    const store = rules.storeOf(ref)
    const field = `stores.${ref}`
    if (store === null) errors.push({ field, message: 'is not a store view' })
    else if (stores.has(store)) errors.push({ field, message: 'is named twice' })
    else stores.set(store, { store, ...readStoreWish(wish, field, rules, errors) })
  }
  return { stores: [...stores.values()] }
}

function parse(text: string): unknown {
  try {
    refuseDeepJson(text)
    return JSON.parse(text)
  } catch {
    return null
  }
}

function readStoreWish(
  value: unknown,
  field: string,
  { limits, policy }: RowRules,
  errors: RowError[],
): Omit<StoreWish, 'store'> {
  const report = (member: string, message: string) => void errors.push({ field: `${field}.${member}`, message })
  if (typeof value !== 'object' || value === null || Array.isArray(value)) {
    errors.push({ field, message: 'must be an object' })
    return {}
  }
  const { label, position, excluded, roles, ...others } = value as Fields
  for (const member of Object.keys(others)) report(member, 'is not a field of a store view')
  const isText =
    typeof label === 'string' && label.length <= limits.labelLengthMax && !label.includes('\0') && label.isWellFormed()
  if (label !== undefined && !isText) report('label', `must be a text of at most ${limits.labelLengthMax} characters`)
  const isKey = Number.isInteger(position) && Math.abs(Number(position)) <= limits.positionMax
  if (position !== undefined && !isKey) report('position', 'must be a whole number')
  if (excluded !== undefined && typeof excluded !== 'boolean') report('excluded', 'must be true or false')
  const isList = Array.isArray(roles) && roles.length <= limits.rolesMax && roles.every((role) => typeof role === 'string')
  if (roles !== undefined && !isList) report('roles', 'must be a list of texts')
  try {
    if (isList) checkRoles(roles, policy)
  } catch (error) {
    if (!SluiceError.is(error)) throw error
    report('roles', error.message)
  }
  return {
    ...(typeof label === 'string' && { label }),
    ...(typeof position === 'number' && { position }),
    ...(typeof excluded === 'boolean' && { excluded }),
    ...(isList && { roles: [...new Set<string>(roles)] }),
  }
}
