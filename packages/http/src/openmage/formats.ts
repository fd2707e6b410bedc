/** The three formats of an answer, as the other system writes them. */

/** XML is what the documentation calls the default; the others must be asked for. */
export type Format = 'xml' | 'json' | 'query'

export type Data = string | number | readonly Data[] | { readonly [name: string]: Data }

const FORMATS: Readonly<Record<string, Format>> = {
  'application/json': 'json',
  'text/plain': 'query',
  'application/xml': 'xml',
  'text/xml': 'xml',
  'application/xhtml+xml': 'xml',
  'application/*': 'xml',
  'text/*': 'xml',
  '*/*': 'xml',
}

/** RFC 9110 §12.5.1, without specificity: of what is wanted equally, the first. */
export function formatOf(accept: string | undefined): Format {
  const wanted = (accept ?? '').split(',').flatMap((range) => {
    const [type = '', ...parameters] = range.split(';').map((part) => part.trim().toLowerCase())
    const format = FORMATS[type]
    const weight = Number(parameters.find((parameter) => parameter.startsWith('q='))?.slice(2) ?? 1)
    return format && weight > 0 ? [{ format, weight }] : []
  })
  return wanted.toSorted((a, b) => b.weight - a.weight)[0]?.format ?? 'xml'
}

export function render(format: Format, data: Data): { readonly type: string; readonly body: string } {
  const type = { xml: 'application/xml', json: 'application/json', query: 'text/plain' }[format]
  return { type: `${type}; charset=utf-8`, body: RENDERERS[format](data) }
}

const RENDERERS: Readonly<Record<Format, (data: Data) => string>> = {
  xml: (data) => `<?xml version="1.0"?>\n${element('magento_api', data, '')}`,
  json: (data) => JSON.stringify(data),
  query: (data) => new URLSearchParams(pairs(data, '')).toString(),
}

function element(name: string, data: Data, indent: string): string {
  if (typeof data !== 'object') return `${indent}<${name}>${xmlText(String(data))}</${name}>\n`
  const members = Array.isArray(data) ? data.map((item: Data) => ['data_item', item] as const) : Object.entries(data)
  if (members.length === 0) return `${indent}<${name}/>\n`
  return `${indent}<${name}>\n${members.map(([inner, value]) => element(inner, value, `${indent}  `)).join('')}${indent}</${name}>\n`
}

/** XML 1.0 §2.2: what no document can have, not even as a reference. Labels that came by another way may have it. */
const NO_CHARACTER = /[^\t\n\r\u{20}-\u{D7FF}\u{E000}-\u{FFFD}\u{10000}-\u{10FFFF}]/gu

function xmlText(text: string): string {
  // A carriage return would be read as a line feed (§2.11).
  const safe = text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;').replaceAll('\r', '&#13;')
  return safe.replace(NO_CHARACTER, '\uFFFD')
}

/** As PHP's `http_build_query` has it: `0[types][1]=image`. What is empty has no pair. */
function pairs(data: Data, name: string): [string, string][] {
  if (typeof data !== 'object') return [[name, String(data)]]
  return Object.entries<Data>(data).flatMap(([key, value]) => pairs(value, name === '' ? key : `${name}[${key}]`))
}
