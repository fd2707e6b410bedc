import {
  type Import,
  type ImportProduct,
  type ImportProgress,
  type ImportRow,
  productText,
  type RowSource,
  shownUrl,
} from '@sluice/core'
import { ingestPath, problemView } from './views.ts'

export function importPath(id: string): string {
  return `/v1/imports/${id}`
}

export function importHeadView(given: Import) {
  const self = importPath(given.id)
  return {
    id: given.id,
    name: given.name,
    state: given.state,
    mode: given.mode,
    on_error: given.onError,
    create_products: given.createProducts,
    park_seconds: given.parkMs / 1000,
    plan_hash: given.planHash,
    created_at: given.createdAt.toISOString(),
    updated_at: given.updatedAt.toISOString(),
    started_at: given.startedAt?.toISOString() ?? null,
    finished_at: given.finishedAt?.toISOString() ?? null,
    links: { self, rows: `${self}/rows`, plan: `${self}/plan`, report: `${self}/report`, events: `${self}/events` },
  }
}

export function importView(given: Import, progress: ImportProgress, now: Date) {
  return {
    ...importHeadView(given),
    counts: countsView(progress),
    rows_per_second: rateOf(given, progress, now),
    undo: given.state === 'undoing' || given.state === 'undone' ? undoView(progress) : null,
  }
}

export function countsView({ total, states, actions }: ImportProgress) {
  return { total, states, actions }
}

/** To one decimal: what is shown while it runs. */
function rateOf({ startedAt, finishedAt }: Import, { states }: ImportProgress, now: Date): number | null {
  const seconds = startedAt && ((finishedAt ?? now).getTime() - startedAt.getTime()) / 1000
  return seconds ? Math.round(((states.done + states.failed) / seconds) * 10) / 10 : null
}

function undoView({ products }: ImportProgress) {
  const { restored, changed_since, unrestorable, prepared, settled } = products
  return { restored, changed_since, unrestorable, open: prepared + settled }
}

export function importRowView(row: ImportRow) {
  const { line, state, action, changes, problem, product, source, wishes, productId, imageId, ingestId } = row
  return {
    line,
    state,
    action,
    changes,
    error: problem && problemView(problem),
    product: product && productText(product),
    source: source && sourceView(source),
    wishes,
    product_id: productId,
    image_id: imageId,
    ingest: ingestId && ingestPath(ingestId),
  }
}

function sourceView(source: RowSource) {
  if (source.kind === 'url') return { kind: 'url', url: shownUrl(source.url) }
  if (source.kind === 'file') return { kind: 'file_id', file_id: source.fileId, sha256: source.digest }
  return { kind: source.kind === 'bytes' ? 'sha256' : 'base64', sha256: source.digest }
}

export function importProductView({ firstLine, product, productId, state, problem }: ImportProduct) {
  return {
    first_line: firstLine,
    product: productText(product),
    product_id: productId,
    state,
    error: problem && problemView(problem),
  }
}
