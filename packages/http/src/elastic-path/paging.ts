/** Pages of lists: `page[limit]` and `page[offset]`, and what stands around the items. */
import type { FastifyRequest } from 'fastify'
import type { Limits, Listed, OffsetPage } from '@sluice/core'
import { badRequest } from './errors.ts'

const OFFSET_MAX = 10_000
const LIMIT_DEFAULT = 25

export function pageOf(request: FastifyRequest, { pageItemsMax }: Limits): OffsetPage {
  return {
    limit: readNumber(request, 'page[limit]', 1, pageItemsMax) ?? LIMIT_DEFAULT,
    offset: readNumber(request, 'page[offset]', 0, OFFSET_MAX) ?? 0,
  }
}

/** One value of the query; null when it is not there. A value that is given twice is refused: either could be meant. */
export function queryOf({ query }: FastifyRequest, name: string): string | null {
  const value: unknown = typeof query === 'object' && query !== null ? Reflect.get(query, name) : undefined
  if (value === undefined || value === '') return null
  if (typeof value !== 'string') throw badRequest(`${name} is given more than once`)
  return value
}

function readNumber(request: FastifyRequest, name: string, min: number, max: number): number | null {
  const text = queryOf(request, name)
  if (text === null) return null
  const number = Number(text)
  if (/^\d{1,9}$/.test(text) && number >= min && number <= max) return number
  throw badRequest(`${name} must be between ${min} and ${max}`)
}

/** A page as it is answered; `base` is put before the paths of its links. */
export function pageView<Item>(
  request: FastifyRequest,
  { limit, offset }: OffsetPage,
  { items, total }: Listed<Item>,
  view: (item: Item) => object,
  base = '',
) {
  const pages = Math.max(1, Math.ceil(total / limit))
  const at = (start: number) => base + addressAt(request, limit, start)
  return {
    data: items.map(view),
    links: {
      self: at(offset),
      first: at(0),
      last: at((pages - 1) * limit),
      ...(offset > 0 && { prev: at(Math.max(0, offset - limit)) }),
      ...(offset + limit < total && { next: at(offset + limit) }),
    },
    meta: { page: { limit, offset, current: Math.floor(offset / limit) + 1, total: pages }, results: { total } },
  }
}

/** Brackets stand unencoded, as this API and its clients write them. */
function addressAt({ url }: FastifyRequest, limit: number, offset: number): string {
  const [path = '', query = ''] = url.split('?', 2)
  const rest = query.split('&').filter((pair) => pair !== '' && !/^page(\[|%5b)/i.test(pair))
  return `${path}?${[`page[offset]=${offset}`, `page[limit]=${limit}`, ...rest].join('&')}`
}
