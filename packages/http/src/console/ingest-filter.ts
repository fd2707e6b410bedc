import {
  type IngestFilter,
  type IngestId,
  INGEST_STATES,
  type IngestState,
  isUuid,
  type ProductId,
  type ProductRef,
} from '@sluice/core'

/** What the list is asked for, as it was typed. */
export interface ListQuery {
  readonly state: IngestState | null
  readonly product: string
  readonly text: string
  readonly before: IngestId | null
}

/** Reads an address generously: what cannot be meant is left out, so that an old bookmark shows a list and no error. */
export function readListQuery(query: unknown): ListQuery {
  const parameters = new Map<string, unknown>(typeof query === 'object' && query !== null ? Object.entries(query) : [])
  const read = (name: string) => {
    const value = parameters.get(name)
    // PostgreSQL has no text with NUL in it, and nothing that can be looked for has a control character.
    return typeof value === 'string'
      ? value
          .replace(/\p{Cc}/gu, '')
          .trim()
          .slice(0, 255)
      : ''
  }
  const before = read('before').toLowerCase()
  return {
    state: INGEST_STATES.find((state) => state === read('state')) ?? null,
    product: read('product'),
    text: read('q'),
    before: isUuid(before) ? (before as IngestId) : null,
  }
}

export function filterOf({ state, product, text }: ListQuery): IngestFilter {
  return {
    ...(state && { states: [state] }),
    ...(product !== '' && { product: productRef(product) }),
    ...(text !== '' && { text }),
  }
}

/** People type SKUs. A SKU that looks like an id can be written `sku:<sku>`, as in the API. */
function productRef(typed: string): ProductRef {
  if (isUuid(typed)) return { kind: 'id', id: typed.toLowerCase() as ProductId }
  return { kind: 'sku', sku: typed.startsWith('sku:') ? typed.slice('sku:'.length) : typed }
}

export function isFiltered({ state, product, text }: ListQuery): boolean {
  return state !== null || product !== '' || text !== ''
}

/** The address of the list that the query asks for. */
export function listPath({ state, product, text, before }: ListQuery): string {
  const parameters = Object.entries({ state, product, q: text, before }).flatMap(([name, value]) =>
    value ? [[name, value]] : [],
  )
  return parameters.length > 0 ? `/?${new URLSearchParams(parameters).toString()}` : '/'
}
