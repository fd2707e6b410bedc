/** What a request says of a hierarchy or a node: checked member by member, and kept only if all of it can be kept. */
import type { HierarchyFields, Limits, NodeFields, ProductId, Translations } from '@sluice/core'
import { isRecord, textOf } from './body.ts'
import { failedValidation } from './errors.ts'

type Members = Readonly<Record<string, unknown>>

/** The bound of the API itself. */
const CURATED_MAX = 20
const ID_LENGTH_MAX = 255
/** A tag of BCP 47, in either spelling, or the three letters that this API asks for. */
const LOCALE = /^[A-Za-z0-9_-]{1,35}$/
const INT32_MAX = 2 ** 31 - 1

/** Known to clients, and written by the server or kept by nobody here. */
const SET_ASIDE = ['created_at', 'updated_at', 'published_at', 'admin_attributes', 'shopper_attributes']

type Attributes = Pick<HierarchyFields, 'name' | 'slug' | 'description' | 'locales'>

export function newHierarchy(data: Members, limits: Limits): Attributes {
  requireType(data, 'hierarchy')
  return newAttributes(requiredAttributes(data), limits)
}

export function hierarchyChange(data: Members, limits: Limits): Partial<Attributes> {
  requireType(data, 'hierarchy')
  return changedAttributes(attributesOf(data), limits)
}

export function newNode(data: Members, limits: Limits): Omit<NodeFields, 'owner'> {
  requireType(data, 'node')
  const attributes = requiredAttributes(data)
  return {
    ...newAttributes(attributes, limits, ['curated_products']),
    curatedProducts: curatedOf(attributes) ?? [],
    sortOrder: sortOrderOf(data, 'data') ?? null,
  }
}

/** Only what is given; the type is left to whoever looks at the id. */
export function nodeChange(data: Members, limits: Limits): Partial<Omit<NodeFields, 'owner'>> {
  const attributes = attributesOf(data)
  const curatedProducts = curatedOf(attributes)
  const sortOrder = sortOrderOf(data, 'data')
  return {
    ...changedAttributes(attributes, limits, ['curated_products']),
    ...(curatedProducts && { curatedProducts }),
    ...(sortOrder !== undefined && { sortOrder }),
  }
}

export function metaOf(data: Members, at: string): Members {
  return optionalRecord(data['meta'], `${at}.meta`)
}

/** Undefined where none is given; null takes it away. */
export function sortOrderOf(data: Members, at: string): number | null | undefined {
  const { sort_order: order } = metaOf(data, at)
  if (order === undefined || order === null) return order
  const isInt32 = typeof order === 'number' && Number.isInteger(order) && order <= INT32_MAX && order >= -INT32_MAX - 1
  if (!isInt32) throw failedValidation(`${at}.meta.sort_order: Must be a 32-bit integer.`)
  return order
}

/** Without members where it is missing or null. */
export function optionalRecord(value: unknown, at: string): Members {
  if (value === undefined || value === null) return {}
  if (!isRecord(value)) throw failedValidation(`${at}: Must be an object.`)
  return value
}

function requireType({ type }: Members, expected: string): void {
  if (type === undefined || type === null || type === '') throw failedValidation('data.type can not be empty')
  if (type !== expected) throw failedValidation(`data.type: Must be "${expected}".`)
}

function requiredAttributes(data: Members): Members {
  if (data['attributes'] === undefined || data['attributes'] === null) throw failedValidation('data.attributes can not be empty')
  return attributesOf(data)
}

function attributesOf(data: Members): Members {
  return optionalRecord(data['attributes'], 'data.attributes')
}

function newAttributes(attributes: Members, limits: Limits, more: readonly string[] = []): Attributes {
  const { name, slug = null, description = null, locales = {} } = changedAttributes(attributes, limits, more)
  if (name === undefined) throw failedValidation('data.attributes.name can not be empty')
  return { name, slug, description, locales }
}

function changedAttributes(attributes: Members, limits: Limits, more: readonly string[] = []): Partial<Attributes> {
  const { name, slug, description, locales } = attributes
  const known = ['name', 'slug', 'description', 'locales', ...more, ...SET_ASIDE]
  refuseUnknown(attributes, known, 'data.attributes')
  return {
    ...(name !== undefined && { name: filled(name ?? '', 'data.attributes.name', limits.titleLengthMax) }),
    ...(slug !== undefined && { slug: slug === null ? null : filled(slug, 'data.attributes.slug', limits.titleLengthMax) }),
    ...(description !== undefined && {
      description: textOf(description, 'data.attributes.description', limits.labelLengthMax),
    }),
    ...(locales !== undefined && { locales: localesOf(locales, limits) }),
  }
}

/** A text of at least one character. */
function filled(value: unknown, at: string, lengthMax: number): string {
  const text = textOf(value, at, lengthMax)
  if (!text) throw failedValidation(`${at} can not be empty`)
  return text
}

function localesOf(value: unknown, limits: Limits): Translations {
  const at = 'data.attributes.locales'
  const translations = Object.entries(optionalRecord(value, at))
  if (translations.length > limits.relationsMax)
    throw failedValidation(`${at}: Must not have more than ${limits.relationsMax} members.`)
  return Object.fromEntries(
    translations.map(([locale, translation]) => {
      if (!LOCALE.test(locale)) throw failedValidation(`${at}: The names of its members must be codes of languages.`)
      return [locale, translationOf(translation, `${at}.${locale}`, limits)]
    }),
  )
}

function translationOf(value: unknown, at: string, limits: Limits): { name?: string; description?: string } {
  if (!isRecord(value)) throw failedValidation(`${at}: Must be an object.`)
  refuseUnknown(value, ['name', 'description'], at)
  const name = textOf(value['name'], `${at}.name`, limits.titleLengthMax)
  const description = textOf(value['description'], `${at}.description`, limits.labelLengthMax)
  return { ...(name !== null && { name }), ...(description !== null && { description }) }
}

function curatedOf({ curated_products: value }: Members): readonly ProductId[] | undefined {
  const at = 'data.attributes.curated_products'
  if (value === undefined) return undefined
  if (value === null) return []
  if (!Array.isArray(value)) throw failedValidation(`${at}: Must be an array.`)
  if (value.length > CURATED_MAX) throw failedValidation(`${at}: Must not have more than ${CURATED_MAX} items.`)
  const ids = value.map((id: unknown, index) => filled(id ?? '', `${at}[${index}]`, ID_LENGTH_MAX).toLowerCase())
  return [...new Set(ids)] as ProductId[]
}

function refuseUnknown(members: Members, known: readonly string[], at: string): void {
  for (const name of Object.keys(members)) {
    if (!known.includes(name)) throw failedValidation(`${at}: Must not have the member ${JSON.stringify(name.slice(0, 64))}.`)
  }
}
