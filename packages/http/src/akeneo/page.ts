/** The pages of a list, as Akeneo has them: numbered from 1, in HAL. */
import { unprocessable } from './errors.ts'

export interface PageQuery {
  readonly page: number
  readonly limit: number
  readonly withCount: boolean
}

const LIMIT_DEFAULT = 10

/** Throws what is wrong first, in the order in which Akeneo looks. */
export function readPage(query: unknown, limitMax: number): PageQuery {
  const type = lastOf(query, 'pagination_type') ?? 'page'
  if (type === 'search_after') throw unprocessable('Pagination type is not supported.')
  if (type !== 'page') throw unprocessable('Pagination type does not exist.')
  const limit = readLimit(lastOf(query, 'limit'), limitMax)
  const page = readNumber(lastOf(query, 'page'), 1, 'page', Math.floor(Number.MAX_SAFE_INTEGER / limit))
  return { page, limit, withCount: readWithCount(lastOf(query, 'with_count')) }
}

function readLimit(text: string | undefined, limitMax: number): number {
  const limit = readNumber(text, LIMIT_DEFAULT, 'limit', Number.MAX_SAFE_INTEGER)
  if (limit > limitMax) throw unprocessable(`You cannot request more than ${limitMax} items.`)
  return limit
}

function readNumber(text: string | undefined, otherwise: number, name: 'limit' | 'page', max: number): number {
  if (text === undefined) return otherwise
  const number = /^\d+$/.test(text) ? Number(text) : 0
  if (number < 1 || number > max) throw unprocessable(`"${text}" is not a valid ${name} number.`)
  return number
}

function readWithCount(text = 'false'): boolean {
  if (text === 'true' || text === 'false') return text === 'true'
  throw unprocessable(`Parameter "with_count" has to be a boolean. Only "true" or "false" allowed, "${text}" given.`)
}

/** A parameter that is repeated means its last value, as in PHP. */
function lastOf(query: unknown, name: string): string | undefined {
  const value: unknown = typeof query === 'object' && query !== null ? Reflect.get(query, name) : undefined
  const last: unknown = Array.isArray(value) ? value.at(-1) : value
  return typeof last === 'string' ? last : undefined
}

/** `next` stands there as long as the page is full, so it may lead to an empty one. */
export function pageView<Item>(address: string, { page, limit, withCount }: PageQuery, items: readonly Item[], total: number) {
  const link = (number: number) => ({ href: `${address}?page=${number}&limit=${limit}&with_count=${withCount}` })
  return {
    _links: {
      self: link(page),
      first: link(1),
      ...(page >= 2 && { previous: link(page - 1) }),
      ...(items.length === limit && { next: link(page + 1) }),
    },
    current_page: page,
    ...(withCount && { items_count: total }),
    _embedded: { items },
  }
}
