/** One value of a mapping: where it stands in an event, and what is cut out of it. */

/** A text is a pointer into the item. Exactly one of the first four says where to look. */
export type HookValue =
  | string
  | {
      /** A pointer into the item. */
      readonly at?: string
      /** A pointer into the whole event. */
      readonly event?: string
      /** A header of the request, in lower case. */
      readonly header?: string
      /** The same for all events. */
      readonly value?: unknown
      /** `form`: as names of objects stand in events of S3, `+` for a space and `%2B` for a plus. */
      readonly decode?: 'form'
      /** As `photos/{sku}_{position}.{rest}`: each placeholder takes as little as it can, and one character at least. */
      readonly match?: string
      /** The placeholder whose text is the value. */
      readonly take?: string
      /** Put before the text. */
      readonly prefix?: string
      /** Instead of what is not there. */
      readonly default?: unknown
    }

export interface HookContext {
  readonly headers: Readonly<Record<string, string>>
  readonly event: unknown
  readonly item: unknown
}

export type ReadValue = { readonly found: unknown } | { readonly missing: true } | { readonly fault: string }

const MISSING = { missing: true } as const

/** Null is nothing, as everywhere on the native wire. */
export function readValue(value: HookValue, context: HookContext): ReadValue {
  const rule = typeof value === 'string' ? { at: value } : value
  const found = lookUp(rule, context)
  if (found === undefined || found === null) return rule.default === undefined ? MISSING : { found: rule.default }
  const { decode, match, take, prefix } = rule
  if (decode === undefined && match === undefined && prefix === undefined) return { found }
  if (typeof found !== 'string' && typeof found !== 'number') return { fault: 'is no text' }
  const text = decode === 'form' ? formDecoded(String(found)) : String(found)
  if (text === null) return { fault: 'is not percent-encoded as forms are' }
  if (match === undefined) return { found: `${prefix ?? ''}${text}` }
  const taken = matched(text, match)?.get(take ?? '')
  if (taken !== undefined) return { found: `${prefix ?? ''}${taken}` }
  return rule.default === undefined ? { fault: `${JSON.stringify(text)} does not look like ${match}` } : { found: rule.default }
}

function lookUp(rule: Exclude<HookValue, string>, { headers, event, item }: HookContext): unknown {
  if (rule.at !== undefined) return readPointer(item, rule.at)
  if (rule.event !== undefined) return readPointer(event, rule.event)
  if (rule.header !== undefined) return Object.hasOwn(headers, rule.header) ? headers[rule.header] : undefined
  return rule.value
}

/** What is wrong with the value as a rule; null when nothing is. */
export function checkValue(value: HookValue): string | null {
  if (typeof value === 'string') return pointerFault(value)
  const { at, event, header, value: constant, match, take } = value
  if ([at, event, header, constant].filter((way) => way !== undefined).length !== 1) {
    return 'must have exactly one of at, event, header and value'
  }
  const fault = [at, event].map((pointer) => (pointer === undefined ? null : pointerFault(pointer))).find((each) => each !== null)
  if (fault) return fault
  if (header !== undefined && header !== header.toLowerCase()) return 'must name its header in lower case'
  if ((match === undefined) !== (take === undefined)) return 'must have match and take together'
  return match === undefined || take === undefined ? null : patternFault(match, take)
}

/** RFC 6901 §3. */
export function pointerFault(pointer: string): string | null {
  return /^(\/([^~/]|~[01])*)*$/.test(pointer) ? null : 'must be a JSON Pointer, as /images/0/src'
}

/** RFC 6901 §4. Undefined where there is nothing. */
export function readPointer(document: unknown, pointer: string): unknown {
  let here = document
  for (const token of pointer.split('/').slice(1)) {
    const name = token.replaceAll('~1', '/').replaceAll('~0', '~')
    if (typeof here !== 'object' || here === null) return undefined
    if (Array.isArray(here) && !/^(0|[1-9]\d*)$/.test(name)) return undefined
    // Own members only: `/constructor` is nothing that somebody sent.
    here = Object.hasOwn(here, name) ? (here as Readonly<Record<string, unknown>>)[name] : undefined
  }
  return here
}

const PLACEHOLDER = /\{([A-Za-z_][A-Za-z0-9_]*)\}/

function patternFault(pattern: string, take: string): string | null {
  const parts = pattern.split(PLACEHOLDER)
  const names = parts.filter((_, index) => index % 2 === 1)
  const between = parts.filter((_, index) => index % 2 === 0)
  if (between.some((text) => /[{}]/.test(text))) return 'must name its placeholders with letters, digits and _, as {sku}'
  if (between.slice(1, -1).some((text) => text === '')) return 'must have something between two placeholders'
  if (new Set(names).size !== names.length) return 'must name each placeholder once'
  return names.includes(take) ? null : `has no placeholder {${take}}`
}

/** Left to right and never back, so that it takes one look at each character. */
function matched(text: string, pattern: string): ReadonlyMap<string, string> | null {
  const [start = '', ...parts] = pattern.split(PLACEHOLDER)
  if (!text.startsWith(start)) return null
  const taken = new Map<string, string>()
  let at = start.length
  for (let index = 0; index < parts.length; index += 2) {
    const after = parts[index + 1] ?? ''
    const isLast = index + 2 >= parts.length
    const end = isLast ? text.length - after.length : text.indexOf(after, at + 1)
    if (end <= at || (isLast && !text.endsWith(after))) return null
    taken.set(parts[index] ?? '', text.slice(at, end))
    at = end + after.length
  }
  return at === text.length ? taken : null
}

function formDecoded(text: string): string | null {
  try {
    return decodeURIComponent(text.replaceAll('+', ' '))
  } catch {
    return null
  }
}
