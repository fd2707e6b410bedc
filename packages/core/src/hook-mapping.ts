/**
 * What an event means, said as data: where in it the products and images stand. Nothing in a mapping is code, and no part of it can
 * take long: pointers (RFC 6901) instead of a query language, patterns with placeholders instead of regular expressions.
 */
import { SluiceError } from './errors.ts'
import type { HookFault } from './hook.ts'
import { type FileId, isUuid, type ProductId } from './ids.ts'
import type { Placement } from './ingest.ts'
import type { Limits } from './limits.ts'
import { type PlacementRules, readPlacement } from './placement.ts'
import type { ProductRef } from './product-image.ts'
import { checkValue, type HookContext, type HookValue, pointerFault, readPointer, readValue } from './hook-value.ts'

export interface HookMapping {
  /** Where the type of the event stands, and the types that matter; events of all others are ignored. */
  readonly type?: HookValue
  readonly types?: readonly string[]
  /** A pointer to the list of items; without it, the event is the one item. */
  readonly each?: string
  /** Items for which one of these does not hold are passed over. */
  readonly when?: readonly { readonly value: HookValue; readonly in: readonly (string | number | boolean)[] }[]
  /** What the item is known by in all events; without it, each event's items are new. */
  readonly key?: HookValue
  /** A number or a time or a text that only grows: what is older than what was seen of the same product and key is passed over. */
  readonly order_by?: HookValue
  /** Exactly one of the three. */
  readonly product?: { readonly sku?: HookValue; readonly id?: HookValue; readonly number?: HookValue }
  /** Exactly one of the three. */
  readonly source?: { readonly url?: HookValue; readonly base64?: HookValue; readonly file_id?: HookValue }
  readonly file_name?: HookValue
  readonly image?: { readonly [field in (typeof IMAGE_FIELDS)[number]]?: HookValue }
  /** How long an image waits for a product that is not there yet; without it, it is quarantined. */
  readonly park_seconds?: number
  /** Instead of product and source: the item tells that the bytes of an upload are there, under this key. */
  readonly completes_upload?: HookValue
}

export const IMAGE_FIELDS = ['name', 'label', 'position', 'roles', 'main', 'excluded', 'slot'] as const

export type HookImageSource =
  | { readonly kind: 'url'; readonly url: string }
  | { readonly kind: 'base64'; readonly text: string }
  | { readonly kind: 'file'; readonly fileId: FileId }

/** What one item asks for. */
export type HookItem = { readonly path: string; readonly key: string | null } & (
  | {
      readonly kind: 'image'
      readonly product: ProductRef
      readonly source: HookImageSource
      readonly fileName: string | null
      readonly placement: Placement
      readonly parkMs: number | null
      readonly order: { readonly subject: string; readonly version: string } | null
    }
  | { readonly kind: 'upload'; readonly upload: string }
)

export type MappedItem =
  | { readonly kind: 'wanted'; readonly path: string; readonly item: HookItem }
  | { readonly kind: 'ignored'; readonly path: string; readonly because: string }
  | { readonly kind: 'faulty'; readonly path: string; readonly faults: readonly HookFault[] }

export type MappedEvent =
  | { readonly kind: 'ignored'; readonly because: string }
  | { readonly kind: 'items'; readonly items: readonly MappedItem[] }

export interface MappingRules extends PlacementRules {
  readonly limits: Limits
}

/** What is wrong with a mapping that has the right shape. */
export function mappingFaults(mapping: HookMapping): readonly HookFault[] {
  const faults: HookFault[] = []
  const report = (field: string, message: string | null) => void (message === null || faults.push({ field, message }))
  for (const [field, value] of valuesOf(mapping)) report(field, checkValue(value))
  if (mapping.each !== undefined) report('each', pointerFault(mapping.each))
  if ((mapping.type === undefined) !== (mapping.types === undefined)) report('types', 'stands together with type, or not at all')
  if (mapping.completes_upload === undefined) {
    report('product', oneOf(mapping.product))
    report('source', oneOf(mapping.source))
    const canPark = mapping.park_seconds === undefined || mapping.product?.sku !== undefined
    report('park_seconds', canPark ? null : 'needs product.sku: only a SKU is known before its product is there')
  } else if (mapping.product ?? mapping.source ?? mapping.image ?? mapping.key ?? mapping.order_by) {
    report('completes_upload', 'stands instead of product, source, image, key and order_by')
  }
  return faults
}

function valuesOf(mapping: HookMapping): [string, HookValue][] {
  const { type, key, order_by, file_name, completes_upload, product = {}, source = {}, image = {}, when = [] } = mapping
  const named = Object.entries({ type, key, order_by, file_name, completes_upload })
  const nested = Object.entries({ product, source, image }).flatMap(([name, group]) =>
    Object.entries(group).map(([field, value]) => [`${name}.${field}`, value] as const),
  )
  const conditions = when.map(({ value }, index) => [`when.${index}.value`, value] as const)
  return [...named, ...nested, ...conditions].flatMap(([field, value]) => (value === undefined ? [] : [[field, value]]))
}

function oneOf(group: object | undefined): string | null {
  return Object.keys(group ?? {}).length === 1 ? null : 'must have exactly one field'
}

/** What the event asks for. It never throws: what cannot be read is said of the item. */
export function mapEvent(
  mapping: HookMapping,
  event: { readonly headers: Readonly<Record<string, string>>; readonly document: unknown },
  rules: MappingRules,
): MappedEvent {
  const whole: HookContext = { headers: event.headers, event: event.document, item: event.document }
  if (mapping.type !== undefined && mapping.types !== undefined) {
    const type = readValue(mapping.type, whole)
    const text = 'found' in type ? String(type.found) : ''
    if (!mapping.types.includes(text)) return { kind: 'ignored', because: `The type is ${JSON.stringify(text)}.` }
  }
  if (mapping.each === undefined) return { kind: 'items', items: [mapItem(mapping, whole, '', rules)] }
  const list = readPointer(event.document, mapping.each)
  if (!Array.isArray(list)) return faulty(mapping.each, { field: 'each', message: `There is no list at ${mapping.each}` })
  if (list.length > rules.limits.hookItemsMax) {
    return faulty(mapping.each, { field: 'each', message: `There are more than ${rules.limits.hookItemsMax} items` })
  }
  return {
    kind: 'items',
    items: list.map((item: unknown, index) => mapItem(mapping, { ...whole, item }, `${mapping.each}/${index}`, rules)),
  }
}

function faulty(path: string, fault: HookFault): MappedEvent {
  return { kind: 'items', items: [{ kind: 'faulty', path, faults: [fault] }] }
}

function mapItem(mapping: HookMapping, context: HookContext, path: string, rules: MappingRules): MappedItem {
  for (const { value, in: allowed } of mapping.when ?? []) {
    const read = readValue(value, context)
    if (!('found' in read) || !allowed.some((each) => each === read.found)) {
      return { kind: 'ignored', path, because: `${textOf(value)} is none of ${allowed.join(', ')}.` }
    }
  }
  const reader = openReader(context)
  const item = mapping.completes_upload ? uploadOf(mapping.completes_upload, path, reader) : imageOf(mapping, path, reader, rules)
  if (item === null || reader.faults.length > 0) return { kind: 'faulty', path, faults: reader.faults }
  return { kind: 'wanted', path, item }
}

type Reader = ReturnType<typeof openReader>

/** Reads values, and notes what is wrong with them. */
function openReader(context: HookContext) {
  const faults: HookFault[] = []
  const report = (field: string, message: string) => void faults.push({ field, message })
  const raw = (field: string, value: HookValue | undefined): unknown => {
    if (value === undefined) return undefined
    const read = readValue(value, context)
    if ('fault' in read) report(field, read.fault)
    return 'found' in read ? read.found : undefined
  }
  /** A text, or a number as one; what is needed must be there. */
  const text = (field: string, value: HookValue | undefined, isNeeded = false): string | null => {
    const noted = faults.length
    const found = raw(field, value)
    if (typeof found === 'number' || (typeof found === 'string' && isStorable(found) && found !== '')) return String(found)
    if (faults.length > noted) return null
    if (found !== undefined && found !== '') report(field, 'must be a text without NUL, or a number')
    else if (isNeeded) report(field, `is missing: there is nothing at ${textOf(value)}`)
    return null
  }
  return { faults, report, raw, text }
}

/** PostgreSQL has no NUL, and JSON could not give half of a surrogate pair back. */
function isStorable(text: string): boolean {
  return !text.includes('\0') && text.isWellFormed()
}

function uploadOf(value: HookValue, path: string, reader: Reader): HookItem | null {
  const upload = reader.text('completes_upload', value, true)
  return upload === null ? null : { kind: 'upload', path, key: null, upload }
}

function imageOf(mapping: HookMapping, path: string, reader: Reader, rules: MappingRules): HookItem | null {
  const product = productOf(mapping.product, reader)
  const source = sourceOf(mapping.source, reader)
  const fileName = reader.text('file_name', mapping.file_name)
  const placement = placementOf(mapping, reader, rules)
  const key = reader.text('key', mapping.key, mapping.key !== undefined)
  const version = versionOf(mapping, reader)
  if (!product || !source || !placement) return null
  const parkMs = mapping.park_seconds === undefined ? null : mapping.park_seconds * 1000
  const subject = JSON.stringify([Object.values(product), key ?? placement.slot])
  const order = version === null ? null : { subject, version }
  // An item of a newer version is another one: its image takes the place of the older in the slot.
  const known = key !== null && version !== null && placement.slot !== null ? `${key}@${version}` : key
  return { kind: 'image', path, key: known, product, source, fileName, placement, parkMs, order }
}

function productOf(given: HookMapping['product'] = {}, { text, report }: Reader): ProductRef | null {
  if (given.sku !== undefined) {
    const sku = text('product.sku', given.sku, true)
    return sku === null ? null : { kind: 'sku', sku }
  }
  if (given.id !== undefined) {
    const id = text('product.id', given.id, true)
    if (id !== null && isUuid(id)) return { kind: 'id', id: id.toLowerCase() as ProductId }
    if (id !== null) report('product.id', 'must be a UUID')
    return null
  }
  const number = text('product.number', given.number, true)
  if (number !== null && /^\d{1,15}$/.test(number)) return { kind: 'number', number: Number(number) }
  if (number !== null) report('product.number', 'must be a whole number')
  return null
}

function sourceOf(given: HookMapping['source'] = {}, { text, report }: Reader): HookImageSource | null {
  if (given.url !== undefined) {
    const url = text('source.url', given.url, true)
    if (url !== null && URL.canParse(url) && /^https?:$/.test(new URL(url).protocol)) return { kind: 'url', url }
    if (url !== null) report('source.url', 'must be a whole address with http or https')
    return null
  }
  if (given.base64 !== undefined) {
    const content = text('source.base64', given.base64, true)
    return content === null ? null : { kind: 'base64', text: content }
  }
  const id = text('source.file_id', given.file_id, true)
  if (id !== null && isUuid(id)) return { kind: 'file', fileId: id.toLowerCase() as FileId }
  if (id !== null) report('source.file_id', 'must be the id of a file')
  return null
}

function placementOf({ image = {} }: HookMapping, { raw, text, report }: Reader, rules: MappingRules): Placement | null {
  const { slot: slotValue, ...values } = image
  const fields = Object.entries(values).map(([field, value]) => [field, raw(`image.${field}`, value)] as const)
  const slot = text('image.slot', slotValue)
  if (slot !== null && slot.length > rules.limits.codeLengthMax) report('image.slot', 'is too long')
  try {
    return { ...readPlacement(Object.fromEntries(fields), rules), slot }
  } catch (error) {
    if (!SluiceError.is(error)) throw error
    const { errors } = error.details as { errors?: readonly HookFault[] }
    if (errors) for (const { field, message } of errors) report(`image.${field}`, message)
    else report('image.roles', error.message)
    return null
  }
}

const DIGITS = 20

/** As a text whose order as bytes is the order of the versions: numbers and times are made equally long. */
function versionOf({ order_by: value }: HookMapping, { text, report }: Reader): string | null {
  const given = text('order_by', value, value !== undefined)
  if (given === null) return null
  if (/^\d{1,20}$/.test(given)) return given.padStart(DIGITS, '0')
  const timeMs = /^\d{4}-\d\d-\d\dT/.test(given) ? Date.parse(given) : Number.NaN
  if (timeMs >= 0) return String(timeMs).padStart(DIGITS, '0')
  if (given.length <= VERSION_LENGTH_MAX) return given
  report('order_by', `must not be longer than ${VERSION_LENGTH_MAX} characters`)
  return null
}

const VERSION_LENGTH_MAX = 255

function textOf(value: HookValue | undefined): string {
  return typeof value === 'string' ? value || 'the whole item' : (value?.at ?? value?.event ?? value?.header ?? 'the mapping')
}
