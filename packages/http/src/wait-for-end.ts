import type { FastifyRequest } from 'fastify'
import { type Database, type Ingest, waitForIngest } from '@sluice/core'

/** The ingest when it is over, or as it is when the client has gone or it has been enough. */
export async function waitForEnd(
  database: Database,
  request: FastifyRequest,
  ingest: Ingest,
  enough: AbortSignal,
): Promise<Ingest> {
  const gone = new AbortController()
  const onClose = () => gone.abort()
  request.raw.socket.once('close', onClose)
  try {
    const signal = AbortSignal.any([gone.signal, enough])
    return (await waitForIngest(database, ingest.tenantId, ingest.id, signal)) ?? ingest
  } finally {
    request.raw.socket.off('close', onClose)
  }
}
