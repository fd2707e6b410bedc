import { buildOps, type Checks } from '@sluice/http/ops'
import { registerExaminations } from './examination-metrics.ts'
import { closeWithin, listen } from './listen.ts'
import { registerCensus } from './observer-metrics.ts'
import type { Parts } from './world.ts'

/** Health, readiness and metrics of a service, on a port that nobody outside may reach. */
export async function openOps(parts: Parts, checks: Checks): Promise<AsyncDisposable> {
  const { config, observability, database } = parts
  const { limits } = config
  const app = await buildOps({ ...opsOf(parts, checks), database, logger: observability.logger, limits })
  await listen(app, config.ops, 'SLUICE_OPS_PORT')
  return { [Symbol.asyncDispose]: () => closeWithin(app) }
}

/** What every service is asked: whether it reaches what it needs, and its figures. */
export function opsOf({ observability, database, objects }: Parts, checks: Checks) {
  const { metrics } = observability
  registerCensus(metrics, () => database.ingests.census())
  registerExaminations(metrics, () => database.examinations.last())
  return {
    metrics: async () => ({ contentType: metrics.contentType, body: await metrics.metrics() }),
    checks: { database: () => database.ping(), objects: () => objects.ping(), ...checks },
  }
}
