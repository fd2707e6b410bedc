import type { FastifyInstance } from 'fastify'
import {
  type Database,
  type Ingest,
  INGEST_STATES,
  type IngestState,
  type Product,
  type ProductId,
  shownUrl,
  type TenantId,
} from '@sluice/core'
import { callerOf } from '../authenticate.ts'
import { type Html, html } from './html.ts'
import { filterOf, isFiltered, listPath, type ListQuery, readListQuery } from './ingest-filter.ts'
import { sendPage } from './layout.ts'
import { badge, duration, moment } from './words.ts'

const PAGE_ITEMS = 25

type Census = Awaited<ReturnType<Database['ingests']['census']>>

interface Listing {
  readonly query: ListQuery
  readonly ingests: readonly Ingest[]
  readonly products: ReadonlyMap<ProductId, Product | null>
  /** Where the next older ones are; null at the end. */
  readonly older: string | null
}

export function overviewRoutes(app: FastifyInstance, database: Database): void {
  app.get('/', async (request, reply) => {
    const query = readListQuery(request.query)
    const [census, listing] = await Promise.all([
      database.ingests.census(),
      findListing(database, callerOf(request).tenantId, query),
    ])
    return sendPage(request, reply, {
      title: 'Ingests',
      content: html`<h1>Ingests</h1>
        ${tiles(census)}${filters(query)}${list(listing)}`,
    })
  })
}

async function findListing(database: Database, tenantId: TenantId, query: ListQuery): Promise<Listing> {
  const page = { before: query.before, limit: PAGE_ITEMS + 1 }
  const found = await database.ingests.list(tenantId, filterOf(query), page)
  const ingests = found.slice(0, PAGE_ITEMS)
  const last = ingests.at(-1)
  const older = found.length > PAGE_ITEMS && last ? listPath({ ...query, before: last.id }) : null
  return { query, ingests, products: await findProducts(database, tenantId, ingests), older }
}

/** One small look-up per product of the page: people know products by their SKU. */
async function findProducts(database: Database, tenantId: TenantId, ingests: readonly Ingest[]): Promise<Listing['products']> {
  const ids = new Set(ingests.flatMap(({ target }) => (target ? [target.productId] : [])))
  return new Map(
    await Promise.all([...ids].map(async (id) => [id, await database.products.find(tenantId, { kind: 'id', id })] as const)),
  )
}

function tiles({ states, oldestOpenMs, outbox }: Census): Html {
  return html`<section class="tiles" aria-label="All tenants">
      ${INGEST_STATES.map((state) => tile(state, states[state]))}
      <div class="tile"><b class="long">${oldestOpenMs > 0 ? duration(oldestOpenMs) : '–'}</b><span>oldest open</span></div>
      <div class="tile"><b>${count(outbox)}</b><span>in the outbox</span></div>
    </section>
    <p class="hint">Counted over all tenants. The list below is your tenant’s.</p>`
}

function tile(state: IngestState, number: number): Html {
  const path = listPath({ state, product: '', text: '', before: null })
  return html`<a class="tile ${number > 0 && state}" href="${path}"><b>${count(number)}</b><span>${state}</span></a>`
}

function count(number: number): string {
  return number.toLocaleString('en')
}

function filters(query: ListQuery): Html {
  const option = (state: IngestState) =>
    html`<option value="${state}" ${query.state === state && html` selected`}>${state}</option>`
  return html`<form class="filters" method="get" action="/" role="search">
    <label
      >State<select name="state">
        <option value="">any</option>
        ${INGEST_STATES.map(option)}
      </select></label
    >
    <label>Product<input name="product" value="${query.product}" placeholder="SKU or UUID" maxlength="255" /></label>
    <label class="wide"
      >Text<input
        name="q"
        type="search"
        value="${query.text}"
        placeholder="Part of a file name, label or error; a whole id or digest"
        maxlength="255"
    /></label>
    <button class="primary">Filter</button>
    ${isFiltered(query) && html`<a href="/">Clear</a>`}
  </form>`
}

function list({ query, ingests, products, older }: Listing): Html {
  if (ingests.length === 0) return html`<p class="empty card">${emptyWord(query)}</p>`
  return html`<div class="list scroll card">
      <table>
        <thead>
          <tr>
            <th>State</th>
            <th>File</th>
            <th>Product</th>
            <th>Received (UTC)</th>
            <th class="number">Took</th>
            <th class="number">Attempts</th>
            <th>Problem</th>
          </tr>
        </thead>
        <tbody>
          ${ingests.map((ingest) => row(ingest, products))}
        </tbody>
      </table>
    </div>
    <p class="pages">
      ${query.before && html`<a href="${listPath({ ...query, before: null })}">« Newest</a>`}
      ${older && html`<a class="older" href="${older}" rel="next">Older »</a>`}
    </p>`
}

function emptyWord(query: ListQuery): string {
  if (query.before) return 'There is nothing older.'
  return isFiltered(query) ? 'No ingest is like that.' : 'Nothing was ingested yet.'
}

function row(ingest: Ingest, products: Listing['products']): Html {
  const { id, state, source, target, attempts, problem, createdAt, finishedAt } = ingest
  const file = sourceWord(source)
  const label = target?.kind === 'replace' ? target.change.label : target?.placement.label
  const tookMs = finishedAt && finishedAt.getTime() - createdAt.getTime()
  return html`<tr>
    <td>${badge(state)}</td>
    <td class="name">
      <a href="/ingests/${id}">${file}</a>
      ${label && html`<small>${label}</small>`}
    </td>
    <td>${target ? productLink(target.productId, products) : '–'}</td>
    <td>${moment(createdAt)}</td>
    <td class="number">${tookMs === null ? '…' : duration(tookMs)}</td>
    <td class="number">${attempts}</td>
    <td>${problem && html`<code>${problem.code}</code>`}</td>
  </tr>`
}

function sourceWord(source: Ingest['source']): string {
  if (source.kind === 'file') return `file ${source.fileId}`
  return source.fileName ?? (source.kind === 'url' ? shownUrl(source.url) : 'unnamed')
}

/** To everything that was brought to this product. */
function productLink(id: ProductId, products: Listing['products']): Html {
  const path = listPath({ state: null, product: id, text: '', before: null })
  return html`<a class="quiet" href="${path}">${products.get(id)?.sku ?? id}</a>`
}
