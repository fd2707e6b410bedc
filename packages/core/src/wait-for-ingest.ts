import type { IngestId, TenantId } from './ids.ts'
import { type Ingest, isTerminal } from './ingest.ts'
import type { Database } from './ports.ts'

/**
 * The ingest as it is, and again each time it may have changed, until it is over or the signal is aborted. Woken by
 * signals, never by polling; null when there is no such ingest.
 */
export async function* watchIngest(
  database: Database,
  tenantId: TenantId,
  id: IngestId,
  signal: AbortSignal,
): AsyncIterable<Ingest | null> {
  let wake = Promise.withResolvers<void>()
  // Listening begins before the first look, so that no change falls between the two.
  using _listening = database.signals.onIngest(id, () => wake.resolve())
  const onAbort = () => wake.resolve()
  signal.addEventListener('abort', onAbort, { once: true })
  try {
    for (;;) {
      const ingest = await database.ingests.find(tenantId, id)
      yield ingest
      if (!ingest || isTerminal(ingest.state) || signal.aborted) return
      await wake.promise
      wake = Promise.withResolvers<void>()
    }
  } finally {
    signal.removeEventListener('abort', onAbort)
  }
}

/** The ingest when it is over, or as it is when the signal is aborted. */
export async function waitForIngest(
  database: Database,
  tenantId: TenantId,
  id: IngestId,
  signal: AbortSignal,
): Promise<Ingest | null> {
  let last: Ingest | null = null
  for await (const ingest of watchIngest(database, tenantId, id, signal)) last = ingest
  return last
}
