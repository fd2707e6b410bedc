/** The value that a file is to be: which attribute of which product or model, in which channel and locale. */
import { type Attribute, type Catalogue, type IntakeWorld, type Product, SluiceError, type TenantId } from '@sluice/core'
import { parseJson } from '../bodies/json-envelope.ts'
import { unprocessable, validationFailed, type Violation } from './errors.ts'

export interface Value {
  readonly bearer: Bearer
  /** The identifier of the product, or the code of the model. */
  readonly name: string
  readonly attribute: string
  readonly scope: string | null
  readonly locale: string | null
}

type Bearer = 'product' | 'product_model'

/** What differs in the words for the two. */
const WORDS = {
  product: { title: 'Product', key: 'identifier' },
  product_model: { title: 'Product model', key: 'code' },
} as const

/** Throws 422, or 400 where the text is no JSON. */
export function readValue(fields: Readonly<Record<string, unknown>>): Value {
  const { product, product_model: model } = fields
  if (product !== undefined && model !== undefined)
    throw unprocessable('You should give either a "product" or a "product_model" key.')
  if (product !== undefined) return parseValue('product', product)
  if (model !== undefined) return parseValue('product_model', model)
  throw unprocessable('You should at least give one of the following properties: "product" or "product_model".')
}

function parseValue(bearer: Bearer, text: unknown): Value {
  const document = decode(text)
  const { title, key } = WORDS[bearer]
  const { [key]: name, attribute, scope, locale } = document
  if (isText(name) && isText(attribute) && isTextOrNull(scope) && isTextOrNull(locale))
    return { bearer, name, attribute, scope, locale }
  throw unprocessable(`${title} property must contain "${key}", "attribute", "locale" and "scope" properties.`)
}

function decode(text: unknown): Readonly<Record<string, unknown>> {
  const document: unknown = typeof text === 'string' ? parseJson(Buffer.from(text)) : null
  if (document === null) throw new SluiceError('json_invalid')
  return typeof document === 'object' ? { ...document } : {}
}

function isText(value: unknown): value is string {
  return typeof value === 'string'
}

function isTextOrNull(value: unknown): value is string | null {
  return value === null || typeof value === 'string'
}

export async function findBearer(world: IntakeWorld, tenantId: TenantId, { bearer, name }: Value): Promise<Product> {
  const ref = bearer === 'product' ? ({ kind: 'sku', sku: name } as const) : ({ kind: 'model', code: name } as const)
  const product = await world.database.products.find(tenantId, ref)
  if (!product) throw unprocessable(`${WORDS[bearer].title} "${name}" does not exist.`)
  return product
}

/** The attribute, when it has values for this channel and this locale. */
export async function findAttribute({ database }: IntakeWorld, tenantId: TenantId, value: Value): Promise<Attribute> {
  const attribute = await database.catalogue.findAttribute(tenantId, value.attribute)
  if (!attribute) throw unprocessable(`The ${value.attribute} attribute does not exist in your PIM.`)
  const channels = await database.catalogue.listChannels(tenantId)
  const complaints = [complaintOfScope(attribute, value, channels), complaintOfLocale(attribute, value, channels)]
  refuse(
    value,
    complaints.filter((complaint) => complaint !== null),
  )
  return attribute
}

type Channels = Awaited<ReturnType<Catalogue['listChannels']>>

function complaintOfScope({ code, scopable }: Attribute, { scope }: Value, channels: Channels): string | null {
  const expects = `Attribute "${code}" expects`
  if (!scopable) return scope === null ? null : `Attribute "${code}" does not expect a scope, "${scope}" given.`
  if (scope === null) return `${expects} a scope, none given.`
  return channels.some((channel) => channel.code === scope) ? null : `${expects} an existing scope, "${scope}" given.`
}

/** A locale is active in some channel; where each channel has a value of its own, in that one. */
function complaintOfLocale(
  { code, scopable, localizable }: Attribute,
  { scope, locale }: Value,
  channels: Channels,
): string | null {
  const expects = `Attribute "${code}" expects`
  if (!localizable) return locale === null ? null : `Attribute "${code}" does not expect a locale, "${locale}" given.`
  if (locale === null) return `${expects} a locale, none given.`
  const own = scopable ? channels.filter((channel) => channel.code === scope) : []
  const isActive = (own.length > 0 ? own : channels).some(({ locales }) => locales.includes(locale))
  return isActive ? null : `${expects} an existing and activated locale, "${locale}" given.`
}

/** Throws `Validation failed.` with each of the complaints, if there are any. */
export function refuse({ attribute, locale, scope }: Value, complaints: readonly string[], options?: { cause?: unknown }): void {
  if (complaints.length === 0) return
  const violations = complaints.map((message): Violation => ({ property: 'values', message, attribute, locale, scope }))
  throw validationFailed(violations, options)
}
