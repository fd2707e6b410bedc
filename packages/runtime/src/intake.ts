import { withBackpressure } from '@sluice/core'
import { buildServer } from '@sluice/http'
import { closeWithin, listen } from './listen.ts'
import { type Parts, worldOf } from './world.ts'

/** The public side: takes uploads, answers reads. Disposing lets requests that are being answered finish. */
export async function openIntake(parts: Parts, secretKey: string): Promise<AsyncDisposable & { readonly url: string }> {
  const { config, observability } = parts
  const world = withBackpressure({ ...worldOf(parts), secretKey })
  const app = await buildServer({ world, logger: observability.logger, trustedProxies: config.trustedProxies })
  const url = await listen(app, config.http, 'SLUICE_HTTP_PORT')
  return { url, [Symbol.asyncDispose]: () => closeWithin(app, config.limits.shutdownMsMax) }
}
