import type { FastifyRequest } from 'fastify'
import { type IntakeWorld, type OffsetPage, type Limits } from '@sluice/core'
import { publicUrl } from '../host.ts'

const LIMIT_DEFAULT = 10

/** `LimitOffsetPagination` of Django REST framework, which takes its defaults for what is no number, and refuses nothing. */
export function pageOf({ query }: FastifyRequest, { pageItemsMax }: Limits): OffsetPage {
  return {
    limit: Math.min(integerAt(query, 'limit') || LIMIT_DEFAULT, pageItemsMax),
    offset: integerAt(query, 'offset'),
  }
}

/** One page of a list that is at hand, with the absolute addresses of its neighbours. */
export function pageView<Item>(
  request: FastifyRequest,
  world: Pick<IntakeWorld, 'policy'>,
  { limit, offset }: OffsetPage,
  items: readonly Item[],
  view: (item: Item) => object,
) {
  const at = (start: number) => addressAt(request, world, limit, start)
  return {
    count: items.length,
    next: offset + limit < items.length ? at(offset + limit) : null,
    previous: offset > 0 ? at(Math.max(0, offset - limit)) : null,
    results: items.slice(offset, offset + limit).map(view),
  }
}

function integerAt(query: unknown, name: string): number {
  const value: unknown = typeof query === 'object' && query !== null ? Reflect.get(query, name) : undefined
  const text: unknown = Array.isArray(value) ? value.at(-1) : value
  return typeof text === 'string' && /^\d{1,9}$/.test(text) ? Number(text) : 0
}

/** Other parameters stay; the first page has no offset. */
function addressAt(request: FastifyRequest, world: Pick<IntakeWorld, 'policy'>, limit: number, offset: number): string {
  const [path = '', query = ''] = request.url.split('?', 2)
  const parameters = new URLSearchParams(query)
  parameters.set('limit', String(limit))
  if (offset === 0) parameters.delete('offset')
  else parameters.set('offset', String(offset))
  return `${publicUrl(request, world)}${path}?${parameters.toString()}`
}
