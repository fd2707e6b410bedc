import type { HookEvent, HookItem, HookResult, HookSource, HookVerifier, previewEvent, PreviewedItem } from '@sluice/core'
import { ingestPath } from './views.ts'

export const hookSourcePath = (id: string) => `/v1/hook-sources/${id}`

/** Never with its secrets. */
export function hookSourceView(source: HookSource, publicUrl: string) {
  const { id, name, secrets, mapping, enabled, createdAt, updatedAt } = source
  const self = hookSourcePath(id)
  return {
    id,
    name,
    url: `${publicUrl}/v1/hooks/${id}`,
    verifier: verifierView(source.verifier),
    secrets: secrets.length,
    mapping,
    enabled,
    created_at: createdAt.toISOString(),
    updated_at: updatedAt.toISOString(),
    links: { self, events: `${self}/events` },
  }
}

function verifierView(verifier: HookVerifier) {
  if (verifier.kind !== 'hmac') return verifier
  const { timestampHeader: timestamp_header, idHeader: id_header, ...rest } = verifier
  return { ...rest, timestamp_header, id_header }
}

export function hookEventView({ id, sourceId, state, saidId, attempts, results, problem, receivedAt, processedAt }: HookEvent) {
  return {
    id,
    state,
    said_id: saidId,
    attempts,
    items: results.map(resultView),
    error: problem && { code: problem.code, detail: problem.detail },
    received_at: receivedAt.toISOString(),
    processed_at: processedAt?.toISOString() ?? null,
    links: { self: `${hookSourcePath(sourceId)}/events/${id}` },
  }
}

function resultView(result: HookResult) {
  if (result.outcome !== 'ingested') return result
  const { ingestId, ...rest } = result
  return { ...rest, ingest: ingestPath(ingestId) }
}

export function hookEventWithBodyView(event: HookEvent) {
  const { headers, body } = event
  const text = asText(body)
  const body_base64 = text === null ? Buffer.from(body).toString('base64') : null
  return { ...hookEventView(event), headers, body: text, body_base64 }
}

function asText(body: Uint8Array): string | null {
  try {
    return new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(body)
  } catch {
    return null
  }
}

export function dryRunView(preview: Awaited<ReturnType<typeof previewEvent>>) {
  if (preview.kind === 'ignored') return { outcome: 'ignored', because: preview.because, items: [] }
  if (preview.kind === 'faulty') return { outcome: 'quarantined', because: preview.problem.detail, items: [] }
  const items = preview.items.map(previewedView)
  return { outcome: items.some(({ outcome }) => outcome === 'refused') ? 'quarantined' : 'processed', items }
}

function previewedView(item: PreviewedItem) {
  const { path } = item
  if (item.kind === 'ignored') return { path, outcome: 'ignored', because: item.because }
  if (item.kind !== 'wanted') return { path, outcome: 'refused', errors: item.faults }
  if (item.item.kind === 'upload') return { path, outcome: 'completed', wanted: { upload: item.item.upload } }
  return { path, outcome: 'ingested', wanted: wantedView(item.item) }
}

function wantedView({ product, source, fileName, placement, key, order, parkMs }: Extract<HookItem, { kind: 'image' }>) {
  const { name, label, rank, roles, main, excluded, slot } = placement
  const { kind: _, ...named } = product
  return {
    product: named,
    source:
      source.kind === 'base64'
        ? { base64_characters: source.text.length }
        : source.kind === 'url'
          ? { url: source.url }
          : { file_id: source.fileId },
    file_name: fileName,
    image: { name, label, position: rank, roles, main, excluded, slot },
    key,
    version: order?.version ?? null,
    park_seconds: parkMs === null ? null : parkMs / 1000,
  }
}
