/** The worker's half of webhooks in: what was received becomes ingests. Whatever happens twice has its effect once. */
import { createHash } from 'node:crypto'
import { acceptIngest, type IngestRequest, stageUpload, urlOrigin } from './accept-upload.ts'
import { completeUploadAt } from './complete-upload.ts'
import { isOutage, isRefusal, type Problem, SluiceError } from './errors.ts'
import type { HookEvent, HookEventState, HookFault, HookResult, HookSource } from './hook.ts'
import { type HookImageSource, type HookItem, mapEvent, type MappedItem } from './hook-mapping.ts'
import type { IngestId } from './ids.ts'
import { refuseDeepJson } from './json-depth.ts'
import type { World } from './ports.ts'
import { outageWaitMs, retryWaitMs } from './retry.ts'

/** One turn: takes some events and processes them one after the other, oldest first. Returns how many it took. */
export async function processInbox(world: World): Promise<number> {
  const { database, limits, now } = world
  const events = await database.hooks.claim(limits.inboxBatchMax, limits.inboxLeaseMs)
  const sources = openSources(world)
  const enoughMs = now().getTime() + limits.inboxLeaseMs / 2
  for (const event of events) {
    // Those that would be begun late could be another worker's by the time they end.
    if (now().getTime() > enoughMs) await database.hooks.release(event.id, { waitMs: 0, forgiveAttempt: true })
    else await processEvent(world, sources, event)
  }
  return events.length
}

type Sources = (event: Pick<HookEvent, 'tenantId' | 'sourceId'>) => Promise<HookSource | null>

/** Each source is read once in a turn: its mapping is that of the time when the turn began, or later. */
function openSources({ database }: World): Sources {
  const known = new Map<string, HookSource | null>()
  return async ({ tenantId, sourceId }) => {
    const source = known.get(sourceId) ?? (await database.hooks.findSource(tenantId, sourceId))
    known.set(sourceId, source)
    return source
  }
}

/** Ends the event, or gives it back for another time. */
async function processEvent(world: World, sources: Sources, event: HookEvent): Promise<void> {
  const { database, limits } = world
  try {
    const source = await sources(event)
    if (!source) return
    if (event.attempts > limits.inboxAttemptsMax) return await finish(world, event, 'quarantined', [], GIVEN_UP)
    await applyEvent(world, source, event)
  } catch (error) {
    const forgiveAttempt = isOutage(error)
    const waitMs = forgiveAttempt ? outageWaitMs(world) : retryWaitMs(world, event.attempts)
    if (!forgiveAttempt) world.observer.observe({ kind: 'background.failed', task: 'inbox', cause: error })
    await database.hooks.release(event.id, { waitMs, forgiveAttempt })
  }
}

const GIVEN_UP: Problem = { code: 'attempts_exhausted', detail: 'Given up after repeated failures; the log has the details.' }

async function applyEvent(world: World, source: HookSource, event: HookEvent): Promise<void> {
  const read = readEvent(world, source, event)
  if (read.kind === 'faulty') return finish(world, event, 'quarantined', [], read.problem)
  if (read.kind === 'ignored')
    return finish(world, event, 'ignored', [{ path: '', outcome: 'ignored', because: read.because }], null)
  const results: HookResult[] = []
  for (const mapped of read.items) results.push(await applyItem(world, source, event, mapped))
  const problem = problemOf(results)
  return finish(world, event, problem ? 'quarantined' : 'processed', results, problem)
}

function problemOf(results: readonly HookResult[]): Problem | null {
  const refused = results.find((result) => result.outcome === 'refused')
  const [first] = refused?.errors ?? []
  if (!refused) return null
  return { code: 'event_unmappable', detail: `${first?.field} ${first?.message}, in ${refused.path || 'the event'}.` }
}

async function finish(
  { database, observer }: World,
  { id }: HookEvent,
  state: HookEventState,
  results: readonly HookResult[],
  problem: Problem | null,
): Promise<void> {
  if (!(await database.hooks.finish(id, { state, results, problem }))) return
  const ingests = results.filter(({ outcome }) => outcome === 'ingested').length
  observer.observe({ kind: 'hook.ended', eventId: id, state, ingests })
}

type ReadEvent =
  | { readonly kind: 'faulty'; readonly problem: Problem }
  | { readonly kind: 'ignored'; readonly because: string }
  | { readonly kind: 'items'; readonly items: readonly MappedItem[] }

function readEvent(
  world: Pick<World, 'policy' | 'limits'>,
  { mapping }: Pick<HookSource, 'mapping'>,
  { headers, body }: Pick<HookEvent, 'headers' | 'body'>,
): ReadEvent {
  try {
    const document = parseEvent(new TextDecoder('utf-8', { fatal: true }).decode(body))
    return mapEvent(mapping, { headers, document }, world)
  } catch (error) {
    if (!(error instanceof SyntaxError || error instanceof TypeError)) throw error
    const detail = error instanceof SyntaxError ? `${error.message}.` : 'The body is not UTF-8.'
    return { kind: 'faulty', problem: { code: 'json_invalid', detail } }
  }
}

/** JavaScript rounds integers above 2^53, and Shopify numbers its products beyond: such a one is its digits, as a text. */
function parseEvent(text: string): unknown {
  const keepDigits = (_: string, value: unknown, { source }: { readonly source?: string } = {}) =>
    typeof value === 'number' && !Number.isSafeInteger(value) && /^-?\d+$/.test(source ?? '') ? source : value
  refuseDeepJson(text)
  return JSON.parse(text, keepDigits)
}

/** What an event would do, without doing it. */
export type PreviewedItem =
  | MappedItem
  | { readonly kind: 'refused'; readonly path: string; readonly faults: readonly HookFault[] }

export async function previewEvent(
  world: Pick<World, 'policy' | 'limits' | 'database' | 'fetcher'>,
  source: Pick<HookSource, 'mapping' | 'tenantId'>,
  event: Pick<HookEvent, 'headers' | 'body'>,
): Promise<Exclude<ReadEvent, { kind: 'items' }> | { readonly kind: 'items'; readonly items: readonly PreviewedItem[] }> {
  const read = readEvent(world, source, event)
  if (read.kind !== 'items') return read
  const items: PreviewedItem[] = []
  for (const mapped of read.items) items.push(await previewItem(world, source, mapped))
  return { kind: 'items', items }
}

async function previewItem(
  world: Pick<World, 'database' | 'fetcher' | 'limits'>,
  { tenantId }: Pick<HookSource, 'tenantId'>,
  mapped: MappedItem,
): Promise<PreviewedItem> {
  if (mapped.kind !== 'wanted' || mapped.item.kind !== 'image') return mapped
  const { path, item } = mapped
  const { products, files } = world.database
  const faults: HookFault[] = []
  if (item.parkMs === null && !(await products.find(tenantId, item.product))) faults.push(PRODUCT_UNKNOWN)
  if (item.source.kind === 'file' && !(await files.find(tenantId, item.source.fileId))) faults.push(FILE_UNKNOWN)
  if (item.source.kind === 'url') faults.push(...urlFaults(world, item.source.url))
  return faults.length > 0 ? { kind: 'refused', path, faults } : mapped
}

function urlFaults(world: Pick<World, 'fetcher' | 'limits'>, url: string): readonly HookFault[] {
  try {
    urlOrigin(world, url, null)
    return []
  } catch (error) {
    if (!isRefusal(error)) throw error
    return [refusalOf('source.url', error)]
  }
}

function refusalOf(field: string, { code, message }: SluiceError): HookFault {
  return { field, message: `is refused as ${code}: ${message}` }
}

const PRODUCT_UNKNOWN: HookFault = { field: 'product', message: 'does not exist' }
const FILE_UNKNOWN: HookFault = { field: 'source.file_id', message: 'is the id of no file' }

async function applyItem(world: World, source: HookSource, event: HookEvent, mapped: MappedItem): Promise<HookResult> {
  const { path } = mapped
  if (mapped.kind === 'ignored') return { path, outcome: 'ignored', because: mapped.because }
  if (mapped.kind === 'faulty') return { path, outcome: 'refused', errors: mapped.faults }
  try {
    return await bring(world, source, event, mapped.item)
  } catch (error) {
    if (!isRefusal(error)) throw error
    return { path, outcome: 'refused', errors: [refusalOf('source', error)] }
  }
}

async function bring(world: World, hook: HookSource, event: HookEvent, item: HookItem): Promise<HookResult> {
  const { path } = item
  if (item.kind === 'upload') return complete(world, hook, item)
  const { hooks, ingests } = world.database
  const place = await placeFor(world, hook, item)
  if (!place) return { path, outcome: 'refused', errors: [PRODUCT_UNKNOWN] }
  if (item.order && !(await hooks.advance(hook.id, digestOf(item.order.subject), item.order.version))) {
    return { path, outcome: 'ignored', because: 'A newer version was seen before.' }
  }
  // The key decides, not the id: whoever comes again, after a crash or in another event, gets the ingest that was named first.
  const key = item.key === null ? `event ${event.key} ${placeOf(path)}` : `key ${item.key}`
  const id = await hooks.holdItem(hook.id, digestOf(key), world.newId() as IngestId)
  const isThere = (await ingests.find(hook.tenantId, id)) !== null
  if (!isThere) {
    const from = await originOf(world, hook, item.source, item.fileName)
    // Nobody waits at a screen for what another system sends, in volume at times.
    await acceptIngest(world, hook, { id, from, ...place, lane: 'import', idempotency: null, answer: null })
  }
  return { path, outcome: 'ingested', ingestId: id }
}

/** The event is a hint: what it speaks of may be no upload, or not there yet, and then a scan finds what no event has told. */
async function complete(
  world: World,
  { tenantId }: HookSource,
  { path, upload }: Extract<HookItem, { kind: 'upload' }>,
): Promise<HookResult> {
  try {
    await completeUploadAt(world, tenantId, upload)
    return { path, outcome: 'completed', upload }
  } catch (error) {
    if (!isRefusal(error)) throw error
    return { path, outcome: 'ignored', because: error.message }
  }
}

/** Null where there is no such product, and the item does not wait for it. */
async function placeFor(
  { database }: Pick<World, 'database'>,
  { tenantId }: HookSource,
  { product: ref, placement, parkMs }: Extract<HookItem, { kind: 'image' }>,
): Promise<Pick<IngestRequest, 'target' | 'park'> | null> {
  const product = await database.products.find(tenantId, ref)
  if (product) return { target: { kind: 'attach', productId: product.id, placement } }
  return parkMs !== null && ref.kind === 'sku' ? { target: null, park: { sku: ref.sku, placement, waitMs: parkMs } } : null
}

async function originOf(
  world: World,
  { tenantId }: HookSource,
  source: HookImageSource,
  fileName: string | null,
): Promise<IngestRequest['from']> {
  if (source.kind === 'url') return urlOrigin(world, source.url, fileName)
  if (source.kind === 'file') {
    if (!(await world.database.files.find(tenantId, source.fileId))) throw new SluiceError('file_reference_unknown')
    return source.fileId
  }
  const signal = AbortSignal.timeout(world.limits.ingestMsMax)
  return stageUpload(world, tenantId, decoded(source.text), { contentType: null, fileName, typeMustMatch: false }, signal)
}

async function* decoded(text: string): AsyncIterable<Uint8Array> {
  const bytes = Buffer.from(text, 'base64')
  // Decoding never fails; that what was decoded gives the same text again is what shows that it was base64.
  if (bytes.toString('base64') !== text) throw new SluiceError('base64_invalid')
  yield bytes
}

/** The item's place in its list, which stays when the mapping is mended. */
function placeOf(path: string): string {
  return path.split('/').at(-1) || '0'
}

/** Of a length that an index takes, whatever was sent. */
function digestOf(text: string): string {
  return createHash('sha256').update(text).digest('hex')
}
